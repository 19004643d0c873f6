// The passages of the report, whose buttons are part of its HTML: the one in the piece is selected and played in a loop;
// the bars beside each other are played alone.
import { desk } from "./desk.js";

export function listenForPassage() {
  document.addEventListener("click", (event) => {
    const shown = event.target.closest(".mg-passage"), heard = event.target.closest(".mg-hear");
    if (shown && desk.piece) show(shown);
    if (heard) hear(heard);
  });
  desk.player.addEventListener("state", () => { if (desk.player.playing) hush(); });
}

function show(button) {
  const { bar, voice, notes } = Object.fromEntries(Object.entries(button.dataset).map(([name, value]) => [name, Number(value)]));
  const from = bar - desk.piece.first + 1, begin = desk.lines[from - 1];
  const run = desk.piece.notes.filter((note) => note[3] === voice && note[0] >= begin).slice(0, notes);
  if (!run.length) return;
  desk.select({ from, to: desk.barOf(run[run.length - 1][0]), voices: new Set([voice]) });
  desk.player.setLoop(true);
  desk.player.seek(begin);
  desk.player.play();
}

let sounding = null;            // the button that was pressed, and the timers of its notes

function hush() {
  if (!sounding) return;
  sounding.timers.forEach(clearTimeout);
  sounding.button.setAttribute("aria-pressed", "false");
  sounding = null;
  desk.synth.release();
}

// Play the button's notes; a second press ends them.
async function hear(button) {
  const again = sounding && sounding.button === button;
  hush();
  if (again) return;
  desk.player.pause();
  await desk.synth.resume().catch(() => {});
  const { synth } = desk, tick = 60 / (Number(button.dataset.qpm) * 24), rows = JSON.parse(button.dataset.rows);
  const timers = rows.map(([onset, duration, pitch, voice]) => setTimeout(() => {
    synth.note(voice, pitch, 0, synth.now, synth.now + duration * tick - 0.012);
  }, onset * tick * 1000));
  const last = Math.max(...rows.map(([onset, duration]) => onset + duration));
  timers.push(setTimeout(hush, last * tick * 1000));
  sounding = { button, timers };
  button.setAttribute("aria-pressed", "true");
}
