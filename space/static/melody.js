// A melody as text, the way the server reads it: "C5/8 B4/16 r/4 Ab4/4."; middle C is C4. 24 ticks a quarter.
const NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
const CLASSES = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const SIGNS = { "#": 1, "♯": 1, b: -1, "♭": -1 };
const WORD = /^(?:([A-Ga-g])([#b♯♭]*)(-?\d)|([rR]))(?:\/(\d+\.*(?:\+\d+\.*)*))?$/;
// Values with their ticks, from long to short; dotted ones, and those of triplets.
const VALUES = [["1.", 144], ["1", 96], ["2.", 72], ["2", 48], ["4.", 36], ["4", 24], ["8.", 18], ["8", 12], ["16.", 9], ["12", 8], ["16", 6],
  ["24", 4], ["32", 3], ["48", 2], ["96", 1]];

// A pitch as a word of that text, easy to type, and as people read it.
export const wordOf = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
export const nameOf = (pitch) => wordOf(pitch).replace("#", "♯").replace("b", "♭");

function ticksOf(value) {
  return value.split("+").reduce((sum, part) => {
    const number = parseInt(part, 10), dots = part.length - String(number).length;
    return sum + 96 / number * (2 - 0.5 ** dots);
  }, 0);
}

function valueOf(ticks) {
  const parts = [];
  for (const [name, length] of VALUES) while (ticks >= length) { parts.push(name); ticks -= length; }
  return parts.join("+");
}

// Notes as [onset, duration, pitch, name], the first word that is none, and where the last value ends.
export function parse(text) {
  const notes = [];
  let now = 0, ticks = 24, wrong = null;
  for (const word of text.replace(/[|,]/g, " ").split(/\s+/).filter(Boolean)) {
    const found = WORD.exec(word);
    const [, letter, signs, octave, , value] = found || [], length = value ? ticksOf(value) : ticks;
    const pitch = letter ? 12 * (Number(octave) + 1) + CLASSES[letter.toUpperCase()] + [...signs].reduce((sum, sign) => sum + SIGNS[sign], 0) : 0;
    // The server, too, takes whole ticks and the pitches of MIDI only.
    if (!found || !Number.isInteger(length) || pitch < 0 || pitch > 127) { wrong ??= word; continue; }
    ticks = length;
    if (letter) notes.push([now, ticks, pitch, `${letter}${signs}${octave}`]);
    now += ticks;
  }
  return { notes, wrong, end: now };
}

// The text of notes that follow one another; silence between them becomes rests.
export function write(notes) {
  const words = [];
  let now = 0;
  for (const [onset, duration, pitch, name] of [...notes].sort((a, b) => a[0] - b[0])) {
    if (onset > now) words.push(`r/${valueOf(onset - now)}`);
    words.push(`${name || wordOf(pitch)}/${valueOf(duration)}`);
    now = onset + duration;
  }
  return words.join(" ");
}

// The notes with one more. It is one voice: what it covers gives way, as far as it is covered.
export function place(notes, note) {
  const [from, to] = [note[0], note[0] + note[1]], kept = [];
  for (const one of notes) {
    const end = one[0] + one[1];
    if (end <= from || one[0] >= to) kept.push(one);
    else if (one[0] < from) kept.push([one[0], from - one[0], one[2], one[3]]);
  }
  return [...kept, note].sort((a, b) => a[0] - b[0]);
}
