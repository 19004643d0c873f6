// The engraved score: shows the SVG pages, runs a line over them while the player runs, and selects bars.
import { desk } from "./desk.js";
import { inWords } from "./reading.js";
import { loaded, say, translate } from "./words.js";

const KEPT = 4;                 // engravings that are kept to compare pieces
const DRAG = 8;                 // pixels from which a press is a drag

class Sheet {
  constructor(element) {
    this.view = element.querySelector(".mg-score");
    [this.title, this.pages, this.marks, this.line, this.empty] =
      [".mg-title", ".mg-pages", ".mg-marks", ".mg-line", ".mg-empty"].map((name) => this.view.querySelector(name));
    [this.pick, this.print, this.reading, this.text] =
      [".mg-pick", ".mg-print", ".mg-reading", ".mg-reading-text"].map((name) => element.querySelector(name));
    this.score = null;
    this.spots = null;          // [tick, x, top, bottom, ids] of every onset, relative to the view's content; found when first needed
    this.lit = [];
    this.picked = null;
  }

  // The engraving of the piece that is shown.
  show() {
    const value = desk.piece ? desk.engravings.get(desk.piece.take) || null : null;
    if (value === this.score) return;
    const kin = value && this.score && desk.piece.kin;
    this.score = value;
    this.pages.innerHTML = value ? value.pages.map((page, i) => `<div class="mg-page" role="img" aria-label="${say("page", { page: i + 1 })}">${page}</div>`).join("") : "";
    this.pages.classList.toggle("mg-narrow", window.innerWidth < 640);
    this.title.textContent = value ? value.title : "";
    this.empty.hidden = Boolean(value);
    this.print.disabled = !value;
    this.line.hidden = true;
    this.spots = null;
    this.lit = [];
    if (!kin) this.view.scrollTop = 0;
    this.mark();
    if (this.reading.open) this.read();
  }

  receive(value) {
    if (value && value.pages && value.pages.length) {
      desk.engravings.set(value.take, value);
      while (desk.engravings.size > KEPT) desk.engravings.delete(desk.engravings.keys().next().value);
    }
    this.show();
  }

  frame() {
    const box = this.view.getBoundingClientRect();
    return { left: box.left - this.view.scrollLeft, top: box.top - this.view.scrollTop, width: box.width };
  }

  measure() {
    const frame = this.frame();
    if (!frame.width) return;
    this.spots = [];
    for (const [tick, ids] of this.score.times) {
      const note = ids.map((id) => document.getElementById(id)).find(Boolean);
      const head = note && (note.querySelector(".notehead") || note), system = note && note.closest(".system");
      if (!head || !system) continue;
      const box = head.getBoundingClientRect(), around = system.getBoundingClientRect();
      this.spots.push([tick, box.left + box.width / 2 - frame.left, around.top - frame.top, around.bottom - frame.top, ids]);
    }
  }

  light(ids) {
    this.lit.forEach((note) => note.classList.remove("mg-sounding"));
    this.lit = ids.map((id) => document.getElementById(id)).filter(Boolean);
    this.lit.forEach((note) => note.classList.add("mg-sounding"));
  }

