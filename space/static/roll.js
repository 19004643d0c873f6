// The piano roll: draws the notes it is given, grows while a piece is composed, plays it, and tells the score where it is.
// Runs once when the component is mounted; `element`, `props` and `watch` come from gr.HTML.
const GUTTER = 36;              // pixels for the names of the octaves
const BLACK = [1, 3, 6, 8, 10];
const find = (selector) => element.querySelector(selector);
const [root, status, bar, scroller, spacer, canvas, tip, legend, audio] =
  [".mg-roll", ".mg-status", ".mg-progress", ".mg-scroller", ".mg-spacer", ".mg-canvas", ".mg-tip", ".mg-legend", ".mg-audio"].map(find);

let piece = null;               // the last value from the server
let pixels = 1;                 // pixels a tick
let fitted = true;              // show the whole piece until somebody zooms
let range = [48, 84];           // lowest and highest pitch shown
let lines = [];                 // ticks of the bar lines
let end = 1;                    // tick at which the last bar ends
let hovered = -1;
let frame = 0;

const ticksASecond = () => (piece ? piece.qpm * 24 / 60 : 32);
const playing = () => !audio.paused && !audio.ended;
const playhead = () => (piece && piece.audio && audio.currentTime > 0 ? audio.currentTime * ticksASecond() : null);

function barLines(meters, last) {
  const found = [];
  meters.forEach(([onset, numerator, denominator], i) => {
    const length = Math.max(1, Math.floor(numerator * 96 / denominator));
    const stop = i + 1 < meters.length ? meters[i + 1][0] : Math.max(last, onset + 1);
    for (let tick = onset; tick < stop; tick += length) found.push(tick);
    if (i + 1 === meters.length) found.push(found[found.length - 1] + length);
  });
  return found;
}

function barAt(tick) {
  let number = 0;
  while (number < lines.length && lines[number] <= tick) number += 1;
  return number;
}

function measure() {
  const notes = piece.notes;
  const last = notes.reduce((most, note) => Math.max(most, note[0] + note[1]), 0);
  lines = barLines(piece.meters, last);
  end = lines[lines.length - 1];
  let low = 127, high = 0;
  for (const note of notes) { low = Math.min(low, note[2]); high = Math.max(high, note[2]); }
  if (!notes.length) { low = 48; high = 79; }
  // The range only grows while a piece is composed, so that the notes that are there do not jump at every new one.
  if (piece.state === "running" && notes.length) { low = Math.min(low, 48); high = Math.max(high, 76); }
  range = [low - 2, high + 2];
}

function layout() {
  const inner = Math.max(60, scroller.clientWidth - GUTTER);
  const least = 48 / 96;        // a bar of 4/4 is never narrower than 48 pixels; a longer piece scrolls, and the playhead is followed
  if (fitted) pixels = Math.max(inner / Math.max(end, 96 * 4), least);
  pixels = Math.min(Math.max(pixels, Math.min(inner / end, least)), 24);
  spacer.style.width = `${Math.max(inner, Math.ceil(end * pixels)) + GUTTER}px`;
  const ratio = window.devicePixelRatio || 1;
  const width = scroller.clientWidth, height = canvas.clientHeight || 260;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  canvas.style.width = `${width}px`;
}

const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

function draw() {
  frame = 0;
  if (!piece || !canvas.isConnected) return;
  const ratio = window.devicePixelRatio || 1;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const width = canvas.width / ratio, height = canvas.height / ratio, top = 16;
  const row = (height - top) / (range[1] - range[0] + 1);
  const y = (pitch) => top + (range[1] - pitch) * row;
  const x = (tick) => GUTTER + tick * pixels - scroller.scrollLeft;
  drawPaper(pen, width, height, top, row, y);
  drawBars(pen, width, height, top, x);
  drawNotes(pen, width, row, x, y);
  drawKeys(pen, height, top, row, y);
  const now = playhead();
  if (now !== null && x(now) >= GUTTER) {
    pen.fillStyle = colour("--mg-playhead");
    pen.fillRect(x(now) - 1, top - 4, 2, height);
  }
}

function drawPaper(pen, width, height, top, row, y) {
  pen.fillStyle = colour("--mg-paper");
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = colour("--mg-black-row");
  for (let pitch = range[0]; pitch <= range[1]; pitch += 1)
    if (BLACK.includes(pitch % 12)) pen.fillRect(GUTTER, y(pitch), width, row);
}

