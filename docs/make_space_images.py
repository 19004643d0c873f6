"""Make anew the pictures of the page in `docs/space.md`, with the shipped model: `python
docs/make_space_images.py` (needs the extra `space`, playwright and a Chromium, whose path `CHROMIUM` may
give).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from space.welcome import load_welcome
from tokenization import write_midi

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PORT = 7998
ADDRESS = f"http://127.0.0.1:{PORT}"
ARGUMENTS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
PRESET = "Two voices, E minor"


def main() -> None:
    """Start the page, compose, take the pictures, stop it."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    folder = tempfile.TemporaryDirectory()
    # No score of Bach's is shipped: what stands beside the piece is its own beginning, a tone higher.
    own = load_welcome().score.first_bars(4).transposed(2).replace(title="A piece of your folder")
    write_midi(own, Path(folder.name) / "piece.mid")
    command = [sys.executable, "-m", "musicgpt.cli", "demo", "--port", str(PORT), "--corpus", folder.name]
    server = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_for_server()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            take_pictures(browser)
            browser.close()
    finally:
        server.terminate()
        server.wait(20)
        folder.cleanup()


def wait_for_server(seconds: float = 300) -> None:
    """Until the page answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(ADDRESS, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise SystemExit(
                    f"The page at {ADDRESS} did not answer within {seconds:.0f} seconds."
                ) from None
            time.sleep(0.5)


SUBJECT = "C5/8 B4/16 C5/16 G4/8 Ab4/8 C5/8 B4/16 C5/16 D5/8 G4/8"


def take_pictures(browser: Browser) -> None:
    """All nine."""
    shot(visit(browser, 1000, 900), "light", full=True)
    shot(visit(browser, 1000, 900, "?__theme=dark"), "dark", full=True)
    shot(visit(browser, 390, 844), "narrow", full=True)
    selected(visit(browser, 1000, 900))
    own(visit(browser, 1000, 900))
    running(visit(browser, 1000, 640))
    candidates(visit(browser, 1000, 640))
    shot(visit(browser, 1000, 900, locale="es-ES"), "spanish")

    page = visit(browser, 800, 900)
    page.get_by_role("tab", name="Beside Bach").click()
    page.wait_for_selector(".mg-beside")
    page.wait_for_timeout(1500)
    shot(page, "report", full=True)


def selected(page: Page) -> None:
    """Bars 4 to 6 of two voices, while they are heard."""
    for box, bar in ((".mg-from", "4"), (".mg-to", "6")):
        page.fill(box, bar)
        page.press(box, "Tab")
    page.uncheck(".mg-choice-voices input >> nth=0")
    page.click("[data-do=loop]")
    page.click(".mg-play")
    page.wait_for_function("musicgpt.player.position > 400")
    page.locator(".mg-roll").scroll_into_view_if_needed()
    page.mouse.wheel(0, 330)
    page.wait_for_timeout(400)
    shot(page, "selected")


def own(page: Page) -> None:
    """A subject that was typed."""
    page.click(".mg-own summary")
    page.fill(".mg-text", SUBJECT)
    page.wait_for_timeout(400)
    shot(page, "own")


def running(page: Page) -> None:
    """Notes arrive and are heard."""
    page.get_by_role("button", name=PRESET).click()
    page.wait_for_function(
        "/Composing: [1-9]\\d\\d notes/.test(document.querySelector('.mg-status').innerText)"
    )
    page.locator(".mg-roll").scroll_into_view_if_needed()
    shot(page, "running")


def candidates(page: Page) -> None:
    """Others are being composed; the visitor hears the second."""
    page.get_by_role("button", name="More: candidates, seed, sampling").click()
    page.wait_for_timeout(500)  # Gradio makes the controls now, and at first may set them once more
    box = page.get_by_label("number input for Candidates")
    box.fill("4")
    box.press("Tab")
    page.click("#compose")
    page.get_by_role("radio", name="Candidate 2").click()
    page.wait_for_function("musicgpt.pieces.now.message.includes('you hear candidate 2')")
    page.evaluate("musicgpt.player.play()")
    page.wait_for_function("musicgpt.player.position > 50")
    page.locator(".mg-roll").scroll_into_view_if_needed()
    shot(page, "candidates")


def visit(browser: Browser, width: int, height: int, query: str = "", **options: str) -> Page:
    """The page with its opening piece finished."""
    page = browser.new_context(viewport={"width": width, "height": height}, **options).new_page()
    page.set_default_timeout(300_000)
    page.goto(f"{ADDRESS}/{query}")
    for selector in (".mg-roll[data-state=done]", "#score svg", "a.mg-file[download$=mp3]"):
        page.wait_for_selector(selector)
    page.wait_for_timeout(500)
    return page


def shot(page: Page, name: str, full: bool = False) -> None:
    """Keep what is seen of the page, or all of it, as `docs/images/space_NAME.png`."""
    path = IMAGES / f"space_{name}.png"
    page.screenshot(path=path, full_page=full)
    print(path.relative_to(ROOT), f"{path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
