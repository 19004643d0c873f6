// The passage that the report names: selected in the piece and played in a loop. The button is part of the report's HTML.
import { desk } from "./desk.js";

export function listenForPassage() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".mg-passage");
    if (!button || !desk.piece) return;
    const { bar, voice, notes } = Object.fromEntries(Object.entries(button.dataset).map(([name, value]) => [name, Number(value)]));
    const from = bar - desk.piece.first + 1, begin = desk.lines[from - 1];
    const run = desk.piece.notes.filter((note) => note[3] === voice && note[0] >= begin).slice(0, notes);
    if (!run.length) return;
    desk.select({ from, to: desk.barOf(run[run.length - 1][0]), voices: new Set([voice]) });
    desk.player.setLoop(true);
    desk.player.seek(begin);
    desk.player.play();
  });
}
