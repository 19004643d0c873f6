"""Scores that the tests make themselves, and one server and one browser for all that need them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the extra `space` is not installed")

from space.studio import Studio
from space.welcome import load_welcome
from tokenization import Score, write_midi


def make_score(bars: int = 4, voices: int = 3, key: str = "C minor") -> Score:
    """Eighth notes in several voices that enter one after the other, and a last chord."""
    scale = [0, 2, 3, 5, 7, 5, 3, 2]
    roots = [72, 63, 48, 55, 43]
    rows = [
        (bar * 96 + 12 * i, 12, roots[voice] + scale[(i + bar * (voice + 1)) % 8], voice)
        for voice in range(voices)
        for bar in range(voice % bars, bars)
        for i in range(8)
    ]
    rows += [(bars * 96, 96, roots[voice], voice) for voice in range(voices)]
    return Score(rows, key=key, tempo=80, tempo_class="moderate", form="fugue")


@pytest.fixture(scope="session")
def score() -> Score:
    """A small three-voice piece."""
    return make_score()


@pytest.fixture(scope="session")
def studio() -> Iterator[Studio]:
    """A studio with the shipped model, processes and folders, without a page."""
    studio = Studio()
    studio.load()
    yield studio
    studio.close()
    assert not studio.folders.base.exists()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Iterator[str]:
    """The address of a Space that runs for all tests, with the shipped model, in a process of its own."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    corpus = tmp_path_factory.mktemp("corpus")
    # the piece that is there at first, a tone higher, and a file that is none
    write_midi(load_welcome().score.transposed(2).replace(title="A tone higher"), corpus / "higher.mid")
    (corpus / "broken.mid").write_bytes(b"MThd nonsense")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(repo_root), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(log.parent),
        "PYTHONUNBUFFERED": "1",
    }
    # One that is looked for by the server itself may be another worker's server's a moment later.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "space.app", "--port", str(port), "--corpus", str(corpus)],
            env=environment,
            stdout=stream,
            stderr=stream,
            cwd=repo_root,
        )
        try:
            yield _wait_for(process, log)
        finally:
            process.terminate()
            process.wait(120)  # a busy machine
    raised = re.findall(r"^[\w.]*(?:Error|Exception)\b.*", log.read_text(), re.MULTILINE)
    # Gradio writes its own refusals (a value out of range, a file too large, a path of the server, too few
    # values) into the log.
    own = ("gradio.exceptions.", "ValueError: An event handler (")
    assert [line for line in raised if not line.startswith(own)] == [], log.read_text()
    assert not list(log.parent.glob("musicgpt-space-*")), "the server left its files behind"


def _wait_for(process: subprocess.Popen, log: Path) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
            with urllib.request.urlopen(found[0], timeout=60) as page:
                assert page.status == 200
            return found[0]
        time.sleep(0.2)
    process.kill()
    pytest.fail(f"the server did not start:\n{log.read_text()}")


# Milliseconds; two cores may be busy with other tests.
PATIENCE = 120_000


def changed(page: Any, act: Any) -> str:
    """Do something that puts another piece on the page, and wait until it is whole; its line above the roll."""
    take = page.evaluate("musicgpt.pieces.now.take")
    act()
    page.wait_for_function("take => musicgpt.pieces.now.take !== take", arg=take)
    return finished(page)


def download(page: Any, label: str, folder: Path) -> Path:
    """Click a download link and keep the file under the name that the browser would give it."""
    with page.expect_download() as waiting:
        page.click(f"a.mg-file:text-is('{label}')")
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def finished(page: Any) -> str:
    """Wait until a whole piece with score and sound is on the page; its line above the roll."""
    page.wait_for_selector(".mg-roll[data-state=done], .mg-roll[data-state=error]")
    assert page.get_attribute(".mg-roll", "data-state") != "error", page.inner_text(".mg-status")
    page.wait_for_selector("#score svg")
    page.wait_for_selector("a.mg-file[download$='.mp3']")
    return page.inner_text(".mg-status")


def drag(page: Any, start: tuple[float, float], end: tuple[float, float], steps: int = 3) -> None:
    """Draw the mouse over the page."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=steps)
    page.mouse.up()


def lock(page: Any, is_locked: bool = True) -> None:
    """Lock what is selected, or set it free."""
    page.click("[data-choose=lock]")
    page.wait_for_function(f"musicgpt.piece.locked.length {'>' if is_locked else '==='} 0")
    finished(page)


def refused_to_revise(page: Any) -> None:
    """Ask for what is selected to be composed anew where all of it is locked."""
    page.click("[data-choose=revise]")
    page.wait_for_selector(".mg-roll[data-state=error]")


def choose(page: Any, first: int, last: int) -> None:
    """Select bars by their numbers."""
    for box, bar in ((".mg-from", first), (".mg-to", last)):
        page.fill(box, str(bar))
        page.press(box, "Tab")


def by_link(visit: Callable[..., Any], query: str) -> Any:
    """The page of a visitor who comes by a link, with its piece."""
    page = visit("?" + query, wait=False)
    page.wait_for_function("window.musicgpt && musicgpt.pieces.now && musicgpt.pieces.now.link")
    finished(page)
    return page


def set_numbers(page: Any, **values: int) -> None:
    """Set numbers among the further controls, by label with `_` for spaces."""
    labels = [name.replace("_", " ").capitalize() for name in values]
    boxes = [page.get_by_label(f"number input for {label}") for label in labels]
    if not boxes[0].is_visible():
        page.get_by_role("button", name="More: candidates, seed, sampling").click()
        page.wait_for_timeout(500)  # Gradio makes the controls now, and at first may set them once more
    for box, value in zip(boxes, values.values(), strict=True):
        box.fill(str(value))
        box.press("Tab")


def swipe(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a finger over the page, as a telephone tells it."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        told = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})

    touch("touchStart", start)
    for i in range(1, 5):
        touch("touchMove", tuple(a + (b - a) * i / 4 for a, b in zip(start, end, strict=True)))  # type: ignore[arg-type]
    page.wait_for_timeout(150)  # a finger that is lifted in its way throws the page, which eats the next tap
    touch("touchMove", end)
    touch("touchEnd")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One headless Chromium for all tests."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


# What Gradio writes into the console where a page is left to which an answer is still coming.
LEFT = ("AbortError: BodyStreamBuffer was aborted", "Connection errored out")


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Callable[..., Any]]:
    """Opens the page as a new visitor; afterwards: no error in the console, no request to another host."""
    troubles: list[str] = []
    contexts = []
    leaving: set[Any] = set()  # pages that another one is about to follow

    def open_page(query: str = "", wait: bool = True, **options: Any) -> Any:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options}
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda r: leaving.add(page) if r.is_navigation_request() else None)
        page.on("domcontentloaded", lambda page: leaving.discard(page))
        page.on("console", lambda m: troubles.append(f"console: {m.text}") if is_trouble(page, m) else None)
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("request", lambda r: troubles.append(f"request: {r.url}") if foreign(r.url) else None)
        page.goto(server + "/" + query)
        if wait:
            finished(page)
        return page

    def is_trouble(page: Any, message: Any) -> bool:
        is_of_leaving = page in leaving and any(text in message.text for text in LEFT)
        return message.type == "error" and not is_of_leaving

    def foreign(url: str) -> bool:
        return not url.startswith((server, server.replace("http", "ws"), "data:", "blob:"))

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []
