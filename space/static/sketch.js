// The small roll of the visitor's own music: one draws in it. A press in an empty place writes a note of the chosen value, dragging makes it
// as long as the way; a note is moved by dragging it and taken away by a tap. With the keyboard the arrows move a cursor, Enter writes a note
// there or takes it away.
import { nameOf, place, write } from "./melody.js";
import { say } from "./words.js";

const GRID = 6;                 // ticks: a sixteenth
const GUTTER = 26;              // pixels for the names of the octaves
const LOW = 55, HIGH = 84;      // what is always seen
const BLACK = [1, 3, 6, 8, 10];
const FEWEST = 192;             // ticks that are always seen
const LEAST = 1.6;              // pixels a tick, while that leaves room for FEWEST

export class Sketch {
  // `own` has text(), setText(text), ticks(): the chosen value, and sound(pitch).
  constructor(canvas, says, own) {
    Object.assign(this, { canvas, says, own, cursor: { tick: 0, pitch: 72 }, held: null });
    this.notes = [];
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", () => this.letGo());
    canvas.addEventListener("pointercancel", () => { this.held = null; this.show(this.notes); });
    canvas.addEventListener("keydown", (event) => this.key(event));
    ["focus", "blur"].forEach((name) => canvas.addEventListener(name, () => this.draw()));
  }

  show(notes) {
    this.notes = notes;
    if (!this.held) this.frame();
    this.draw();
  }

  // What is seen: ticks and pitches. It stays as it is while a note is held.
  frame() {
    const last = this.notes.reduce((most, [onset, duration]) => Math.max(most, onset + duration), 0), pitches = this.notes.map((note) => note[2]);
    const roomy = Math.min(384, Math.max(FEWEST, Math.floor(this.width / LEAST)));
    this.end = Math.max(roomy, 96 * Math.ceil((last + 48) / 96));
    [this.low, this.high] = [Math.min(LOW, ...pitches.map((pitch) => pitch - 2)), Math.max(HIGH, ...pitches.map((pitch) => pitch + 2))];
  }

  get width() { return this.canvas.clientWidth - GUTTER; }
  get row() { return this.canvas.clientHeight / (this.high - this.low + 1); }

  draw() {
    const { canvas, width } = this, height = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
    if (width <= 0 || !this.end) return;
    [canvas.width, canvas.height] = [canvas.clientWidth * ratio, height * ratio];
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas), colour = (name) => style.getPropertyValue(name).trim();
    const x = (tick) => GUTTER + tick / this.end * width, y = (pitch) => (this.high - pitch) * this.row;
    pen.scale(ratio, ratio);
    pen.fillStyle = colour("--mg-paper");
    pen.fillRect(0, 0, canvas.clientWidth, height);
    pen.fillStyle = colour("--mg-black-row");
    for (let pitch = this.low; pitch <= this.high; pitch += 1) if (BLACK.includes(pitch % 12)) pen.fillRect(GUTTER, y(pitch), width, this.row);
    pen.fillStyle = colour("--mg-bar");
    for (let tick = 0; tick < this.end; tick += 24) pen.fillRect(Math.round(x(tick)), tick % 96 ? height - 5 : 0, 1, height);
    pen.fillStyle = colour("--mg-voice-1");
    for (const [onset, duration, pitch] of this.held ? this.held.notes : this.notes) {
      pen.beginPath();
      pen.roundRect(x(onset), y(pitch), Math.max(3, x(onset + duration) - x(onset) - 1), Math.max(3, this.row), 2);
      pen.fill();
    }
    pen.fillStyle = colour("--mg-ink");
    pen.font = "10px system-ui, sans-serif";
    for (let pitch = this.low; pitch <= this.high; pitch += 1) if (pitch % 12 === 0) pen.fillText(nameOf(pitch), 3, Math.max(9, y(pitch) + this.row - 1));
    if (document.activeElement !== canvas) return;
    pen.strokeStyle = colour("--mg-playhead");
    pen.lineWidth = 2;
    pen.strokeRect(x(this.cursor.tick), y(this.cursor.pitch), Math.max(4, x(this.own.ticks()) - GUTTER), Math.max(4, this.row));
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect(), bounded = (value, most) => Math.min(Math.max(0, value), most);
    const tick = bounded((event.clientX - box.left - GUTTER) / (box.width - GUTTER), 1) * this.end;
    const pitch = this.high - Math.floor(bounded((event.clientY - box.top) / this.row, this.high - this.low));
    return { tick, pitch, index: this.under(tick, pitch) };
  }

  under(tick, pitch) { return this.notes.findIndex(([onset, duration, p]) => p === pitch && tick >= onset && tick < onset + duration); }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const { tick, pitch, index } = this.at(event), others = this.notes.filter((_, i) => i !== index);
    const note = index >= 0 ? this.notes[index] : [GRID * Math.floor(tick / GRID), this.own.ticks(), pitch];
    this.held = { note, others, from: { tick, pitch }, moved: false, there: index >= 0, notes: place(others, note) };
    this.own.sound(note[2]);
    this.draw();
  }

  drag(event) {
    const { held } = this;
    if (!held) return;
    const { tick, pitch } = this.at(event), way = GRID * Math.round((tick - held.from.tick) / GRID), [onset, duration, p, name] = held.note;
    if (way || pitch !== held.from.pitch) held.moved = true;
    if (!held.moved) return;
    const before = held.now ? held.now[2] : p, to = p + pitch - held.from.pitch;
    if (held.there) held.now = [Math.max(0, onset + way), duration, to, to === p ? name : undefined];
    else held.now = [onset, way > 0 ? Math.max(GRID, GRID * Math.ceil((tick - onset) / GRID)) : duration, pitch];
    if (held.now[2] !== before) this.own.sound(held.now[2]);
    held.notes = place(held.others, held.now);
    this.draw();
  }

  letGo() {
    const { held } = this;
    if (!held) return;
    this.held = null;
    this.change(held.there && !held.moved ? held.others : held.notes);
  }

  change(notes) { this.own.setText(write(notes)); }

  key(event) {
    const { cursor, own } = this;
    const steps = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (steps) {
      cursor.tick = Math.min(Math.max(0, cursor.tick + steps[0] * own.ticks()), this.end - GRID);
      cursor.pitch = Math.min(Math.max(this.low, cursor.pitch + steps[1]), this.high);
      own.sound(cursor.pitch);
    } else if (event.key === "Enter" || event.key === " ") {
      const index = this.under(cursor.tick, cursor.pitch);
      if (index >= 0) this.change(this.notes.filter((_, i) => i !== index));
      else {
        this.change(place(this.notes, [cursor.tick, own.ticks(), cursor.pitch]));
        own.sound(cursor.pitch);
        cursor.tick += own.ticks();
      }
    } else return;
    event.preventDefault();
    this.says.textContent = say("sketch-at", { name: nameOf(cursor.pitch), bar: Math.floor(cursor.tick / 96) + 1, beat: cursor.tick % 96 / 24 + 1 });
    this.draw();
  }
}

