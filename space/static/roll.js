// The piano roll: draws the notes it is given, grows while a piece is composed, and shows where the player is, what is selected and
// which note is being changed.
import { barLines, desk } from "./desk.js";
import { mountChoice } from "./choose.js";
import { NoteEditor } from "./edit.js";
import { mountTransport } from "./transport.js";
import { mountLink } from "./link.js";
import { mend } from "./mend.js";
import { listenForPassage } from "./passage.js";
import { loaded, say, translate } from "./words.js";

const GUTTER = 36;              // pixels for the names of the octaves
const TOP = 26;                 // and for the numbers of the bars, wide enough for a finger
const BLACK = [1, 3, 6, 8, 10];
const LEAST = 48 / 96;          // a bar of 4/4 is never narrower than 48 pixels; a longer piece scrolls, and the playhead is followed

class Roll {
  constructor(element) {
    const find = (selector) => element.querySelector(selector);
    this.root = find(".mg-roll");
    [this.status, this.bar, this.scroller, this.spacer, this.canvas, this.ruler, this.tip, this.pale] =
      [".mg-status", ".mg-progress", ".mg-scroller", ".mg-spacer", ".mg-canvas", ".mg-ruler", ".mg-tip", ".mg-pale"].map(find);
    this.pixels = 1;            // pixels a tick
    this.fitted = true;         // show the whole piece until somebody zooms
    this.range = [48, 84];      // lowest and highest pitch shown
    this.lines = [];            // ticks of the bar lines
    this.end = 1;               // tick at which the last bar ends
    this.hovered = -1;
    this.frame = 0;
    this.take = null;
  }

  get piece() { return desk.piece; }

  measure() {
    const { notes, meters, state } = this.piece;
    this.lines = barLines(meters, notes.reduce((most, note) => Math.max(most, note[0] + note[1]), 0));
    this.end = this.lines[this.lines.length - 1];
    let low = 127, high = 0;
    for (const note of notes) { low = Math.min(low, note[2]); high = Math.max(high, note[2]); }
    if (!notes.length) { low = 48; high = 79; }
    // The range only grows while a piece is composed, so that the notes that are there do not jump at every new one.
    if (state === "running" && notes.length) { low = Math.min(low, 48); high = Math.max(high, 76); }
    this.range = [low - 2, high + 2];
  }

  layout() {
    const inner = Math.max(60, this.scroller.clientWidth - GUTTER);
    if (this.fitted) this.pixels = Math.max(inner / Math.max(this.end, 96 * 4), LEAST);
    this.pixels = Math.min(Math.max(this.pixels, Math.min(inner / this.end, LEAST)), 24);
    this.spacer.style.width = `${Math.max(inner, Math.ceil(this.end * this.pixels)) + GUTTER}px`;
    const ratio = window.devicePixelRatio || 1;
    const width = this.scroller.clientWidth, height = this.canvas.clientHeight || 260;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    this.canvas.style.width = `${width}px`;
  }

  colour(name) { return getComputedStyle(this.root).getPropertyValue(name).trim(); }

  playhead() {
    const { player } = desk;
    return player.playing || player.position > 0 ? player.position : null;
  }

  draw() {
    this.frame = 0;
    if (!this.piece || !this.canvas.isConnected) return;
    const ratio = window.devicePixelRatio || 1, pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const width = this.canvas.width / ratio, height = this.canvas.height / ratio;
    const row = (height - TOP) / (this.range[1] - this.range[0] + 1);
    const y = (pitch) => TOP + (this.range[1] - pitch) * row;
    const x = (tick) => GUTTER + tick * this.pixels - this.scroller.scrollLeft;
    this.drawPaper(pen, width, height, row, y);
    this.drawSelection(pen, height, x);
    this.drawBars(pen, width, height, x);
    this.drawNotes(pen, width, row, x, y);
    this.drawKeys(pen, height, row, y);
    const now = this.playhead();
    if (now !== null && x(now) >= GUTTER) {
      pen.fillStyle = this.colour("--mg-playhead");
      pen.fillRect(x(now) - 1, TOP - 8, 2, height);
    }
  }

