// The transport: plays the piece on the synth while a clock runs. It also plays a piece that is still being composed, and waits
// where there is nothing more yet. Fires "state" when something about it has changed.
import { barAt, barLines, beatTicks } from "./bars.js";

const AHEAD = 0.14;             // seconds that are sent to the synth in advance
const SOON = 0.03;              // seconds from a press to its first note
const EVERY = 30;               // milliseconds between two looks
const HIDDEN = 1.6;             // the same in advance for a page in the background, which is woken once a second

export class Player extends EventTarget {
  constructor(synth) {
    super();
    this.synth = synth;
    this.piece = null;
    this.lines = [0];
    this.end = 0;
    this.speed = 1;
    this.looping = false;
    this.region = null;         // [first tick, last tick] of the selected bars
    this.countIn = false;
    this.playing = false;
    this.failed = false;        // whether there was no sound when it was to play
    this.tick = 0;              // where the clock stood at `time`
    this.time = 0;
    this.sent = 0;              // up to this tick notes are with the synth
    this.timer = null;
    this.silent = 0;            // from then on nothing sounds that was sent before
  }

  get rate() { return (this.piece ? this.piece.qpm : 80) * 24 / 60 * this.speed; }   // ticks a second
  get growing() { return Boolean(this.piece) && ["waiting", "running"].includes(this.piece.state); }

  // The tick that sounds now.
  get position() {
    if (!this.playing) return this.tick;
    return this.tick + Math.max(0, this.synth.now - this.time) * this.rate;
  }

  // Another piece, or more of the same one; the clock goes on where it is.
  set(piece, { rewind = false } = {}) {
    const tick = this.position;
    this.piece = piece;
    const last = piece.notes.reduce((most, [onset, duration]) => Math.max(most, onset + duration), 0);
    this.last = last;
    this.frontier = piece.notes.length ? piece.notes[piece.notes.length - 1][0] : 0;
    this.lines = barLines(piece.meters, last);
    this.end = this.lines[this.lines.length - 1];
    if (rewind) this.seek(0);
    else if (this.playing) this.anchor(tick, Math.max(this.time, this.synth.now));
    this.changed();
  }

  changed() { this.dispatchEvent(new Event("state")); }

  anchor(tick, time) { this.tick = tick; this.time = time; }

  bounds() {
    if (!this.looping) return null;
    const [from, to] = this.region || [0, this.end];
    return to > from ? [from, to] : null;
  }

  async play() {
    if (this.playing || !this.piece) return;
    this.playing = true;
    this.failed = false;
    this.changed();
    try {
      await this.synth.resume();
    } catch {
      this.playing = false;
      this.failed = true;
      this.changed();
      return;
    }
    if (!this.playing) return;  // somebody pressed pause meanwhile
    const bounds = this.bounds();
    if (bounds && (this.tick < bounds[0] || this.tick >= bounds[1])) [this.tick] = bounds;
    if (!this.growing && this.tick >= this.last) this.tick = bounds ? bounds[0] : 0;
    // Nobody waits for the rest before the first note, unless it is counted.
    if (!bounds && !this.countIn && this.piece.notes.length) this.tick = Math.max(this.tick, this.piece.notes[0][0]);
    this.start(this.tick, this.countIn ? this.count() : 0);
    this.timer = setInterval(() => this.look(), EVERY);
    this.look();
    this.changed();
  }

  // Clicks of one bar; how long they take.
  count() {
    const bar = barAt(this.lines, this.tick), length = this.lines[bar] - this.lines[bar - 1];
    const beat = beatTicks(this.piece.meters, this.tick), from = Math.max(this.synth.now + SOON, this.silent + 0.01);
    for (let tick = 0; tick < length; tick += beat) this.synth.click(from + tick / this.rate, tick === 0);
    return length / this.rate;
  }

  // Begin as soon as what was sent in advance before has been let go.
  start(tick, wait = 0) {
    this.anchor(tick, Math.max(this.synth.now + SOON, this.silent + 0.01) + wait);
    this.sent = tick;
  }

  pause() {
    if (!this.playing) return;
    this.tick = Math.min(this.position, this.growing ? this.position : this.last);
    this.playing = false;
    this.hush();
    this.changed();
  }

  hush() {
    clearInterval(this.timer);
    this.letGo();
  }

  // End what sounds, and what will have begun within the notes that were sent in advance.
  letGo() {
    this.silent = this.synth.now + AHEAD;
    this.synth.release();
    this.synth.release(this.silent);
  }

  toggle() { return this.playing ? this.pause() : this.play(); }

  seek(tick) {
    const to = Math.max(0, Math.min(tick, this.end));
    if (this.playing) {
      this.letGo();
      this.start(to);
    } else this.tick = to;
    this.changed();
  }

  setSpeed(speed) {
    const tick = this.position;
    this.speed = speed;
    if (this.playing) this.anchor(tick, Math.max(this.time, this.synth.now));
    this.changed();
  }

  setLoop(looping, region = this.region) {
    Object.assign(this, { looping, region });
    const bounds = this.bounds();
    if (this.playing && bounds && (this.position < bounds[0] || this.position >= bounds[1])) this.seek(bounds[0]);
    this.changed();
  }

  // Send what will sound soon.
  look() {
    if (!this.playing) return;
    const ahead = document.hidden ? HIDDEN : AHEAD;
    for (let turn = 0; turn < 50; turn += 1) {
      const horizon = this.tick + (this.synth.now + ahead - this.time) * this.rate;
      const bounds = this.bounds();
      const there = this.growing ? this.frontier : Infinity, stop = bounds ? Math.min(bounds[1], there) : there;
      this.send(Math.min(horizon, stop), bounds);
      if (horizon < stop) break;
      if (bounds && stop === bounds[1]) {   // round again
        this.anchor(bounds[0], this.time + (bounds[1] - this.tick) / this.rate);
        this.sent = bounds[0];
      } else {                              // nothing more is there yet
        this.anchor(stop, Math.max(this.time, this.synth.now + ahead));
        break;
      }
    }
    if (!this.bounds() && !this.growing && this.position >= this.last) {
      this.playing = false;
      this.tick = 0;
      this.hush();
      this.changed();
    }
  }

  send(until, bounds) {
    if (until <= this.sent) return;
    for (const [i, [onset, duration, pitch, voice]] of this.piece.notes.entries()) {
      if (onset < this.sent || onset >= until) continue;
      const from = this.time + (onset - this.tick) / this.rate;
      const end = bounds ? Math.min(onset + duration, bounds[1]) : onset + duration;
      const loud = this.piece.loud && this.piece.loud[i];
      this.synth.note(voice, pitch, loud, Math.max(from, this.synth.now), this.time + (end - this.tick) / this.rate - 0.012);
    }
    this.sent = until;
  }
}