function drawBars(pen, width, height, top, x) {
  pen.font = "10px system-ui, sans-serif";
  let free = -1;
  for (let i = 0; i < lines.length; i += 1) {
    const at = x(lines[i]);
    if (at < GUTTER - 1 || at > width + 1) continue;
    pen.fillStyle = colour("--mg-bar");
    pen.fillRect(Math.round(at), top, 1, height);
    if (i + 1 < lines.length && at > free) {
      pen.fillStyle = colour("--mg-ink");
      pen.fillText(String(i + 1), at + 3, 11);
      free = at + 22;
    }
  }
}

function drawNotes(pen, width, row, x, y) {
  const shades = [0, 1, 2, 3, 4].map((voice) => colour(`--mg-voice-${voice}`));
  const now = playhead(), edge = colour("--mg-paper");
  for (let i = piece.notes.length - 1; i >= 0; i -= 1) {
    const [onset, duration, pitch, voice] = piece.notes[i];
    const left = x(onset), long = Math.max(2, duration * pixels - (pixels > 0.6 ? 1 : 0.4));
    if (left + long < GUTTER || left > width) continue;
    const sounding = now !== null && playing() && onset <= now && now < onset + duration;
    pen.globalAlpha = i < piece.prompt ? (sounding ? 0.75 : 0.4) : 1;
    pen.fillStyle = shades[voice];
    pen.beginPath();
    pen.roundRect(left, y(pitch) + 0.5, long, Math.max(2, row - 1), Math.min(3, row / 3));
    pen.fill();
    if (sounding || i === hovered) {
      pen.globalAlpha = 1;
      pen.lineWidth = 2;
      pen.strokeStyle = colour("--mg-playhead");
      pen.stroke();
    } else if (row > 5) {
      pen.lineWidth = 0.7;
      pen.strokeStyle = edge;
      pen.stroke();
    }
  }
  pen.globalAlpha = 1;
  if (piece.prompt > 0 && piece.prompt < piece.notes.length) {
    const at = x(piece.notes[piece.prompt][0]) - 1;
    pen.strokeStyle = colour("--mg-ink");
    pen.lineWidth = 1.3;
    pen.setLineDash([5, 4]);
    pen.beginPath(); pen.moveTo(at, 16); pen.lineTo(at, 2000); pen.stroke();
    pen.setLineDash([]);
  }
}

function drawKeys(pen, height, top, row, y) {
  pen.fillStyle = colour("--mg-paper");
  pen.fillRect(0, 0, GUTTER, height);
  pen.fillStyle = colour("--mg-ink");
  pen.font = "10px system-ui, sans-serif";
  for (let pitch = range[0]; pitch <= range[1]; pitch += 1) {
    if (pitch % 12 === 0) pen.fillText(`C${pitch / 12 - 1}`, 12, y(pitch) + row / 2 + 3.5);
    pen.globalAlpha = BLACK.includes(pitch % 12) ? 0.75 : 0.12;
    pen.fillRect(0, y(pitch) + 0.5, 8, Math.max(1, row - 1));
    pen.globalAlpha = 1;
  }
}

function redraw() {
  if (!frame) frame = requestAnimationFrame(draw);
}

function follow(tick) {
  const at = tick * pixels - scroller.scrollLeft, room = scroller.clientWidth - GUTTER;
  if (at > room * 0.92 || at < 0) scroller.scrollLeft = Math.max(0, tick * pixels - room * (piece.state === "running" ? 0.8 : 0.12));
}

function tell() {
  const now = playhead();
  window.dispatchEvent(new CustomEvent("musicgpt:time", { detail: { take: piece && piece.take, tick: now, playing: playing() } }));
}

function run() {
  if (!audio.isConnected) return;
  const now = playhead();
  if (now !== null) follow(now);
  draw();
  tell();
  if (playing()) requestAnimationFrame(run);
}

function showLegend() {
  const voices = [...new Set(piece.notes.map((note) => note[3]))].sort();
  const names = ["voice 1, the highest", "voice 2", "voice 3", "voice 4", "voice 5"];
  legend.replaceChildren(...voices.map((voice) => {
    const item = document.createElement("span");
    item.style.setProperty("--mg-dot", `var(--mg-voice-${voice})`);
    item.textContent = voices.length === 1 ? "one voice" : names[voice];
    return item;
  }));
  if (piece.prompt > 0) {
    const item = document.createElement("span");
    item.className = "mg-pale";
    item.textContent = "paler: what was given";
    legend.append(item);
  }
}

