"""The three visitors of `docs/space.md`, walked from the first step to the last: a teacher, a student, a listener."""

from __future__ import annotations

import re
from typing import Any

import pytest

from musicgpt.printing import can_print
from tokenization import read_score

from .conftest import by_link, changed, choose, download, drag, finished

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NOTES = "musicgpt.piece.notes"


def pick(page: Any, label: str, option: str) -> None:
    """Choose a value of a control."""
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=re.compile(f"^✓?\\s*{option}\\b")).click()


def test_a_teacher_prints_a_fugue_to_read_at_sight(visit, tmp_path):
    page = visit()
    for label, option in (
        ("Form", "fugue"), ("Key", "D minor"), ("Bars", "12"), ("Voices", "2"), ("Tempo", "slow"),
        ("Mood", "serene"),
    ):  # fmt: skip
        pick(page, label, option)
    line = changed(page, lambda: page.click("#compose"))
    assert line.startswith("Fugue in D minor, 2 voices")
    first, address = page.evaluate(NOTES), page.url
    assert page.evaluate("musicgpt.piece.qpm") <= 72, "slow"
    full = [sum(a <= t < a + d for a, d, *_ in first) > 2 for t in range(0, 1152, 6)]
    assert sum(full) < len(full) / 6, "one note a hand, but for few places"

    # Bar 7 is too crowded below: over it in the score, without the upper voice, until it pleases.
    bar = page.locator("#score .measure").nth(6)
    bar.scroll_into_view_if_needed()
    # Its staff lines end with the bar, a tie may lead further.
    box, lines = bar.bounding_box(), bar.locator(".staff > path").first.bounding_box()
    middle = box["y"] + box["height"] / 2
    drag(page, (lines["x"] + 8, middle), (lines["x"] + lines["width"] - 8, middle))
    assert page.evaluate("[musicgpt.selection.from, musicgpt.selection.to]") == [7, 7]
    page.uncheck(".mg-choice-voices input >> nth=0")
    changed(page, lambda: page.click("[data-choose=revise]"))
    then = page.evaluate(NOTES)
    differ = {tuple(note) for note in first} ^ {tuple(note) for note in then}
    assert all(note[3] == 1 and 576 <= note[0] < 672 for note in differ)
    page.click("[data-choose=compare]")
    assert page.evaluate(NOTES) == first
    page.click("[data-choose=compare]")

    page.emulate_media(media="print")
    assert page.locator("#score svg").first.is_visible()
    assert page.locator("#compose").is_hidden()
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="screen")
    if can_print():
        assert download(page, "Score (PDF)", tmp_path).read_bytes().startswith(b"%PDF")
    assert read_score(download(page, "MusicXML", tmp_path)).array.tolist() == then
    pupil = by_link(visit, address.split("?", 1)[1])
    assert pupil.evaluate(NOTES) == first


def test_a_students_subject_becomes_a_fugue(visit):
    page = visit()
    page.click(".mg-own summary")
    page.focus(".mg-piano")
    page.keyboard.type("aghgfdsa")
    assert page.input_value(".mg-text") == "C4/8 G4/8 A4/8 G4/8 F4/8 E4/8 D4/8 C4/8"
    page.fill(".mg-text", page.input_value(".mg-text").replace("A4", "Ab4").replace("E4", "Eb4"))
    line = changed(page, lambda: page.click("[data-make=fugue]"))
    assert line.startswith("Fugue in C minor")
    locked = page.evaluate("musicgpt.piece.locked.map((i) => musicgpt.piece.notes[i])")
    top = [note for note in page.evaluate(NOTES) if note[3] == locked[0][3]]
    assert top[:8] == locked and [note[2] for note in locked] == [60, 67, 68, 67, 65, 63, 62, 60]
    assert page.locator(".mg-pale").is_visible()

    # The exposition at half speed, counted in, without the voice that he plays himself.
    page.evaluate("musicgpt.player.pause()")
    choose(page, 1, 4)
    page.click("[data-do=loop]")
    page.click("[data-do=count]")
    page.fill(".mg-speed", "50")
    page.click(".mg-voice >> nth=1 >> button >> nth=0")
    page.click("[data-do=start]")
    page.click(".mg-play")
    page.wait_for_function("musicgpt.player.playing && musicgpt.synth.level() > 0.01")
    assert page.evaluate("[musicgpt.player.speed, [...musicgpt.synth.silent]]") == [0.5, [1]]
    page.wait_for_function("musicgpt.player.position > 60 && musicgpt.player.position < 384")


def test_a_listener_on_a_telephone_comes_back_in_the_evening(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    take = page.evaluate("musicgpt.pieces.now.take")
    page.get_by_role("button", name="Prelude in C major").tap()
    page.wait_for_function(
        """take => musicgpt.pieces.now.take !== take && musicgpt.player.playing
                && musicgpt.synth.level() > 0.01""",
        arg=take,
    )
    page.evaluate("""() => {
      window.stops = 0;
      musicgpt.player.addEventListener("state", () => { if (!musicgpt.player.playing) window.stops += 1; });
    }""")
    page.locator(".mg-instrument").select_option("organ")
    struck = page.evaluate("musicgpt.synth.struck")
    page.wait_for_function("before => musicgpt.synth.struck > before + 2", arg=struck)
    assert page.evaluate("window.stops") == 0
    line = finished(page)
    assert line.startswith("Prelude in C major")
    assert page.evaluate("musicgpt.synth.instrument") == "organ"
    notes, home = page.evaluate(NOTES), page.url.split("?")[0]
    page.goto(home)  # the evening
    finished(page)
    assert page.evaluate(NOTES) == notes
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
