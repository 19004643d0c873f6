"""The page in a real browser: composing, hearing, downloading, stopping, uploading, two visitors, keyboard,
telephone, dark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from musicgpt.printing import can_print
from tokenization import read_score, write_midi

from .conftest import make_score

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
PATIENCE = 120_000  # milliseconds; two cores may be busy with other tests

# Loudest sample of what the audio element plays, decoded by the browser itself.
LOUDEST = """async () => {
  const data = await (await fetch(document.querySelector("audio").src)).arrayBuffer();
  const sound = await new OfflineAudioContext(2, 48000, 48000).decodeAudioData(data);
  const samples = sound.getChannelData(0);
  return [samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0), sound.duration];
}"""


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[sync_api.Browser]:
    """One headless Chromium for all tests."""
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: sync_api.Browser, server: str) -> Iterator[Callable[..., sync_api.Page]]:
    """Opens the page as a new visitor; afterwards: no error in the console, no request to another host."""
    troubles: list[str] = []
    contexts = []

    def open_page(query: str = "", **options) -> sync_api.Page:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options}
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: troubles.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("request", lambda r: troubles.append(f"request: {r.url}") if foreign(r.url) else None)
        page.goto(server + "/" + query)
        finished(page)
        return page

    def foreign(url: str) -> bool:
        return not url.startswith((server, server.replace("http", "ws"), "data:", "blob:"))

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def finished(page: sync_api.Page) -> str:
    """Wait until a whole piece with score and sound is on the page; its line above the roll."""
    page.wait_for_selector(".mg-roll[data-state=done]")
    page.wait_for_selector("#score svg")
    page.wait_for_selector("audio[src]")
    return page.inner_text(".mg-status")


def begin(page: sync_api.Page, tokens: int = 96, button: str = "#compose") -> None:
    """Ask for a short piece and wait until it has begun."""
    before = page.inner_text(".mg-status")
    page.get_by_label("number input for Max tokens").fill(str(tokens))
    page.get_by_label("number input for Max tokens").press("Tab")
    page.click(button)
    begun(page, before)


def begun(page: sync_api.Page, before: str) -> None:
    """Wait until the line above the roll is another one; a short piece is ready sooner than a state could be
    seen.
    """
    page.wait_for_function("line => document.querySelector('.mg-status').innerText !== line", arg=before)


# Writes down every line above the roll, and presses Stop as soon as three notes are there, if that is wanted.
WATCH = """stop => {
  window.lines = [];
  new MutationObserver(() => {
    const line = document.querySelector(".mg-status").innerText;
    window.lines.push(line);
    if (stop && Number((line.match(/(\\d+) notes/) || [0, 0])[1]) > 2) { document.querySelector("#stop").click(); stop = false; }
  }).observe(document.querySelector(".mg-status"), { childList: true, characterData: true, subtree: true });
}"""


def download(page: sync_api.Page, label: str, folder: Path) -> Path:
    """Click a download link and keep the file under the name that the browser would give it."""
    with page.expect_download() as waiting:
        page.click(f"a.mg-file:text-is('{label}')")
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_compose_watch_hear_and_take_home(visit, tmp_path):
    page = visit()
    opening = page.inner_text(".mg-status")
    page.evaluate(WATCH, False)
    begin(page, 1600)
    line = finished(page)
    counted = [
        re.search(r"Composing: (\d+) notes?, \d+ bars? · (\d+)% of 1,600 tokens", text)
        for text in page.evaluate("window.lines")
    ]
    counts = [(int(found[1]), int(found[2])) for found in counted if found]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    assert line != opening
    seed = page.get_by_label("Seed", exact=True).input_value()
    assert f"seed {seed}" in line

    loudest, seconds = page.evaluate(LOUDEST)
    assert loudest > 0.3
    page.evaluate("document.querySelector('audio').play()")
    page.wait_for_function("document.querySelector('audio').currentTime > 0.5")
    page.wait_for_function("!document.querySelector('.mg-line').hidden")
    page.wait_for_selector("#score .mg-sounding")
    page.evaluate("document.querySelector('audio').pause()")

    files = {
        label: download(page, label, tmp_path)
        for label in ("MIDI", "MusicXML", "Picture (PNG)", "Sound (MP3)")
    }
    assert all(f"seed-{seed}" in path.name for path in files.values())
    score = read_score(files["MusicXML"])
    assert f"{len(score)} notes" in line
    # a channel holds a pitch once
    assert len(read_score(files["MIDI"])) == pytest.approx(len(score), abs=len(score) // 5 + 1)
    minutes, rest = re.search(r"(\d+):(\d\d)", line).groups()
    assert seconds == pytest.approx(60 * int(minutes) + int(rest) + 2.5, abs=1.0)
    assert files["Picture (PNG)"].read_bytes()[:4] == b"\x89PNG"
    if can_print():
        assert download(page, "Score (PDF)", tmp_path).read_bytes()[:4] == b"%PDF"

    page.get_by_role("tab", name="Beside Bach").click()
    page.wait_for_selector("#report tbody tr")
    assert "Nearest Bach passage:" in page.inner_text("#report")

    box = page.locator(".mg-canvas").bounding_box()
    page.mouse.click(box["x"] + 60, box["y"] + 100)
    assert page.evaluate("document.querySelector('audio').currentTime") > 0


def test_hover_names_the_note_and_zoom_widens_the_roll(visit):
    page = visit()
    # Walk over the roll until a note is under the pointer.
    box = page.locator(".mg-canvas").bounding_box()
    for y in range(20, int(box["height"]), 3):
        page.mouse.move(box["x"] + 52, box["y"] + y)
        if page.locator(".mg-tip").is_visible():
            break
    assert re.match(
        r"[A-G][♯♭]*\d · bar \d+, quarter [\d.]+ · [\d.]+ quarters? · voice \d", page.inner_text(".mg-tip")
    )
    width = page.locator(".mg-spacer").bounding_box()["width"]
    page.get_by_label("Zoom in").click()
    assert page.locator(".mg-spacer").bounding_box()["width"] > 1.2 * width
    page.get_by_label("Show the whole piece").click()
    assert page.locator(".mg-spacer").bounding_box()["width"] == pytest.approx(width, rel=0.01)


def test_stop_then_continue_then_undo(visit):
    page = visit()
    page.evaluate(WATCH, True)
    begin(page, 4000)
    stopped = finished(page)
    assert "stopped by you" in stopped
    assert page.locator("a.mg-file").count() == 4 + can_print()
    begin(page, 64, "#continue")
    continued = finished(page)
    assert continued != stopped
    assert "paler" in page.inner_text(".mg-legend")
    page.click("#undo")
    page.wait_for_function("line => document.querySelector('.mg-status').innerText === line", arg=stopped)
    assert "paler" not in page.inner_text(".mg-legend")


def test_upload_good_and_bad(visit, tmp_path):
    page = visit()
    page.get_by_role("button", name="Continue a piece of your own").click()
    (tmp_path / "bad.mid").write_bytes(b"MThd nonsense")
    page.set_input_files("#upload input[type=file]", tmp_path / "bad.mid")
    # By its label: the table writes name and extension apart, and the whole name stands there only for a
    # moment, while the file is sent.
    page.wait_for_selector("#upload [aria-label='bad.mid']")
    page.click("#compose")
    page.wait_for_selector(".mg-roll[data-state=error]")
    assert page.inner_text(".mg-status").startswith("bad.mid cannot be used")
    assert page.locator("a.mg-file").count() == 4 + can_print(), "the piece before is still there"
    page.get_by_label("Remove this file").or_(
        page.locator("#upload button[aria-label='Clear']")
    ).first.click()
    page.wait_for_selector("#upload [aria-label='bad.mid']", state="detached")
    given = make_score(bars=3, key="A minor")
    write_midi(given, tmp_path / "good.mid")
    page.set_input_files("#upload input[type=file]", tmp_path / "good.mid")
    page.wait_for_selector("#upload [aria-label='good.mid']")
    page.get_by_label("number input for Bars of it to keep").fill("2")
    page.get_by_label("number input for Bars of it to keep").press("Tab")
    begin(page, 160)  # room for the two bars and new notes
    line = finished(page)
    assert "in A minor" in line
    path = download(page, "MusicXML", tmp_path)
    assert path.name.startswith("good_continued")
    assert read_score(path).first_bars(2).array.tolist() == given.first_bars(2).array.tolist()


def test_two_visitors_at_once_keep_their_own(visit, tmp_path):
    pages = [visit(), visit()]
    opening = pages[0].inner_text(".mg-status")
    for page, preset in zip(pages, ("Prelude in C major", "Two voices, E minor"), strict=True):
        page.get_by_label("number input for Max tokens").fill("120")
        page.get_by_label("number input for Max tokens").press("Tab")
        page.get_by_role("button", name=preset).click()
    for page in pages:
        begun(page, opening)
    for page, key, form in zip(pages, ("C major", "E minor"), ("Prelude", "Fugue"), strict=True):
        assert finished(page).startswith(f"{form} in {key}")
        score = read_score(download(page, "MusicXML", tmp_path))
        assert str(score.key) == key
        assert f"{len(score)} notes" in page.inner_text(".mg-status")
    addresses = [page.get_attribute("audio", "src").rsplit("/", 1)[0] for page in pages]
    assert addresses[0] != addresses[1]


def test_keyboard_alone_is_enough(visit):
    page = visit()
    page.get_by_label("number input for Max tokens").fill("64")

    def tab_to(selector: str) -> None:
        for _ in range(120):
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"{selector} cannot be reached with the Tab key")

    tab_to("#compose")
    before = page.inner_text(".mg-status")
    page.keyboard.press("Enter")
    begun(page, before)
    finished(page)
    tab_to(".mg-canvas")
    width = page.locator(".mg-spacer").bounding_box()["width"]
    for _ in range(5):
        page.keyboard.press("+")
    # The roll is laid out anew on every key; a piece of few bars is narrower than the frame until it has
    # grown enough.
    page.wait_for_function("width => document.querySelector('.mg-spacer').offsetWidth > width", arg=width)
    page.keyboard.press("Space")
    page.wait_for_function("!document.querySelector('audio').paused")
    page.keyboard.press("Space")
    tab_to("a.mg-file")
    with page.expect_download():
        page.keyboard.press("Enter")


def test_telephone_in_the_dark(visit):
    page = visit("?__theme=dark", viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # The roll stands above the controls, and the engraving has the telephone's width.
    assert page.locator("#stage").bounding_box()["y"] < page.locator("#controls").bounding_box()["y"]
    svg = page.locator("#score svg").first
    assert svg.bounding_box()["width"] == pytest.approx(
        float(svg.get_attribute("viewBox").split()[2]), rel=0.35
    )
    brightness = (
        "element => getComputedStyle(element).{}.match(/\\d+/g).slice(0, 3).reduce((a, b) => a +"
        " Number(b), 0)"
    )
    paper = page.locator(".mg-score").evaluate(brightness.format("backgroundColor"))
    ink = page.locator("#score svg .staff path").first.evaluate(brightness.format("stroke"))
    head = page.locator("#score svg .notehead use").first.evaluate(brightness.format("fill"))
    assert paper < 150 < 500 < min(ink, head)