  drawPaper(pen, width, height, row, y) {
    pen.fillStyle = this.colour("--mg-paper");
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = this.colour("--mg-black-row");
    for (let pitch = this.range[0]; pitch <= this.range[1]; pitch += 1)
      if (BLACK.includes(pitch % 12)) pen.fillRect(GUTTER, y(pitch), width, row);
  }

  drawSelection(pen, height, x) {
    const chosen = desk.selection;
    if (!chosen) return;
    const from = x(this.lines[chosen.from - 1]), to = x(this.lines[chosen.to]);
    pen.fillStyle = this.colour("--mg-chosen");
    pen.globalAlpha = 0.22;
    pen.fillRect(from, 0, to - from, height);
    pen.globalAlpha = 1;
    pen.fillRect(from, TOP - 3, to - from, 3);
  }

  drawBars(pen, width, height, x) {
    pen.font = "11px system-ui, sans-serif";
    let free = -1;
    for (let i = 0; i < this.lines.length; i += 1) {
      const at = x(this.lines[i]);
      if (at < GUTTER - 1 || at > width + 1) continue;
      pen.fillStyle = this.colour("--mg-bar");
      pen.fillRect(Math.round(at), TOP - 6, 1, height);
      if (i + 1 < this.lines.length && at > free) {
        pen.fillStyle = this.colour("--mg-ink");
        pen.fillText(String(desk.printed(i + 1)), at + 3, 15);
        free = at + 22;
      }
    }
  }

  drawNotes(pen, width, row, x, y) {
    const shades = [0, 1, 2, 3, 4].map((voice) => this.colour(`--mg-voice-${voice}`));
    const now = this.playhead(), edge = this.colour("--mg-paper"), mark = this.colour("--mg-playhead");
    const { notes, prompt } = this.piece, locked = new Set(this.piece.locked || []);
    for (let i = notes.length - 1; i >= 0; i -= 1) {
      const [onset, duration, pitch, voice] = this.editor.shown(i);
      const left = x(onset), long = Math.max(2, duration * this.pixels - (this.pixels > 0.6 ? 1 : 0.4));
      if (left + long < GUTTER || left > width) continue;
      const sounding = now !== null && desk.player.playing && onset <= now && now < onset + duration;
      pen.globalAlpha = i < prompt || locked.has(i) ? (sounding ? 0.75 : 0.4) : 1;
      pen.fillStyle = shades[voice];
      pen.beginPath();
      pen.roundRect(left, y(pitch) + 0.5, long, Math.max(2, row - 1), Math.min(3, row / 3));
      pen.fill();
      pen.globalAlpha = 1;
      const chosen = desk.selected(notes[i]);
      if (sounding || chosen || i === this.hovered || i === this.editor.index) {
        pen.lineWidth = i === this.editor.index ? 3 : chosen ? 1.5 : 2;
        pen.strokeStyle = mark;
        pen.stroke();
      } else if (row > 5) {
        pen.lineWidth = 0.7;
        pen.strokeStyle = edge;
        pen.stroke();
      }
    }
    if (prompt > 0 && prompt < notes.length) {
      const at = x(notes[prompt][0]) - 1;
      pen.strokeStyle = this.colour("--mg-ink");
      pen.lineWidth = 1.3;
      pen.setLineDash([5, 4]);
      pen.beginPath(); pen.moveTo(at, TOP); pen.lineTo(at, 2000); pen.stroke();
      pen.setLineDash([]);
    }
  }

  drawKeys(pen, height, row, y) {
    pen.fillStyle = this.colour("--mg-paper");
    pen.fillRect(0, 0, GUTTER, height);
    pen.fillStyle = this.colour("--mg-ink");
    pen.font = "10px system-ui, sans-serif";
    for (let pitch = this.range[0]; pitch <= this.range[1]; pitch += 1) {
      if (pitch % 12 === 0) pen.fillText(`C${pitch / 12 - 1}`, 12, y(pitch) + row / 2 + 3.5);
      pen.globalAlpha = BLACK.includes(pitch % 12) ? 0.75 : 0.12;
      pen.fillRect(0, y(pitch) + 0.5, 8, Math.max(1, row - 1));
      pen.globalAlpha = 1;
    }
  }

