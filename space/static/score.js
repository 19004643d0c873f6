// The engraved score: shows the SVG pages and runs a line over them while the roll plays.
const view = element.querySelector(".mg-score");
const [pages, line, empty] = [".mg-pages", ".mg-line", ".mg-empty"].map((name) => view.querySelector(name));
let score = null;
let spots = null;               // [tick, x, top, bottom] of every onset, relative to the view's content; found when first needed
let lit = [];

function show() {
  const value = typeof props.value === "string" ? (props.value ? JSON.parse(props.value) : null) : props.value;
  if (value && score && value.take === score.take && value.pages.length === score.pages.length) { score = value; return; }
  score = value && value.pages && value.pages.length ? value : null;
  pages.innerHTML = score ? score.pages.map((page, i) => `<div class="mg-page" role="img" aria-label="Page ${i + 1}">${page}</div>`).join("") : "";
  empty.hidden = Boolean(score);
  line.hidden = true;
  spots = null;
  lit = [];
  view.scrollTop = 0;
}

function measure() {
  const frame = view.getBoundingClientRect();
  if (!frame.width) return;
  const left = frame.left - view.scrollLeft, top = frame.top - view.scrollTop;
  spots = [];
  for (const [tick, ids] of score.times) {
    const note = ids.map((id) => document.getElementById(id)).find(Boolean);
    const head = note && (note.querySelector(".notehead") || note);
    const system = note && note.closest(".system");
    if (!head || !system) continue;
    const box = head.getBoundingClientRect(), around = system.getBoundingClientRect();
    spots.push([tick, box.left + box.width / 2 - left, around.top - top, around.bottom - top, ids]);
  }
}

function light(ids) {
  lit.forEach((note) => note.classList.remove("mg-sounding"));
  lit = ids.map((id) => document.getElementById(id)).filter(Boolean);
  lit.forEach((note) => note.classList.add("mg-sounding"));
}

function place(tick, running) {
  if (!spots || !spots.length) measure();
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
  light(here[4]);
  // Only the score's own frame scrolls: the page stays where its reader put it.
  if (running && (here[2] < view.scrollTop || here[3] > view.scrollTop + view.clientHeight)) view.scrollTop = Math.max(0, here[2] - 16);
  if (running && (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth)) view.scrollLeft = Math.max(0, x - 40);
}

window.addEventListener("musicgpt:time", (event) => {
  if (!score || !view.isConnected) return;
  const { take, tick, playing } = event.detail;
  if (take !== score.take || tick === null) { line.hidden = true; light([]); return; }
  place(tick, playing);
});
pages.addEventListener("click", (event) => {
  const note = event.target.closest(".note");
  const entry = note && score && score.times.find(([, ids]) => ids.includes(note.id));
  if (entry) window.dispatchEvent(new CustomEvent("musicgpt:seek", { detail: { take: score.take, tick: entry[0] } }));
});
new ResizeObserver(() => { spots = null; }).observe(view);
watch("value", show);
show();
