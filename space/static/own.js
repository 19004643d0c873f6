// Music of the visitor's own: typed, played on the computer's keyboard, on a MIDI keyboard or on the keys shown, or a file. The mode
// stands above it all the time: whether there is such music, and a button that takes it away.
import { desk } from "./desk.js";
import { nameOf, parse, wordOf } from "./melody.js";
import { Sketch } from "./sketch.js";
import { OWN } from "./synth.js";
import { loaded, say, translate } from "./words.js";

const KEYS = "awsedftgyhujkolp";  // as on the keys of a piano: a is C, w is C sharp
const LOW = 60, HIGH = 83;
const BLACK = [1, 3, 6, 8, 10];

class Own {
  constructor(element, upload, trigger) {
    const find = (selector) => element.querySelector(selector);
    Object.assign(this, { upload, trigger, file: null, octave: 0 });
    this.root = find(".mg-own");
    [this.says, this.leaveButton, this.text, this.canvas, this.value, this.dot, this.piano, this.input, this.keep, this.part, this.drop] =
      [".mg-mode-says", ".mg-leave", ".mg-text", ".mg-sketch", ".mg-value", ".mg-dot", ".mg-piano", ".mg-own-file", ".mg-keep", ".mg-part", ".mg-drop"].map(find);
    this.makers = [...element.querySelectorAll("[data-make]")];
    this.hearButton = find(".mg-hear");
    this.sketch = new Sketch(this.canvas, find(".mg-sketch-says"), {
      ticks: () => 96 / Number(this.value.value) * (this.dot.checked ? 1.5 : 1),
      setText: (text) => { if (this.file) this.forgetFile(); this.text.value = text; this.show(); },
      sound: (pitch) => this.sound(pitch),
    });
    this.buildPiano();
    this.listen(element);
    this.show();
  }

  buildPiano() {
    for (let pitch = LOW; pitch <= HIGH; pitch += 1) {
      const key = document.createElement("button");
      key.type = "button";
      key.tabIndex = -1;        // the arrows and letters of the keyboard's own row do it
      key.className = BLACK.includes(pitch % 12) ? "mg-black" : "mg-white";
      key.setAttribute("aria-label", nameOf(pitch));
      if (pitch % 12 === 0) key.textContent = nameOf(pitch);
      key.addEventListener("click", () => this.play(pitch));
      this.piano.append(key);
    }
  }

  // Add a note of the chosen value and let it be heard.
  play(pitch) {
    this.add(wordOf(pitch));
    this.sound(pitch);
  }

  sound(pitch) {
    const { synth } = desk;
    synth.resume().then(() => synth.note(OWN, pitch, 84, synth.now, synth.now + 0.5)).catch(() => {});
  }

  add(what) {
    if (this.file) this.forgetFile();
    this.text.value = `${this.text.value.trimEnd()} ${what}/${this.value.value}${this.dot.checked ? "." : ""}`.trimStart();
    this.show();
  }

  back() {
    this.text.value = this.text.value.trimEnd().split(/\s+/).slice(0, -1).join(" ");
    this.show();
  }

  forgetFile() { this.file = null; this.input.value = ""; }

  leave() {
    this.forgetFile();
    this.text.value = "";
    this.show();
  }

  get given() { return Boolean(this.file) || parse(this.text.value).notes.length > 0; }

  show() {
    const { notes, wrong } = parse(this.text.value);
    this.root.dataset.mode = this.given ? "own" : "free";
    this.leaveButton.hidden = !this.given;
    let says = say("mode-free");
    if (this.file) says = say("mode-file", { name: this.file.name });
    else if (notes.length || wrong) says = say(wrong ? "mode-wrong" : "mode-own", { notes: say(notes.length === 1 ? "note" : "notes", { count: notes.length }), word: wrong });
    if (this.says.textContent !== says) this.says.textContent = says;
    this.hearButton.dataset.rows = JSON.stringify(notes.map(([onset, duration, pitch]) => [onset, duration, pitch, OWN]));
    this.hearButton.disabled = !notes.length;
    this.offer();
    this.sketch.show(notes);
  }

  // What can be made of it; nothing while a piece is being composed.
  offer() { this.makers.forEach((button) => { button.disabled = !this.given || !desk.idle; }); }

  async take(file) {
    if (!file) return;
    try {
      const { path } = await this.upload(file);
      this.file = { path, name: file.name };
      this.text.value = "";
    } catch (error) {
      this.says.textContent = say("file-refused", { name: file.name });
      return;
    }
    this.show();
    this.trigger("own", { file: this.file });
  }

  // What the server has read in the file.
  receive(value) {
    if (!value) return;
    if (value.error) { this.forgetFile(); this.show(); this.says.textContent = value.error; return; }
    if (value.says && this.file) this.says.textContent = value.says;
  }

  async connect(button) {
    if (!navigator.requestMIDIAccess) { this.says.textContent = say("midi-none"); return; }
    try {
      const access = await navigator.requestMIDIAccess();
      const hear = ({ data: [status, pitch, velocity] }) => { if ((status & 0xf0) === 0x90 && velocity) this.play(pitch); };
      access.inputs.forEach((input) => { input.onmidimessage = hear; });
      access.onstatechange = () => access.inputs.forEach((input) => { input.onmidimessage = hear; });
      button.setAttribute("aria-pressed", "true");
      this.says.textContent = say("midi-there", { count: access.inputs.size });
    } catch {
      this.says.textContent = say("midi-none");
    }
  }

  make(what) {
    desk.wanted = true;
    desk.synth.resume().catch(() => {});
    this.trigger("give", { what, text: this.text.value, file: this.file, bars: Number(this.keep.value) || 4, part: this.part.value });
  }

  listen(element) {
    const actions = { rest: () => this.add("r"), back: () => this.back(), midi: (button) => this.connect(button) };
    element.querySelectorAll("[data-own]").forEach((button) => button.addEventListener("click", () => actions[button.dataset.own](button)));
    desk.addEventListener("piece", () => this.offer());
    this.makers.forEach((button) => button.addEventListener("click", () => this.make(button.dataset.make)));
    this.leaveButton.addEventListener("click", () => this.leave());
    this.text.addEventListener("input", () => { if (this.file) this.forgetFile(); this.show(); });
    this.input.addEventListener("change", () => this.take(this.input.files[0]));
    this.piano.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const place = KEYS.indexOf(event.key);
      if (place >= 0) this.play(LOW + 12 * this.octave + place);
      else if (event.key === "z") this.octave = Math.max(-3, this.octave - 1);
      else if (event.key === "x") this.octave = Math.min(2, this.octave + 1);
      else if (event.key === " ") this.add("r");
      else if (event.key === "Backspace") this.back();
      else return;
      event.preventDefault();
    });
    ["dragover", "drop"].forEach((name) => this.root.addEventListener(name, (event) => {
      event.preventDefault();
      if (name === "drop") this.take(event.dataTransfer.files[0]);
    }));
    element.querySelector("details").addEventListener("toggle", () => this.show());
    new ResizeObserver(() => this.show()).observe(this.canvas);
  }
}

export async function mount(element, props, watch, trigger, upload) {
  await loaded;
  translate(element);
  const own = new Own(element, upload, trigger);
  watch("value", () => own.receive(typeof props.value === "string" ? (props.value ? JSON.parse(props.value) : null) : props.value));
}