  redraw() { if (!this.frame) this.frame = requestAnimationFrame(() => this.draw()); }

  follow(tick) {
    const { scroller, pixels } = this, at = tick * pixels - scroller.scrollLeft, room = scroller.clientWidth - GUTTER;
    if (at > room * 0.92 || at < 0) scroller.scrollLeft = Math.max(0, tick * pixels - room * (desk.player.playing ? 0.12 : 0.8));
  }

  show() {
    const piece = this.piece;
    if (!piece) return;
    const fresh = this.take !== piece.take, before = this.state;
    if (fresh && !piece.kin) this.fitted = true;
    if (fresh) { this.hovered = -1; this.tip.hidden = true; this.editor.forget(); }
    [this.take, this.state] = [piece.take, piece.state];
    this.measure();
    this.layout();
    if ((fresh && !piece.kin) || (before === "running" && piece.state !== "running" && !desk.player.playing)) this.scroller.scrollLeft = 0;
    if (piece.state === "running" && !desk.player.playing) this.follow(this.end);
    this.root.dataset.state = piece.state;
    this.status.textContent = desk.showing === "before" ? `${say("showing-before")} ${piece.message}` : piece.message;
    this.bar.hidden = piece.progress === null;
    this.bar.setAttribute("aria-valuenow", String(Math.round(100 * (piece.progress || 0))));
    this.bar.firstElementChild.style.width = `${100 * (piece.progress || 0)}%`;
    this.canvas.setAttribute("aria-label", say("roll-label", { notes: piece.notes.length, bars: piece.notes.length ? this.lines.length - 1 : 0 }));
    this.pale.hidden = !(piece.prompt > 0 || (piece.locked && piece.locked.length));
    this.pale.textContent = say("paler");
    this.redraw();
  }

  zoom(how) {
    if (!this.piece) return;
    const { scroller } = this, middle = (scroller.scrollLeft + scroller.clientWidth / 2) / this.pixels;
    this.fitted = how === "fit";
    if (how === "in") this.pixels *= 1.5;
    if (how === "out") this.pixels /= 1.5;
    this.layout();
    scroller.scrollLeft = this.fitted ? 0 : middle * this.pixels - scroller.clientWidth / 2;
    this.redraw();
  }

