// Changing single notes of the roll: one note has the cursor; it is moved by dragging, by keys or by the buttons below the roll.
import { desk } from "./desk.js";

const GRID = 6;                 // ticks: a sixteenth
const WAIT = 700;               // milliseconds after the last change before the server is told

export class NoteEditor {
  constructor(roll, element, send) {
    this.roll = roll;
    this.send = send;
    this.index = -1;            // the note with the cursor
    this.changed = null;        // the same note as it is now; false when it has been deleted
    this.panel = element.querySelector(".mg-note");
    this.name = element.querySelector(".mg-note-name");
    this.panel.querySelectorAll("[data-move]").forEach((button) => button.addEventListener("click", () => this.move(button.dataset.move)));
    this.listen(roll.canvas);
  }

  get possible() { return Boolean(desk.piece) && desk.showing === "now" && ["done", "finishing", "error"].includes(desk.piece.state); }

  // A note as it is to be drawn.
  shown(i) { return i === this.index && this.changed ? this.changed : desk.piece.notes[i]; }

  choose(index) {
    if (index !== this.index) this.flush();
    this.index = index;
    this.changed = index >= 0 ? [...desk.piece.notes[index]] : null;
    this.panel.hidden = index < 0;
    if (index >= 0) {
      this.name.textContent = this.roll.describe(index);
      this.sound();
    }
    this.roll.redraw();
  }

  forget() {
    this.flush();
    this.index = -1;
    this.changed = null;
    this.panel.hidden = true;
  }

  sound() {
    const { synth, player } = desk, [, duration, pitch, voice] = this.changed;
    if (!player.playing && synth.context) synth.note(voice, pitch, 80, synth.now, synth.now + Math.min(1, duration / player.rate));
  }

  // The next note in reading order, of those in the selection if there is one.
  step(by) {
    if (!this.possible) return;
    const { notes } = desk.piece, count = notes.length;
    let index = this.index >= 0 ? this.index + by : notes.findIndex((note) => note[0] >= desk.player.position);
    while (index >= 0 && index < count && desk.selection && !desk.selected(notes[index])) index += by;
    if (index < 0 || index >= count) return;
    this.choose(index);
    this.roll.follow(notes[index][0]);
  }

  move(how) {
    if (this.index < 0 || !this.possible) return;
    const note = this.changed;
    if (how === "up") note[2] = Math.min(108, note[2] + 1);
    if (how === "down") note[2] = Math.max(21, note[2] - 1);
    if (how === "later") note[0] += GRID;
    if (how === "earlier") note[0] = Math.max(0, note[0] - GRID);
    if (how === "delete") { this.finish(null); return; }
    this.sound();
    this.roll.redraw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), WAIT);
  }

  // Tell the server what has been changed, if anything has.
  flush() {
    clearTimeout(this.timer);
    if (this.index < 0 || !this.changed) return;
    if (String(this.changed) !== String(desk.piece.notes[this.index])) this.finish(this.changed);
  }

  finish(note) {
    const notes = desk.piece.notes.map((one, i) => (i === this.index ? note : one)).filter(Boolean);
    this.index = -1;
    this.changed = null;
    this.panel.hidden = true;
    if (notes.length) this.send(notes, note);
  }

  listen(canvas) {
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (!desk.piece) return;
      const under = this.roll.at(event);
      from = { ...under, x: event.clientX, y: event.clientY, moved: false };
      if (under.index >= 0 && this.possible) {
        this.choose(under.index);
        if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
      }
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from || this.index < 0 || from.index !== this.index || event.pointerType !== "mouse") return;
      if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > 4) from.moved = true;
      if (!from.moved) return;
      const { tick, pitch } = this.roll.at(event), note = desk.piece.notes[this.index];
      const before = this.changed[2];
      this.changed[2] = Math.min(108, Math.max(21, note[2] + pitch - from.pitch));
      this.changed[0] = Math.max(0, note[0] + GRID * Math.round((tick - from.tick) / GRID));
      if (before !== this.changed[2]) this.sound();
      this.roll.redraw();
    });
    canvas.addEventListener("pointerup", () => {
      if (!from) return;
      if (from.moved) this.flush();
      else if (from.index < 0) { this.forget(); desk.player.seek(from.tick); } else desk.player.seek(desk.piece.notes[from.index][0]);
      from = null;
    });
    canvas.addEventListener("pointercancel", () => { from = null; });
  }
}
