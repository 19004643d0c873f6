// What is selected, in numbers and boxes, and what can be done with it.
import { desk } from "./desk.js";
import { say } from "./words.js";

export function mountChoice(element, { revise, lock }) {
  const row = element.querySelector(".mg-choice");
  const [from, to, voices, says] = [".mg-from", ".mg-to", ".mg-choice-voices", ".mg-choice-says"].map((name) => row.querySelector(name));
  const button = (name) => row.querySelector(`[data-choose="${name}"]`);
  let boxes = [];

  function showVoices() {
    const there = desk.voices;
    if (String(boxes.map(([voice]) => voice)) === String(there)) return;
    boxes = there.map((voice) => {
      const label = document.createElement("label"), box = document.createElement("input");
      box.type = "checkbox";
      box.addEventListener("change", () => desk.chooseVoice(voice));
      label.append(box, ` ${say("voice", { voice: voice + 1 })}`);
      return [voice, label, box];
    });
    voices.replaceChildren(...boxes.map(([, label]) => label));
  }

  function show() {
    showVoices();
    const chosen = desk.selection, idle = desk.idle && desk.showing === "now";
    for (const input of [from, to]) [input.min, input.max] = [desk.printed(1), desk.printed(Math.max(1, desk.bars))];
    from.value = chosen ? desk.printed(chosen.from) : "";
    to.value = chosen ? desk.printed(chosen.to) : "";
    boxes.forEach(([voice, , box]) => { box.checked = Boolean(chosen) && chosen.voices.has(voice); });
    button("revise").disabled = !chosen || !idle;
    button("lock").disabled = !chosen || !idle;
    button("clear").disabled = !chosen;
    button("compare").disabled = !desk.pieces.before;
    button("compare").setAttribute("aria-pressed", String(desk.showing === "before"));
    const text = chosen ? say(chosen.from === chosen.to ? "chosen-bar" : "chosen-bars", { from: desk.printed(chosen.from), to: desk.printed(chosen.to) }) : say("choose-how");
    if (says.textContent !== text) says.textContent = text;
  }

  const numbers = () => {
    if (!from.value && !to.value) return desk.select(null);
    const [first, last] = [from.value || to.value, to.value || from.value].map((number) => Number(number) - desk.printed(1) + 1);
    return desk.select({ from: first, to: last, voices: desk.selection && desk.selection.voices });
  };
  [from, to].forEach((input) => input.addEventListener("change", numbers));
  button("clear").addEventListener("click", () => desk.select(null));
  button("compare").addEventListener("click", () => desk.compare());
  const asked = () => ({ take: desk.piece.take, bars: [desk.selection.from, desk.selection.to], voices: [...desk.selection.voices].sort() });
  button("revise").addEventListener("click", () => revise(asked()));
  button("lock").addEventListener("click", () => lock(asked()));
  desk.addEventListener("selection", show);
  desk.addEventListener("piece", show);
  show();
}
