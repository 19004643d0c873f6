// What the parts of the page share: the piece that is shown, the one before it, what is selected, and the player.
// Fires "piece", "selection", "time" and "voices".
import { barAt, barLines } from "./bars.js";
import { Player } from "./player.js";
import { Synth } from "./synth.js";

class Desk extends EventTarget {
  constructor() {
    super();
    this.synth = new Synth(new URL("./", import.meta.url).href);
    this.player = new Player(this.synth);
    this.pieces = { now: null, before: null };   // finished pieces to compare; `now` may still grow
    this.engravings = new Map();                 // take -> engraving
    this.showing = "now";
    this.selection = null;                       // { from, to, voices }: bars from 1, both included; a set of voices from 0
    this.muted = new Set();
    this.solo = new Set();
    this.listen = localStorage.getItem("musicgpt:listen") !== "no";
    this.wanted = false;                         // whether the piece that is about to come is to be played at once
    this.player.addEventListener("state", () => this.tell());
    ["pointerdown", "keydown"].forEach((name) => window.addEventListener(name, () => this.synth.resume().catch(() => {}), { once: true }));
  }

  // Whether something else can be asked for: nothing is being composed or written.
  get idle() { return Boolean(this.pieces.now) && ["done", "error"].includes(this.pieces.now.state); }
  get piece() { return this.showing === "before" && this.pieces.before ? this.pieces.before : this.pieces.now; }
  get lines() { return this.player.lines; }
  get bars() { return this.piece && this.piece.notes.length ? this.lines.length - 1 : 0; }
  get voices() { return this.piece ? [...new Set(this.piece.notes.map((note) => note[3]))].sort() : []; }

  fire(name) { this.dispatchEvent(new Event(name)); }

  // A value from the server.
  receive(piece) {
    const old = this.pieces.now, fresh = !old || old.take !== piece.take;
    if (fresh && old && !["waiting", "running"].includes(old.state) && old.notes.length) this.pieces.before = old;
    // Nothing has come of the last press, and the piece before it is back: there is nothing to compare it with.
    else if (fresh && this.pieces.before && this.pieces.before.take === piece.take) this.pieces.before = null;
    // What waits for its first note keeps the last one as it was.
    this.pieces.now = piece;
    this.showing = "now";
    const grows = ["waiting", "running"].includes(piece.state);
    if (fresh) {
      // The same piece, changed or as it was before: its bars mean the same.
      const kin = Boolean(old) && (piece.kin === old.take || old.kin === piece.take);
      if (!kin) this.select(null);
      if (grows && !kin) { this.player.pause(); this.player.set(piece, { rewind: true }); } else this.player.set(piece, { rewind: !kin });
    } else this.player.set(piece);
    if (this.selection && this.selection.from > this.bars && piece.notes.length) this.select(null);
    this.silence();
    this.mayPlay(grows);
    this.fire("piece");
    this.tell();
  }

  // Play as soon as there is something, if the visitor has asked for a piece and wants to listen.
  mayPlay(grows) {
    if (this.piece.state === "error") this.wanted = false;
    if (!this.wanted || !this.piece.notes.length) return;
    if (grows && !this.player.frontier) return;
    this.wanted = false;
    if (this.listen) this.player.play();
  }

  setListen(listen) {
    this.listen = listen;
    localStorage.setItem("musicgpt:listen", listen ? "yes" : "no");
  }

  // Show and play the piece before the last change, or the new one again; the clock goes on.
  compare() {
    if (!this.pieces.before) return;
    this.showing = this.showing === "now" ? "before" : "now";
    this.player.set(this.piece);
    this.silence();
    this.fire("piece");
    this.tell();
  }

  select(selection) {
    if (selection) {
      const [a, b] = [selection.from, selection.to].map((bar) => Math.min(Math.max(1, Math.round(bar)), Math.max(1, this.bars)));
      const voices = new Set(selection.voices && selection.voices.size ? selection.voices : this.voices);
      selection = { from: Math.min(a, b), to: Math.max(a, b), voices };
    }
    this.selection = selection;
    this.player.setLoop(this.player.looping, selection ? [this.lines[selection.from - 1], this.lines[selection.to]] : null);
    this.fire("selection");
  }

  selected(note) {
    const chosen = this.selection;
    if (!chosen || !chosen.voices.has(note[3])) return false;
    return note[0] >= this.lines[chosen.from - 1] && note[0] < this.lines[chosen.to];
  }

  // Take a voice into the selection or out of it; the last one stays.
  chooseVoice(voice) {
    const chosen = this.selection || { from: 1, to: this.bars, voices: new Set() }, voices = new Set(chosen.voices);
    if (voices.has(voice) && voices.size > 1) voices.delete(voice); else voices.add(voice);
    this.select({ ...chosen, voices });
  }

  // The number of a bar as the score prints it: an upbeat is bar 0.
  printed(bar) { return bar - 1 + (this.piece ? this.piece.first : 1); }

  barOf(tick) { return barAt(this.lines, tick); }

  toggleVoice(set, voice) {
    if (set.has(voice)) set.delete(voice); else set.add(voice);
    this.silence();
    this.fire("voices");
  }

  // A voice alone silences the others, unless the piece has no such voice.
  silence() {
    const alone = this.voices.some((voice) => this.solo.has(voice));
    this.synth.silence(new Set([0, 1, 2, 3, 4].filter((voice) => this.muted.has(voice) || (alone && !this.solo.has(voice)))));
  }

  // Where the clock is; called again with every picture while it runs.
  tell() {
    this.fire("time");
    if (this.player.playing && !this.ticking) {
      this.ticking = true;
      requestAnimationFrame(() => { this.ticking = false; this.tell(); });
    }
  }
}

export const desk = new Desk();
window.musicgpt = desk;         // for tests and for whoever looks into the page
export { barLines };
