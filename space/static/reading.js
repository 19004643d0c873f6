// The score in words, bar by bar and voice by voice, for who cannot see it.
import { say } from "./words.js";

const LENGTHS = [96, 72, 48, 36, 24, 18, 12, 9, 6, 3];

function length(ticks) {
  if (LENGTHS.includes(ticks)) return say(`length-${ticks}`);
  return say("length-other", { quarters: Number((ticks / 24).toFixed(2)) });
}

// A heading and a list of voices for every bar. `lines` are the ticks of the bar lines.
export function inWords(piece, lines) {
  const parts = [];
  for (let bar = 0; bar + 1 < lines.length; bar += 1) {
    const heading = document.createElement("h2"), list = document.createElement("ul");
    heading.textContent = say("bar", { bar: bar + piece.first });
    for (let voice = 0; voice < 5; voice += 1) {
      const phrases = [];
      piece.notes.forEach(([onset, duration, , whose], i) => {
        if (whose !== voice || onset < lines[bar] || onset >= lines[bar + 1]) return;
        const beat = Number(((onset - lines[bar]) / 24 + 1).toFixed(2));
        phrases.push(say("read-note", { name: piece.names[i], length: length(duration), beat }));
      });
      if (!phrases.length) continue;
      const item = document.createElement("li");
      item.textContent = `${say(`voice-${voice}`)}: ${phrases.join(", ")}.`;
      list.append(item);
    }
    if (list.children.length) parts.push(heading, list);
  }
  return parts;
}