function show() {
  const before = piece;
  piece = props.value;
  if (typeof piece === "string") piece = piece ? JSON.parse(piece) : null;
  if (!piece) return;
  const fresh = !before || before.take !== piece.take;
  if (fresh) { fitted = true; hovered = -1; tip.hidden = true; }
  measure();
  layout();
  if (fresh || (before.state === "running" && piece.state !== "running")) scroller.scrollLeft = 0;
  if (piece.state === "running") follow(end);
  root.dataset.state = piece.state;
  status.textContent = piece.message;
  bar.hidden = piece.progress === null;
  bar.setAttribute("aria-valuenow", String(Math.round(100 * (piece.progress || 0))));
  bar.firstElementChild.style.width = `${100 * (piece.progress || 0)}%`;
  canvas.setAttribute("aria-label", `Piano roll: ${piece.notes.length} notes in ${piece.notes.length ? lines.length - 1 : 0} bars. ` +
    "Keys: + and - zoom, 0 fits, arrows scroll, space plays.");
  showLegend();
  if (piece.audio) {
    const address = new URL(piece.audio, document.baseURI).href;
    if (audio.src !== address) { audio.src = address; audio.load(); }
  } else if (audio.hasAttribute("src")) {
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
  }
  audio.hidden = !piece.audio;
  redraw();
  tell();
}

function zoom(how) {
  if (!piece) return;
  const middle = (scroller.scrollLeft + scroller.clientWidth / 2) / pixels;
  fitted = how === "fit";
  if (how === "in") pixels *= 1.5;
  if (how === "out") pixels /= 1.5;
  layout();
  scroller.scrollLeft = fitted ? 0 : middle * pixels - scroller.clientWidth / 2;
  redraw();
}

function noteAt(event) {
  const box = canvas.getBoundingClientRect(), top = 16;
  const tick = (event.clientX - box.left - GUTTER + scroller.scrollLeft) / pixels;
  const row = (box.height - top) / (range[1] - range[0] + 1);
  const pitch = range[1] - Math.floor((event.clientY - box.top - top) / row);
  const slack = 2 / pixels;
  return [tick, piece.notes.findIndex(([onset, duration, p]) => p === pitch && tick >= onset - slack && tick < onset + Math.max(duration, slack))];
}

function hover(event) {
  if (!piece) return;
  const [, index] = noteAt(event);
  if (index !== hovered) { hovered = index; redraw(); }
  tip.hidden = index < 0;
  if (index < 0) return;
  const [onset, duration, , voice] = piece.notes[index];
  const number = barAt(onset), beat = (onset - lines[number - 1]) / 24 + 1;
  const quarters = Number((duration / 24).toFixed(2));
  tip.textContent = `${piece.names[index]} · bar ${number}, quarter ${Number(beat.toFixed(2))} · ${quarters} quarter${quarters === 1 ? "" : "s"} · voice ${voice + 1}`;
  const box = root.querySelector(".mg-frame").getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth - 4)}px`;
  tip.style.top = `${Math.max(2, event.clientY - box.top - 30)}px`;
}

function seek(tick) {
  if (!piece || !piece.audio) return;
  audio.currentTime = Math.max(0.001, tick / ticksASecond());
  redraw();
  tell();
}

function toggle() {
  if (!piece || !piece.audio) return;
  if (playing()) audio.pause(); else audio.play().catch(() => {});
}

canvas.addEventListener("mousemove", hover);
canvas.addEventListener("mouseleave", () => { tip.hidden = true; hovered = -1; redraw(); });
canvas.addEventListener("click", (event) => { if (piece) seek(noteAt(event)[0]); });
canvas.addEventListener("keydown", (event) => {
  const step = scroller.clientWidth / 4;
  const actions = {
    "+": () => zoom("in"), "=": () => zoom("in"), "-": () => zoom("out"), "0": () => zoom("fit"), " ": toggle,
    ArrowRight: () => { scroller.scrollLeft += step; }, ArrowLeft: () => { scroller.scrollLeft -= step; },
    Home: () => { scroller.scrollLeft = 0; }, End: () => { scroller.scrollLeft = end * pixels; },
  };
  if (actions[event.key]) { actions[event.key](); event.preventDefault(); }
});
canvas.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(event.deltaY < 0 ? "in" : "out");
}, { passive: false });
element.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoom(button.dataset.zoom)));
scroller.addEventListener("scroll", redraw);
audio.addEventListener("play", () => requestAnimationFrame(run));
["pause", "ended", "seeked"].forEach((name) => audio.addEventListener(name, () => { redraw(); tell(); }));
window.addEventListener("musicgpt:seek", (event) => { if (piece && event.detail.take === piece.take) seek(event.detail.tick); });
new ResizeObserver(() => { if (piece) { layout(); redraw(); } }).observe(scroller);
new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
watch("value", show);
show();
