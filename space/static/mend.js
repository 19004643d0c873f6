// Three things of Gradio's own that the keyboard and readers of screens stumble over.

export function mend() {
  const work = () => {
    // A list of choices that scrolls would take the focus and vanish with it.
    document.querySelectorAll("ul[role=listbox]:not([tabindex])").forEach((list) => { list.tabIndex = -1; });
    // The word stands beside the picture already.
    document.querySelectorAll("footer img:not([alt=''])").forEach((image) => { image.alt = ""; });
    // A button within a button: the outer one only folds the warning, whose text stands above the roll, too.
    document.querySelectorAll(".toast-header[role=button]").forEach((head) => ["role", "tabindex"].forEach((name) => head.removeAttribute(name)));
  };
  new MutationObserver(work).observe(document.body, { childList: true, subtree: true });
  work();
}