  // The tick and the pitch under the pointer, and the note there or -1.
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const tick = (event.clientX - box.left - GUTTER + this.scroller.scrollLeft) / this.pixels;
    const row = (box.height - TOP) / (this.range[1] - this.range[0] + 1);
    const pitch = this.range[1] - Math.floor((event.clientY - box.top - TOP) / row), slack = 2 / this.pixels;
    const index = this.piece.notes.findIndex(([onset, duration, p]) => p === pitch && tick >= onset - slack && tick < onset + Math.max(duration, slack));
    return { tick, pitch, index };
  }

  describe(index) {
    const [onset, duration, , voice] = this.piece.notes[index], number = desk.barOf(onset);
    const beat = (onset - this.lines[number - 1]) / 24 + 1, quarters = Number((duration / 24).toFixed(2));
    return say(quarters === 1 ? "note-one" : "note-is", { name: this.piece.names[index], bar: desk.printed(number), beat: Number(beat.toFixed(2)), quarters, voice: voice + 1 });
  }

  hover(event) {
    if (!this.piece) return;
    const { index } = this.at(event);
    if (index !== this.hovered) { this.hovered = index; this.redraw(); }
    this.canvas.classList.toggle("mg-over-note", index >= 0 && this.editor.possible);
    this.tip.hidden = index < 0;
    if (index < 0) return;
    this.tip.textContent = this.describe(index);
    const box = this.root.querySelector(".mg-frame").getBoundingClientRect();
    this.tip.style.left = `${Math.max(2, Math.min(event.clientX - box.left + 12, box.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${Math.max(2, event.clientY - box.top - 30)}px`;
  }

  // Bars are selected by dragging along their numbers.
  listenToRuler() {
    const barUnder = (event) => desk.barOf((event.clientX - this.canvas.getBoundingClientRect().left - GUTTER + this.scroller.scrollLeft) / this.pixels);
    let first = null;
    this.ruler.addEventListener("pointerdown", (event) => {
      if (!desk.bars) return;
      this.ruler.setPointerCapture(event.pointerId);
      first = event.shiftKey && desk.selection ? desk.selection.from : barUnder(event);
      desk.select({ from: first, to: barUnder(event), voices: desk.selection && desk.selection.voices });
    });
    this.ruler.addEventListener("pointermove", (event) => {
      if (first !== null) desk.select({ from: first, to: barUnder(event), voices: desk.selection.voices });
    });
    ["pointerup", "pointercancel"].forEach((name) => this.ruler.addEventListener(name, () => { first = null; }));
  }

  listenToKeys() {
    const { scroller, editor } = this;
    const scroll = (to) => () => { scroller.scrollLeft = to(); };
    const grow = (step) => () => {
      const chosen = desk.selection;
      if (chosen) desk.select({ ...chosen, to: Math.max(chosen.from, chosen.to + step) });
      else { const bar = desk.barOf(desk.player.position); desk.select({ from: bar, to: bar }); }
    };
    const always = {
      "+": () => this.zoom("in"), "=": () => this.zoom("in"), "-": () => this.zoom("out"), "0": () => this.zoom("fit"), " ": () => desk.player.toggle(),
      ArrowRight: scroll(() => scroller.scrollLeft + scroller.clientWidth / 4), ArrowLeft: scroll(() => scroller.scrollLeft - scroller.clientWidth / 4),
      Home: scroll(() => 0), End: scroll(() => this.end * this.pixels), "shift+ArrowRight": grow(1), "shift+ArrowLeft": grow(-1),
      n: () => editor.step(1), p: () => editor.step(-1), a: () => desk.compare(),
      Escape: () => { if (editor.index >= 0) editor.forget(); else desk.select(null); this.redraw(); },
    };
    const withNote = {
      ArrowUp: () => editor.move("up"), ArrowDown: () => editor.move("down"), ArrowLeft: () => editor.move("earlier"), ArrowRight: () => editor.move("later"),
      Delete: () => editor.move("delete"), Backspace: () => editor.move("delete"),
    };
    this.canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const voice = Number(event.key) - 1, key = event.shiftKey && event.key.startsWith("Arrow") ? `shift+${event.key}` : event.key;
      let action = (editor.index >= 0 && withNote[key]) || always[key];
      if (voice >= 0 && desk.selection && desk.voices.includes(voice)) action = () => desk.chooseVoice(voice);
      if (action) { action(); event.preventDefault(); }
    });
  }

  listen(element) {
    const { canvas, scroller } = this;
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; this.hovered = -1; this.redraw(); });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? "in" : "out");
    }, { passive: false });
    element.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => this.zoom(button.dataset.zoom)));
    scroller.addEventListener("scroll", () => this.redraw());
    this.listenToRuler();
    this.listenToKeys();
    desk.addEventListener("piece", () => this.show());
    desk.addEventListener("selection", () => this.redraw());
    desk.addEventListener("time", () => {
      if (desk.player.playing && this.piece) { this.follow(desk.player.position); this.draw(); } else this.redraw();
    });
    new ResizeObserver(() => { if (this.piece) { this.layout(); this.redraw(); } }).observe(scroller);
    new MutationObserver(() => this.redraw()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  }
}

// `element`, `props`, `watch` and `trigger` come from gr.HTML, which runs this once, when the component is mounted.
export async function mount(element, props, watch, trigger) {
  await loaded;
  translate(element);
  const roll = new Roll(element);
  roll.editor = new NoteEditor(roll, element, (notes, touched) => trigger("edit", { take: desk.piece.take, notes, touched }));
  roll.listen(element);
  mountTransport(element, { chooseInstrument: (instrument) => trigger("instrument", { instrument }) });
  mountChoice(element, { revise: (asked) => trigger("revise", asked), lock: (asked) => trigger("lock", asked) });
  mountLink(element);
  mend();
  listenForPassage();
  const receive = () => {
    const value = typeof props.value === "string" ? (props.value ? JSON.parse(props.value) : null) : props.value;
    if (value) desk.receive(value);
  };
  watch("value", receive);
  receive();
  desk.synth.ready().catch(() => {});
}
