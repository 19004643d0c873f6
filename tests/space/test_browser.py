"""The page in a real browser: composing, hearing, downloading, stopping, uploading, two visitors, keyboard,
telephone, dark.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from musicgpt.printing import can_print
from tokenization import read_score, write_midi

from .conftest import download, finished, make_score, set_numbers

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

# Loudest sample of the file that can be taken home, decoded by the browser itself.
LOUDEST = """async () => {
  const data = await (await fetch([...document.querySelectorAll("a.mg-file")].find((link) => link.download.endsWith(".mp3")).href)).arrayBuffer();
  const sound = await new OfflineAudioContext(2, 48000, 48000).decodeAudioData(data);
  const samples = sound.getChannelData(0);
  return [samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0), sound.duration];
}"""


def begin(page: sync_api.Page, tokens: int = 96, button: str = "#compose") -> None:
    """Ask for a short piece and wait until it has begun."""
    before = page.inner_text(".mg-status")
    ask_for(page, tokens)
    page.click(button)
    begun(page, before)


def ask_for(page: sync_api.Page, tokens: int) -> None:
    """Set the length."""
    set_numbers(page, max_tokens=tokens)


def begun(page: sync_api.Page, before: str) -> None:
    """Wait until the line above the roll is another one; a short piece is ready sooner than a state could be
    seen.
    """
    page.wait_for_function("line => document.querySelector('.mg-status').innerText !== line", arg=before)


# Writes down every line above the roll, and presses Stop, if that is wanted, as soon as three notes are there and
# it can be pressed: the line may come before the button is enabled, and a click on it would be lost.
WATCH = """stop => {
  window.lines = [];
  new MutationObserver(() => {
    const line = document.querySelector(".mg-status").innerText;
    window.lines.push(line);
    const button = document.querySelector("#stop");
    if (stop && !button.disabled && Number((line.match(/(\\d+) notes/) || [0, 0])[1]) > 2) { button.click(); stop = false; }
  }).observe(document.querySelector(".mg-status"), { childList: true, characterData: true, subtree: true });
}"""


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
    # It has been playing since its first notes, unless they were all heard before the files were there.
    page.wait_for_function("""() => {
      if (!musicgpt.player.playing) document.querySelector(".mg-play").click();
      return musicgpt.player.position > 16 && musicgpt.synth.level() > 0.01;
    }""")
    page.wait_for_function("!document.querySelector('.mg-line').hidden")
    page.wait_for_selector("#score .mg-sounding")
    page.evaluate("musicgpt.player.pause()")

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
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 4)
    assert page.evaluate("musicgpt.player.position") > 24


def test_hover_names_the_note_and_zoom_widens_the_roll(visit):
    page = visit()
    # Walk over the roll until a note is under the pointer.
    box = page.locator(".mg-canvas").bounding_box()
    for x, y in product(range(52, 400, 40), range(20, int(box["height"]), 3)):
        page.mouse.move(box["x"] + x, box["y"] + y)
        if page.locator(".mg-tip").is_visible():
            break
    assert re.match(
        r"[A-G][♯♭]*\d · bar \d+, quarter [\d.]+ · [\d.]+ quarters? · voice \d", page.inner_text(".mg-tip")
    )
    width = page.locator(".mg-spacer").bounding_box()["width"]
    page.get_by_label("Zoom in").click()
    assert page.locator(".mg-spacer").bounding_box()["width"] > 1.2 * width
    page.get_by_role("button", name="Whole piece").click()
    assert page.locator(".mg-spacer").bounding_box()["width"] == pytest.approx(width, rel=0.01)


def test_stop_then_continue_then_undo(visit):
    page = visit()
    page.evaluate(WATCH, True)
    begin(page, 4000)
    stopped = finished(page)
    assert "stopped by you" in stopped
    assert page.locator("a.mg-file").count() == 4 + can_print()
    begin(page, 400, "#continue")  # room for any last bar and new notes
    continued = finished(page)
    assert continued != stopped
    assert page.locator(".mg-pale").is_visible()
    page.click("#undo")
    page.wait_for_function("line => document.querySelector('.mg-status').innerText === line", arg=stopped)
    assert page.locator(".mg-pale").is_hidden()


def test_upload_good_and_bad(visit, tmp_path):
    page = visit()
    page.click(".mg-own summary")
    assert "composing freely" in page.inner_text(".mg-mode-says")
    (tmp_path / "bad.mid").write_bytes(b"MThd nonsense")
    page.set_input_files(".mg-own-file", tmp_path / "bad.mid")
    page.wait_for_function(
        "document.querySelector('.mg-mode-says').innerText.startsWith('bad.mid cannot be used')"
    )
    assert page.locator("[data-make=continue]").is_disabled()
    assert page.locator("a.mg-file").count() == 4 + can_print(), "the piece before is still there"
    given = make_score(bars=3, key="A minor")
    write_midi(given, tmp_path / "good.mid")
    page.set_input_files(".mg-own-file", tmp_path / "good.mid")
    page.wait_for_function("document.querySelector('.mg-mode-says').innerText.includes('A minor')")
    page.wait_for_function("document.querySelector('#controls input').value !== undefined")
    page.fill(".mg-keep", "2")
    begin(page, 160, "[data-make=continue]")  # room for the two bars and new notes
    line = finished(page)
    assert "in A minor" in line
    path = download(page, "MusicXML", tmp_path)
    assert path.name.startswith("good_continued")
    assert read_score(path).first_bars(2).array.tolist() == given.first_bars(2).array.tolist()
    page.click(".mg-leave")
    assert "composing freely" in page.inner_text(".mg-mode-says")


def test_two_visitors_at_once_keep_their_own(visit, tmp_path):
    pages = [visit(), visit()]
    opening = pages[0].inner_text(".mg-status")
    for page, preset in zip(pages, ("Prelude in C major", "Two voices, E minor"), strict=True):
        ask_for(page, 120)
        page.get_by_role("button", name=preset).click()
    for page in pages:
        begun(page, opening)
    for page, key, form in zip(pages, ("C major", "E minor"), ("Prelude", "Fugue"), strict=True):
        assert finished(page).startswith(f"{form} in {key}")
        score = read_score(download(page, "MusicXML", tmp_path))
        assert str(score.key) == key
        assert f"{len(score)} notes" in page.inner_text(".mg-status")
    addresses = [page.get_attribute("a.mg-file[download$=mp3]", "href").rsplit("/", 1)[0] for page in pages]
    assert addresses[0] != addresses[1]


def test_keyboard_alone_is_enough(visit):
    page = visit()
    ask_for(page, 64)
    page.focus("body")

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
    # It has been played since its first notes; the space bar stops and starts it.
    for playing in ("!musicgpt.player.playing", "musicgpt.player.playing"):
        page.keyboard.press("Space")
        page.wait_for_function(playing)
    tab_to("a.mg-file")
    with page.expect_download():
        page.keyboard.press("Enter")


def test_telephone_in_the_dark(visit):
    page = visit("?__theme=dark", viewport={"width": 390, "height": 844})
    page.click(".mg-own summary")  # what is too wide would be cut
    wide = "[...document.querySelectorAll('.mg *')].filter((e) => !e.closest('.mg-piano, .mg-scroller, svg, .mg-word'))"
    assert page.evaluate(f"Math.max(...{wide}.map((e) => e.getBoundingClientRect().right))") <= 390
    page.click(".mg-own summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # The controls and the button stand above the fold, and the engraving has the telephone's width.
    assert page.locator("#compose").bounding_box()["y"] < 500
    assert page.locator("#controls").bounding_box()["y"] < page.locator("#stage").bounding_box()["y"]
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
