// The address of the piece: settings and seed make it again, so they stand in the page's own address and can be copied.
import { desk } from "./desk.js";
import { say } from "./words.js";

// Queries of the page itself, such as the theme's.
const own = () => [...new URLSearchParams(window.location.search)].filter(([name]) => name.startsWith("__"));

export function mountLink(element) {
  const button = element.querySelector(".mg-link");
  desk.addEventListener("piece", () => {
    const { piece } = desk;
    button.disabled = !piece || !desk.idle || !piece.link;
    if (!piece || !desk.idle) return;
    button.textContent = say("copy-link");
    const query = new URLSearchParams(piece.link || "");
    own().forEach(([name, value]) => query.set(name, value));
    const text = query.toString();
    window.history.replaceState(null, "", text ? `?${text}` : window.location.pathname);
  });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(window.location.href);
      button.textContent = say("link-copied");
    } catch {
      window.prompt(say("copy-link"), window.location.href);
    }
  });
}