  place(tick, running) {
    if (!this.spots || !this.spots.length) this.measure();
    const { spots, view, line } = this;
    if (!spots || !spots.length) return;
    let low = 0, high = spots.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (spots[middle][0] <= tick) low = middle; else high = middle - 1;
    }
    const here = spots[low], next = spots[low + 1];
    let x = here[1];
    if (next && next[2] === here[2] && tick > here[0]) x += (next[1] - here[1]) * (tick - here[0]) / (next[0] - here[0]);
    line.hidden = false;
    line.style.transform = `translate(${x}px, ${here[2]}px)`;
    line.style.height = `${here[3] - here[2]}px`;
    if (this.lit.length !== here[4].length || !this.lit.every((note) => here[4].includes(note.id))) this.light(here[4]);
    // Only the score's own frame scrolls: the page stays where its reader put it.
    if (running && (here[2] < view.scrollTop || here[3] > view.scrollTop + view.clientHeight)) view.scrollTop = Math.max(0, here[2] - 16);
    if (running && (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth)) view.scrollLeft = Math.max(0, x - 40);
  }

  // Shade the selected bars; what is not selected in them stays pale.
  mark() {
    const bars = [...this.pages.querySelectorAll(".measure")], chosen = desk.selection;
    this.pages.querySelectorAll(".mg-chosen-note").forEach((note) => note.classList.remove("mg-chosen-note"));
    this.marks.replaceChildren();
    if (!chosen || !this.score) return;
    const frame = this.frame();
    for (const bar of bars.slice(chosen.from - 1, chosen.to)) {
      const box = this.boxOf(bar), mark = document.createElement("div");
      Object.assign(mark.style, { left: `${box.left - frame.left}px`, top: `${box.top - frame.top - 4}px`, width: `${box.right - box.left}px`, height: `${box.bottom - box.top + 8}px` });
      this.marks.append(mark);
    }
    const [from, to] = [desk.lines[chosen.from - 1], desk.lines[chosen.to]];
    for (const [id, tick, voice] of this.score.notes)
      if (tick >= from && tick < to && chosen.voices.has(voice)) document.getElementById(id)?.classList.add("mg-chosen-note");
  }

  read() { this.text.replaceChildren(...(desk.piece && desk.piece.notes.length ? inWords(desk.piece, desk.lines) : [])); }

  barUnder(event) {
    const under = document.elementFromPoint(event.clientX, event.clientY), bar = under && under.closest(".measure");
    if (bar && this.pages.contains(bar)) return [...this.pages.querySelectorAll(".measure")].indexOf(bar) + 1;
    // Between the staves nothing is drawn: the measure is then found by its box.
    return 1 + [...this.pages.querySelectorAll(".measure")].findIndex((one) => {
      const box = this.boxOf(one);
      return event.clientX >= box.left && event.clientX < box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    });
  }

  // Where a bar is drawn, as wide as its staff lines: a tie of it may lead into the next one.
  boxOf(bar) {
    const { top, bottom } = bar.getBoundingClientRect(), { left, right } = bar.querySelector(".staff > path").getBoundingClientRect();
    return { left, right, top, bottom };
  }

  seek(event) {
    const note = event.target.closest(".note");
    const entry = note && this.score && this.score.times.find(([, ids]) => ids.includes(note.id));
    if (entry) desk.player.seek(entry[0]);
  }

  listen() {
    const choose = (from, to) => { if (from > 0 && to > 0) desk.select({ from, to, voices: desk.selection && desk.selection.voices }); };
    let first = 0, from = 0, moved = false;
    this.pages.addEventListener("pointerdown", (event) => { first = event.pointerType === "mouse" ? this.barUnder(event) : 0; from = event.clientX; moved = false; });
    this.pages.addEventListener("pointermove", (event) => {
      if (!first || !(event.buttons & 1)) return;
      const bar = this.barUnder(event);
      if (bar > 0 && (moved || Math.abs(event.clientX - from) > DRAG)) { moved = true; choose(first, bar); event.preventDefault(); }
    });
    this.pages.addEventListener("click", (event) => {
      if (moved) { moved = false; return; }
      if (this.pick.getAttribute("aria-pressed") !== "true") { this.seek(event); return; }
      const bar = this.barUnder(event);
      choose(this.picked || bar, bar);
      this.picked = this.picked ? null : bar;      // the first tap begins, the second ends
    });
    this.pick.addEventListener("click", () => {
      this.pick.setAttribute("aria-pressed", String(this.pick.getAttribute("aria-pressed") !== "true"));
      this.picked = null;
    });
    this.print.addEventListener("click", () => window.print());
    this.reading.addEventListener("toggle", () => { if (this.reading.open) this.read(); });
    this.view.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === " ") { desk.player.toggle(); event.preventDefault(); }
      if (event.key === "Escape") desk.select(null);
      if (!step || !event.shiftKey || !desk.bars) return;
      const chosen = desk.selection, bar = desk.barOf(desk.player.position);
      desk.select(chosen ? { ...chosen, to: Math.max(chosen.from, chosen.to + step) } : { from: bar, to: bar });
      event.preventDefault();
    });
    desk.addEventListener("piece", () => this.show());
    desk.addEventListener("selection", () => this.mark());
    desk.addEventListener("time", () => {
      if (!this.score || !this.view.isConnected) return;
      const tick = desk.player.position;
      if (!tick && !desk.player.playing) { this.line.hidden = true; this.light([]); return; }
      this.place(tick, desk.player.playing);
    });
    new ResizeObserver(() => { this.spots = null; this.mark(); }).observe(this.view);
  }
}

export async function mount(element, props, watch) {
  await loaded;
  translate(element);
  const sheet = new Sheet(element);
  sheet.listen();
  const receive = () => sheet.receive(typeof props.value === "string" ? (props.value ? JSON.parse(props.value) : null) : props.value);
  watch("value", receive);
  receive();
}
