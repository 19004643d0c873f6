// Bars and beats of a piece, from its meters: rows of [onset in ticks, numerator, denominator]; 24 ticks a quarter.

// Ticks of all bar lines; the last one is where the last bar ends.
export function barLines(meters, last) {
  const found = [];
  meters.forEach(([onset, numerator, denominator], i) => {
    const length = Math.max(1, Math.floor(numerator * 96 / denominator));
    const stop = i + 1 < meters.length ? meters[i + 1][0] : Math.max(last, onset + 1);
    for (let tick = onset; tick < stop; tick += length) found.push(tick);
    if (i + 1 === meters.length) found.push(found[found.length - 1] + length);
  });
  return found;
}

// Number of the bar (from 1) that holds a tick.
export function barAt(lines, tick) {
  let low = 0, high = Math.max(0, lines.length - 1);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle] <= tick) low = middle + 1; else high = middle;
  }
  return Math.max(1, low);
}

// Length of the beat in ticks at a tick: a dotted note in 6/8, 9/8, 12/8 and their like.
export function beatTicks(meters, tick) {
  let [, numerator, denominator] = meters[0];
  for (const meter of meters) if (meter[0] <= tick) [, numerator, denominator] = meter;
  const unit = 96 / denominator;
  return denominator >= 8 && numerator % 3 === 0 && numerator > 3 ? 3 * unit : unit;
}
