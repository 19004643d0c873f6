"""How long it is from the press of Compose to the first sound, in a browser, and where the time goes.

    python -m benchmarks.first_sound [--presses 8] [--url http://127.0.0.1:7860]

Without `--url` a Space is started for it. Needs playwright and a Chromium (the environment's `CHROMIUM`, or the one on
the path). A press counts only if the piece was still being composed when it sounded; the times are seconds after the
click, by the browser's clock.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
from collections.abc import Sequence
from typing import Any

from .space_load import started

STAGES = ("asked", "waiting", "first note", "second onset", "sound")
# Looks every two milliseconds what is there; sound is a sample of the synthesiser above the floor.
WATCH = """() => {
  const seen = {}, old = musicgpt.pieces.now.take;
  const mark = (name) => { seen[name] ??= (performance.now() - window.pressed) / 1000; };
  window.seen = seen;
  window.fetch = new Proxy(window.fetch, { apply(target, self, all) {
    if (String(all[0].url ?? all[0]).includes("queue/join")) mark("asked");
    return Reflect.apply(target, self, all);
  } });
  document.querySelector("#compose").addEventListener("pointerdown", () => { window.pressed = performance.now(); }, { capture: true, once: true });
  const look = setInterval(() => {
    const piece = musicgpt.pieces.now;
    if (piece.take === old) return;
    mark("waiting");
    if (piece.notes.length) mark("first note");
    if (musicgpt.player.frontier > 0) mark("second onset");
    if (musicgpt.synth.level() < 0.01) return;
    mark("sound");
    seen.state = piece.state;
    clearInterval(look);
  }, 2);
}"""


def press(page: Any) -> dict[str, Any]:
    """Press Compose once on a page that is silent; when each stage was reached, and the state of the piece then."""
    page.evaluate(WATCH)
    page.click("#compose")
    page.wait_for_function("window.seen.sound")
    seen = page.evaluate("window.seen")
    page.click("#stop")
    page.wait_for_selector(".mg-roll[data-state=done]")
    return seen


def measure(url: str, presses: int) -> list[dict[str, Any]]:
    """Press so many times, each in a browser page of its own."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    found = []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        for _ in range(presses):
            page = browser.new_context().new_page()
            page.set_default_timeout(120_000)
            page.goto(url)
            page.wait_for_selector("#score svg")
            page.wait_for_selector("a.mg-file[download$=mp3]")
            page.wait_for_function("window.musicgpt && musicgpt.synth.node")
            page.wait_for_timeout(500)
            found.append(press(page))
            page.context.close()
        browser.close()
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one line a press, then the median and the slowest."""
    parser = argparse.ArgumentParser(description="From the press of Compose to the first sound.")
    parser.add_argument("--presses", type=int, default=8)
    parser.add_argument("--url", help="a Space that runs already")
    given = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        url = given.url or stack.enter_context(started())[0]
        found = measure(url, given.presses)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; seconds after the click")
    for seen in found:
        print(
            " · ".join(f"{stage} {seen.get(stage, float('nan')):.2f}" for stage in STAGES),
            f"· {seen['state']}",
        )
    times = [seen["sound"] for seen in found if seen["state"] == "running"]
    print(f"while it is composed: {len(times)} of {len(found)}", end="")
    print(f"; median {statistics.median(times):.2f} s, slowest {max(times):.2f} s" if times else "")


if __name__ == "__main__":
    main()
