// The row under the roll that moves the player, and the voices that can be silenced.
import { desk } from "./desk.js";
import { PROGRAMS } from "./synth.js";
import { say } from "./words.js";

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export function mountTransport(element, { chooseInstrument }) {
  const { player, synth } = desk;
  const row = element.querySelector(".mg-transport"), voices = element.querySelector(".mg-legend");
  const [time, speed, percent, instrument, listen] =
    [".mg-clock", ".mg-speed", ".mg-percent", ".mg-instrument", ".mg-listen"].map((name) => row.querySelector(name));
  const button = (name) => row.querySelector(`[data-do="${name}"]`);

  const actions = {
    play: () => player.toggle(),
    start: () => player.seek(player.bounds() ? player.bounds()[0] : 0),
    loop: () => player.setLoop(!player.looping),
    count: () => { player.countIn = !player.countIn; player.changed(); },
  };
  row.querySelectorAll("[data-do]").forEach((one) => one.addEventListener("click", actions[one.dataset.do]));
  speed.addEventListener("input", () => player.setSpeed(Number(speed.value) / 100));
  instrument.replaceChildren(...Object.keys(PROGRAMS).map((name) => new Option(say(name), name)));
  instrument.addEventListener("change", () => { synth.play(instrument.value); chooseInstrument(instrument.value); });
  listen.checked = desk.listen;
  listen.addEventListener("change", () => desk.setListen(listen.checked));

  function show() {
    const seconds = (tick) => tick / player.rate, playing = player.playing;
    const text = `${clock(seconds(player.position))} / ${clock(seconds(player.last || 0))} · ${say("bar", { bar: desk.printed(desk.barOf(player.position)) })}`;
    const told = player.failed ? say(window.isSecureContext ? "no-sound" : "no-sound-here") : text;
    if (time.textContent !== told) time.textContent = told;
    const play = button("play");
    if (play.getAttribute("aria-pressed") !== String(playing)) {
      play.setAttribute("aria-pressed", String(playing));
      play.firstElementChild.textContent = playing ? "❚❚" : "▶";
      play.lastElementChild.textContent = say(playing ? "pause" : "play");
    }
    button("loop").setAttribute("aria-pressed", String(player.looping));
    button("count").setAttribute("aria-pressed", String(player.countIn));
    percent.textContent = say("speed-of", { percent: Math.round(100 * player.speed), qpm: Math.round(player.rate * 60 / 24) });
  }

  function toggleOf(name, set, voice, label) {
    const one = document.createElement("button");
    one.type = "button";
    one.textContent = say(name);
    one.setAttribute("aria-pressed", String(set.has(voice)));
    one.setAttribute("aria-label", `${say(name)}: ${label}`);
    one.addEventListener("click", () => {
      desk.toggleVoice(set, voice);
      one.setAttribute("aria-pressed", String(set.has(voice)));
    });
    return one;
  }

  let shown = "";
  function showVoices() {
    const there = desk.voices;
    if (String(there) === shown) return;
    shown = String(there);
    voices.replaceChildren(...there.map((voice) => {
      const item = document.createElement("span"), label = say(`voice-${voice}`);
      item.className = "mg-voice";
      item.style.setProperty("--mg-dot", `var(--mg-voice-${voice})`);
      item.append(label, toggleOf("mute", desk.muted, voice, label), toggleOf("solo", desk.solo, voice, label));
      return item;
    }));
  }

  desk.addEventListener("time", show);
  desk.addEventListener("piece", showVoices);
  show();
  showVoices();
}
