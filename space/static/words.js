// The page's words in the visitor's language, from the file that the server reads, too.
let words = {};
const language = (navigator.language || "en").slice(0, 2);

export const loaded = fetch(new URL("./words.json", import.meta.url)).then((answer) => answer.json()).then((all) => {
  words = { ...all.en, ...(all[language] || {}) };
  document.documentElement.lang = all[language] ? language : "en";
});

// A phrase; "{name}" in it is replaced.
export function say(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// Fill elements that name a phrase: as their text, or as their label for readers.
export function translate(element) {
  element.querySelectorAll("[data-say]").forEach((part) => { part.textContent = say(part.dataset.say); });
  element.querySelectorAll("[data-label]").forEach((part) => {
    part.setAttribute("aria-label", say(part.dataset.label));
    if (part.tagName === "BUTTON") part.title = say(part.dataset.label);
  });
}
