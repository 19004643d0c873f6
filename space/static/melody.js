// A melody as text, the way the server reads it: "C5/8 B4/16 r/4 Ab4/4."; middle C is C4. 24 ticks a quarter.
const NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
const CLASSES = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const SIGNS = { "#": 1, "♯": 1, b: -1, "♭": -1 };
const WORD = /^(?:([A-Ga-g])([#b♯♭]*)(-?\d)|([rR]))(?:\/(\d+\.*(?:\+\d+\.*)*))?$/;

export const nameOf = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

function ticksOf(value) {
  return value.split("+").reduce((sum, part) => {
    const number = parseInt(part, 10), dots = part.length - String(number).length;
    return sum + 96 / number * (2 - 0.5 ** dots);
  }, 0);
}

// Notes as [onset, duration, pitch], and the first word that is none.
export function parse(text) {
  const notes = [];
  let now = 0, ticks = 24, wrong = null;
  for (const word of text.replace(/[|,]/g, " ").split(/\s+/).filter(Boolean)) {
    const found = WORD.exec(word);
    if (!found) { wrong ??= word; continue; }
    const [, letter, signs, octave, , value] = found;
    if (value) ticks = ticksOf(value);
    if (letter) notes.push([now, ticks, 12 * (Number(octave) + 1) + CLASSES[letter.toUpperCase()] + [...signs].reduce((sum, sign) => sum + SIGNS[sign], 0)]);
    now += ticks;
  }
  return { notes, wrong, end: now };
}
