"""The page as an instrument, in a real browser: playing, selecting, changing, music of one's own, links."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tokenization import write_midi

from .conftest import (
    PATIENCE,
    by_link,
    changed,
    choose,
    drag,
    finished,
    lock,
    make_score,
    refused_to_revise,
    set_numbers,
    swipe,
)

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NOTES = "musicgpt.piece.notes"
SUBJECT = "C5/8 B4/16 C5/16 G4/8 Ab4/8 C5/8 B4/16 C5/16 D5/8 G4/8"


def rows(page: Any) -> set[tuple[int, ...]]:
    """The notes that are shown."""
    return {tuple(note) for note in page.evaluate(NOTES)}


def test_it_sounds_at_once_while_it_is_composed(visit):
    page = visit()
    # How long it waits for the first sound is the machine's to say; it must come before the piece is whole.
    page.evaluate("""() => {
      const look = setInterval(() => {
        const { state, notes } = musicgpt.pieces.now;
        if (state !== "running" || !notes.length) return;
        if (musicgpt.synth.level() < 0.01) return;
        window.heard = true;
        clearInterval(look);
      }, 5);
    }""")
    page.wait_for_function("musicgpt.synth.node")
    page.click("#compose")
    page.wait_for_function("window.heard")  # while it was composed, or never
    finished(page)
    assert page.evaluate("musicgpt.player.playing"), "it plays on when it is whole"


def test_the_player_loops_counts_in_changes_speed_instrument_and_voices(visit):
    page = visit()
    choose(page, 3, 3)
    page.click("[data-do=loop]")
    page.click("[data-do=count]")
    page.fill(".mg-speed", "150")
    page.click(".mg-play")
    page.wait_for_function("musicgpt.player.playing")
    # A bar of clicks first: the clock stands still at the start of the loop.
    assert page.evaluate("musicgpt.player.position") == pytest.approx(192, abs=1)
    page.wait_for_function("musicgpt.player.position > 250")
    struck = page.evaluate("musicgpt.synth.struck")
    page.select_option(".mg-instrument", "organ")
    page.wait_for_function("musicgpt.player.position < 230")  # round again, and never stopped
    assert page.evaluate("musicgpt.player.playing")
    page.wait_for_function("before => musicgpt.synth.struck > before + 2", arg=struck)
    assert page.evaluate("musicgpt.player.position") < 289
    for voice in page.evaluate("musicgpt.voices"):
        page.click(f".mg-voice >> nth={voice} >> button >> nth=0")
    page.wait_for_function("musicgpt.synth.level() < 0.004")
    page.click(".mg-voice >> nth=1 >> button >> nth=0")
    page.wait_for_function("musicgpt.synth.level() > 0.01")
    silent = "musicgpt.voices.filter((voice) => musicgpt.synth.silent.has(voice))"
    page.click(".mg-voice >> nth=1 >> button >> nth=1")  # alone
    assert page.evaluate(silent) == [voice for voice in page.evaluate("musicgpt.voices") if voice != 1]
    page.click(".mg-voice >> nth=1 >> button >> nth=1")
    assert 1 not in page.evaluate(silent)
    page.click(".mg-play")
    page.wait_for_selector("a.mg-file[download*=organ]")  # the file to take home follows


def test_a_voice_alone_silences_no_piece_without_it_and_the_metronome_ends_with_pause(visit):
    page = visit()
    page.click(".mg-voice >> nth=2 >> button >> nth=1")
    assert page.evaluate("[...musicgpt.synth.silent]") == [0, 1, 3, 4]
    changed(page, lambda: page.get_by_role("button", name="Two voices, E minor").click())
    assert page.evaluate("[musicgpt.voices, [...musicgpt.synth.silent]]") == [[0, 1], []]
    page.evaluate("musicgpt.player.pause()")
    page.click("[data-do=count]")
    page.click(".mg-play")
    page.wait_for_function("musicgpt.synth.clicks.length > 0")
    page.click(".mg-play")
    assert page.evaluate("musicgpt.synth.clicks.length") == 0


def test_instruments_that_cannot_be_loaded_are_told_of_and_asked_for_again(visit):
    page = visit()
    page.evaluate("""() => {
      const { fetch } = window;
      window.fetch = async (...all) => (String(all[0]).includes("instruments") ? new Response("", { status: 503 }) : fetch(...all));
      window.mend = () => { window.fetch = fetch; };
      musicgpt.synth.loading = null;  // it was there already
    }""")
    page.click(".mg-play")
    page.wait_for_function("document.querySelector('.mg-clock').innerText.startsWith('No sound')")
    assert not page.evaluate("musicgpt.player.playing")
    page.evaluate("window.mend()")
    page.click(".mg-play")
    page.wait_for_function("musicgpt.player.playing && musicgpt.synth.level() > 0.01")
    assert "No sound" not in page.inner_text(".mg-clock")


def test_nothing_else_can_be_asked_for_while_a_piece_is_composed(visit):
    page = visit()
    page.click(".mg-own summary")
    page.fill(".mg-text", SUBJECT)
    set_numbers(page, max_tokens=4000)
    page.click("#compose")
    page.wait_for_function("document.querySelectorAll('#presets button:disabled').length === 5")
    assert page.locator("[data-make=fugue]").is_disabled()
    assert page.locator(".mg-link").is_disabled(), "the piece has no link yet"
    page.select_option(".mg-instrument", "organ")
    page.wait_for_function("musicgpt.piece.state === 'running' && musicgpt.piece.notes.length > 2")
    page.click("#stop")
    finished(page)
    page.wait_for_selector("a.mg-file[download$='organ.mp3']")
    page.wait_for_function("document.querySelectorAll('#presets button:disabled').length === 0")
    assert page.locator("[data-make=fugue]").is_enabled()
    assert page.locator(".mg-link").is_enabled()


@pytest.mark.parametrize("pointer", ["mouse", "touch", "keyboard"])
def test_bars_are_selected_in_roll_and_score(visit, pointer):
    page = visit(has_touch=pointer == "touch")
    bars = page.evaluate("musicgpt.bars")
    chosen = "[musicgpt.selection.from, musicgpt.selection.to]"
    if pointer == "keyboard":
        page.focus(".mg-canvas")
        for _ in range(3):
            page.keyboard.press("Shift+ArrowRight")
        assert page.evaluate(chosen) == [1, 3]
        page.keyboard.press("1")
        assert 0 not in page.evaluate("[...musicgpt.selection.voices]")
        page.focus(".mg-score")
        page.keyboard.press("Shift+ArrowRight")
        assert page.evaluate(chosen) == [1, 4]
        page.keyboard.press("Escape")
        assert page.evaluate("musicgpt.selection") is None
        return
    box = page.locator(".mg-ruler").bounding_box()
    at = [box["x"] + box["width"] * (bar - 0.5) / bars for bar in (2, 4)]
    if pointer == "mouse":
        drag(page, (at[0], box["y"] + 10), (at[1], box["y"] + 10))
        assert page.evaluate(chosen) == [2, 4]
    else:
        page.touchscreen.tap(at[1], box["y"] + 10)
        assert page.evaluate(chosen) == [4, 4]
        swipe(page, (at[0], box["y"] + 10), (at[1], box["y"] + 10))
        assert page.evaluate(chosen) == [2, 4]
    assert page.locator(".mg-marks div").count() == 3
    page.click(".mg-pick")
    for bar in (1, 2):
        place = page.locator("#score .measure").nth(bar).bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        page.mouse.click(x, y) if pointer == "mouse" else page.touchscreen.tap(x, y)
    assert page.evaluate(chosen) == [2, 3]


# The first bar into which a tie leads, its number, and where its staff lines begin.
TIED = """() => {
  const bars = [...document.querySelectorAll("#score .measure")], box = (one) => one.getBoundingClientRect();
  const lines = (bar) => box(bar.querySelector(".staff > path"));
  const at = bars.findIndex((bar, i) => i > 0 && lines(bars[i - 1]).right > lines(bar).left - 4 && box(bars[i - 1]).right > lines(bar).left + 4
    && box(bars[i - 1]).top < box(bar).bottom && lines(bars[i - 1]).left < lines(bar).left);
  if (at < 0) return null;
  bars[at].scrollIntoView({ block: "center" });
  return [at + 1, lines(bars[at]).left, box(bars[at]).top, box(bars[at]).height];
}"""


def test_a_bar_begins_where_its_staff_lines_do_though_a_tie_leads_into_it(visit):
    page = visit()
    page.click(".mg-own summary")
    page.fill(".mg-text", "G4/4 C5/4 D5/4 E5/4+4 D5/4 C5/2")
    changed(page, lambda: page.click("[data-make=harmonise]"))
    number, left, top, height = page.evaluate(TIED)
    drag(page, (left + 3, top + height / 2), (left + 20, top + height / 2))
    assert page.evaluate("[musicgpt.selection.from, musicgpt.selection.to]") == [number, number]


def test_recompose_compare_undo_redo_and_what_is_locked(visit):
    page = visit()
    before = rows(page)
    choose(page, 4, 6)
    page.uncheck(".mg-choice-voices input >> nth=0")
    page.click("[data-do=loop]")  # a busy machine may take longer than the piece lasts
    changed(page, lambda: page.click("[data-choose=revise]"))
    after = rows(page)
    different = before ^ after
    assert different
    assert {note[3] for note in different} <= {1, 2}
    assert {note[0] // 96 + 1 for note in different} <= {4, 5, 6}
    assert page.evaluate("[musicgpt.selection.from, musicgpt.selection.to]") == [4, 6], (
        "it can be tried again"
    )

    page.wait_for_function("musicgpt.player.playing && musicgpt.player.position > 8")
    page.click("[data-choose=compare]")
    assert rows(page) == before
    assert page.evaluate("musicgpt.player.playing && musicgpt.player.position") > 8, (
        "it plays on where it was"
    )
    page.click("[data-choose=compare]")
    assert rows(page) == after
    page.click(".mg-play")

    changed(page, lambda: page.click("#undo"))
    assert rows(page) == before
    changed(page, lambda: page.click("#redo"))
    assert rows(page) == after

    lock(page)
    refused_to_revise(page)
    assert "All that is selected is locked" in page.inner_text(".mg-status")
    lock(page, False)
    assert not page.evaluate("musicgpt.player.playing"), "what was refused is not played later"

    lock(page)
    refused_to_revise(page)
    last = rows(page)
    choose(page, 8, 9)
    changed(page, lambda: page.click("[data-choose=revise]"))
    page.click("[data-choose=compare]")
    assert rows(page) == last, "after a refusal, too, the last piece is the one to compare with"


# Where a note of the roll is, and how high a row: [x, y, row].
PLACE = """(index) => {
  const canvas = document.querySelector(".mg-canvas"), box = canvas.getBoundingClientRect();
  const pitches = musicgpt.piece.notes.map((note) => note[2]), low = Math.min(...pitches) - 2, high = Math.max(...pitches) + 2;
  const row = (box.height - 26) / (high - low + 1), note = musicgpt.piece.notes[index];
  const end = musicgpt.lines[musicgpt.lines.length - 1], inner = canvas.clientWidth - 36;
  return [box.left + 36 + (note[0] + note[1] / 2) * inner / end, box.top + 26 + (high - note[2] + 0.5) * row, row];
}"""


def test_notes_are_moved_and_deleted_by_touch(visit):
    page = visit(has_touch=True)
    first, *others = page.evaluate(NOTES)
    page.locator(".mg-canvas").scroll_into_view_if_needed()
    x, y, _ = page.evaluate(PLACE, 0)
    page.touchscreen.tap(x, y)
    page.wait_for_selector(".mg-note:visible")
    page.tap("[data-move=up]")
    changed(page, lambda: page.tap("[data-move=later]"))
    moved = [first[0] + 6, first[1], first[2] + 1, first[3]]
    assert rows(page) == {tuple(moved), *map(tuple, others)}
    x, y, _ = page.evaluate(PLACE, page.evaluate(NOTES).index(moved))
    page.touchscreen.tap(x, y)
    changed(page, lambda: page.tap("[data-move=delete]"))
    assert page.evaluate(NOTES) == others


def test_notes_are_moved_and_deleted_by_mouse_keyboard_and_buttons(visit):
    page = visit()
    first, *others = page.evaluate(NOTES)
    page.focus(".mg-canvas")
    page.keyboard.press("n")
    page.keyboard.press("ArrowUp")
    changed(page, lambda: page.keyboard.press("ArrowUp"))
    moved = [first[0], first[1], first[2] + 2, first[3]]
    assert page.evaluate(NOTES) == [moved, *others]
    assert page.evaluate("musicgpt.piece.locked") == [0], "what was touched stays"

    def up() -> None:
        x, y, row = page.evaluate(PLACE, 0)
        drag(page, (x, y), (x, y - 3 * row), steps=4)

    changed(page, up)
    assert page.evaluate(NOTES)[0] == [first[0], first[1], first[2] + 5, first[3]]
    page.focus(".mg-canvas")
    page.keyboard.press("n")
    changed(page, lambda: page.click("[data-move=delete]"))
    assert page.evaluate(NOTES) == others
    for _ in range(3):
        changed(page, lambda: page.click("#undo"))
    assert page.evaluate(NOTES) == [first, *others]


def test_own_music_becomes_a_fugue_and_is_harmonised(visit):
    page = visit()
    page.click(".mg-own summary")
    assert "composing freely" in page.inner_text(".mg-mode-says")
    page.focus(".mg-piano")
    page.keyboard.type("asd")
    page.keyboard.press("Backspace")
    assert page.input_value(".mg-text") == "C4/8 D4/8"
    page.click(".mg-piano button[aria-label='C♯4']")
    assert page.input_value(".mg-text") == "C4/8 D4/8 C#4/8"
    page.fill(".mg-text", "C4/8 D♭4/8 E4/8")
    assert "your music, 3 notes" in page.inner_text(".mg-mode-says")
    for word in ("H4", "C5/0", "C5/7", "C-5/8"):
        page.fill(".mg-text", f"{SUBJECT} {word}")
        assert f"“{word}” is no note" in page.inner_text(".mg-mode-says")
    page.fill(".mg-text", SUBJECT)
    # It is heard, and ended, even if the first voice of the piece is silent.
    page.click(".mg-voice >> nth=0 >> button >> nth=0")
    page.click(".mg-hear")
    page.wait_for_function("musicgpt.synth.level() > 0.01")
    page.click(".mg-hear")
    assert page.get_attribute(".mg-hear", "aria-pressed") == "false"
    page.click(".mg-voice >> nth=0 >> button >> nth=0")
    assert "your music, 10 notes" in page.inner_text(".mg-mode-says")
    for make, name in (("fugue", "Fugue"), ("harmonise", "Piece")):
        line = changed(page, lambda make=make: page.click(f"[data-make={make}]"))
        assert line.startswith(f"{name} in C minor")
        assert len(page.evaluate("musicgpt.piece.locked")) == 10
        given = sorted(rows(page))
        pitches = [72, 71, 72, 67, 68, 72, 71, 72, 74, 67]
        locked = page.evaluate("musicgpt.piece.locked.map((i) => musicgpt.piece.notes[i][2])")
        assert locked == pitches
        assert len(given) > 10
    page.click(".mg-leave")
    assert "composing freely" in page.inner_text(".mg-mode-says")


@pytest.mark.parametrize("pointer", ["mouse", "touch", "keyboard"])
def test_a_subject_is_drawn(visit, pointer):
    page = visit(has_touch=pointer == "touch")
    page.click(".mg-own summary")
    page.locator(".mg-sketch").scroll_into_view_if_needed()
    box = page.locator(".mg-sketch").bounding_box()

    def at(tick: float, pitch: int) -> tuple[float, float]:
        """Four bars and the pitches from G3 to C6 are seen at first."""
        beside = 26  # pixels for the names of the octaves
        across = beside + tick / 384 * (box["width"] - beside)
        return box["x"] + across, box["y"] + (84 - pitch + 0.5) / 30 * box["height"]

    def text() -> str:
        return page.input_value(".mg-text")

    if pointer == "touch":
        page.touchscreen.tap(*at(1, 72))
        page.touchscreen.tap(*at(25, 67))
        assert text() == "C5/8 r/8 G4/8"
        page.touchscreen.tap(*at(26, 67))
        assert text() == "C5/8"
        swipe(page, at(50, 71), at(71, 71))
        assert text() == "C5/8 r/4. B4/4"
        swipe(page, at(1, 72), at(1, 76))
        assert text() == "E5/8 r/4. B4/4"
    elif pointer == "keyboard":
        page.focus(".mg-sketch")
        for key in ("Enter", "ArrowUp", "ArrowUp", "Enter", "ArrowRight", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        assert text() == "C5/8 D5/8 r/8 C#5/8"
        assert page.inner_text(".mg-sketch-says") == "C♯5, bar 1, quarter 3"
        for key in ("ArrowLeft", "Enter"):
            page.keyboard.press(key)
        assert text() == "C5/8 D5/8"
    else:
        for start, end in (((1, 72), (47, 72)), ((50, 74), (50, 74)), ((51, 74), (63, 76))):
            drag(page, at(*start), at(*end), steps=4)
        assert text() == "C5/2 r/8 E5/8"
        page.mouse.click(*at(70, 79))  # what is covered gives way
        assert text() == "C5/2 r/8 E5/16 G5/8"
        page.mouse.click(*at(10, 72))
        assert text() == "r/2+8 E5/16 G5/8"
    assert "your music" in page.inner_text(".mg-mode-says")
    assert page.locator("[data-make=fugue]").is_enabled()


def test_a_midi_keyboard_writes_notes(visit):
    page = visit()
    page.evaluate("""() => {
      const input = {};
      window.send = (...data) => input.onmidimessage({ data });
      navigator.requestMIDIAccess = async () => ({ inputs: new Map([["keyboard", input]]) });
    }""")
    page.click(".mg-own summary")
    page.click("[data-own=midi]")
    page.wait_for_selector("[data-own=midi][aria-pressed=true]")
    struck = page.evaluate("musicgpt.synth.struck")
    # A note that begins, ends, and "begins" with no force, which is an end, too; then one on another channel.
    for message in ((0x90, 60, 90), (0x80, 60, 0), (0x90, 60, 0), (0x93, 63, 50)):
        page.evaluate("data => window.send(...data)", message)
    assert page.input_value(".mg-text") == "C4/8 Eb4/8"
    page.wait_for_function("before => musicgpt.synth.struck === before + 2", arg=struck)


# Lets a file fall on the field of own music, as the system does after a drag.
DROP = """([name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(bytes)], name));
  document.querySelector(".mg-drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def test_key_meter_and_form_follow_a_file_that_is_dropped(visit, tmp_path):
    page = visit()
    page.click(".mg-own summary")
    for form, shown in (("prelude", "prelude"), (None, "any")):
        given = make_score(bars=3, key="A minor").replace(form=form, meters=[(0, 3, 4)])
        write_midi(given, tmp_path / "own.mid")
        page.evaluate(DROP, [f"{form}.mid", list((tmp_path / "own.mid").read_bytes())])
        page.wait_for_function(
            "said => document.querySelector('.mg-mode-says').innerText.startsWith(said)",
            arg=f"{form}.mid: {len(given)} notes",
        )
        for label, value in (("Form", shown), ("Key", "A minor"), ("Meter", "3/4")):
            sync_api.expect(page.get_by_label(label, exact=True)).to_have_value(value, timeout=PATIENCE)


def test_candidates_are_heard_while_others_are_composed(visit):
    page = visit()
    set_numbers(page, candidates=3, max_tokens=1000)
    page.click("[data-do=loop]")  # however long the others take, the first one goes on
    page.evaluate("""() => {
      window.heard = new Set();
      musicgpt.addEventListener("time", () => {
        const { state, take, message } = musicgpt.pieces.now;
        if (state === "others" && musicgpt.player.playing && musicgpt.synth.level() > 0.01) window.heard.add(message.split(": ")[0] + take);
      });
    }""")
    page.click("#compose")
    page.wait_for_function("musicgpt.pieces.now.state === 'others' && musicgpt.player.playing")
    first = page.evaluate("musicgpt.pieces.now.take")
    assert "you hear candidate 1" in page.inner_text(".mg-status")
    page.get_by_role("radio", name="Candidate 2").click()  # as soon as there are two
    page.wait_for_function("take => musicgpt.pieces.now.take !== take", arg=first)
    assert page.evaluate("musicgpt.player.playing"), "the other one is heard at once"
    finished(page)
    assert page.evaluate("[...window.heard].some((one) => one.startsWith('Composing candidate 2 of 3'))")
    page.wait_for_function("document.querySelectorAll('#chooser label').length === 3")
    for line in page.locator("#chooser label").all_inner_texts():
        assert re.search(r"likeness to Bach \d+ of 100 · \d+ of \d+ figures within Bach's band", line)
    assert page.get_by_role("radio", name="Candidate 2").is_checked()
    page.click("[data-choose=compare]")
    assert page.evaluate("musicgpt.piece.take") == first


def test_the_same_link_gives_the_same_piece_and_a_reload_keeps_the_last_one(visit):
    page = visit()
    changed(page, lambda: page.get_by_role("button", name="Two voices, E minor").click())
    notes, address = page.evaluate(NOTES), page.url
    assert "key=E+minor" in address
    seed = re.search(r"seed (\d+)", page.inner_text(".mg-status"))[1]
    assert address.endswith(f"seed={seed}")
    page.focus(".mg-canvas")
    page.keyboard.press("n")
    changed(page, lambda: page.keyboard.press("Delete"))
    assert "seed=" not in page.url, "a changed piece has no link"
    fewer = page.evaluate(NOTES)
    assert len(fewer) == len(notes) - 1
    page.reload()
    finished(page)
    assert page.evaluate(NOTES) == fewer
    changed(page, lambda: page.click("#undo"))  # not the last one alone is kept
    assert page.evaluate(NOTES) == notes
    line, health = page.inner_text(".mg-status"), page.url.split("?")[0] + "health"
    pieces = page.request.get(health).json()["pieces"]
    page.reload()
    assert finished(page) == line and page.evaluate(NOTES) == notes and page.url == address
    assert page.request.get(health).json()["pieces"] == pieces, "what is there is not composed again"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click(".mg-link")
    page.wait_for_function("document.querySelector('.mg-link').innerText === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == address

    other = by_link(visit, address.split("?", 1)[1])
    assert other.evaluate(NOTES) == notes
    assert other.get_by_label("Key", exact=True).input_value() == "E minor"


def idle(page: Any) -> None:
    """Wait until the page is whole and something can be asked for."""
    finished(page)
    page.wait_for_function("musicgpt.idle && !document.querySelector('#compose').disabled")


def test_a_reload_while_it_composes_holds_nobody_up_two_presses_are_one_and_tabs_keep_their_own(visit):
    page = visit()
    tab, health = page.context.new_page(), page.url.split("?")[0] + "health"
    pieces = page.request.get(health).json()["pieces"]
    tab.goto(page.url)
    idle(tab)
    tab.click("#compose")
    tab.wait_for_selector(".mg-roll[data-state=running]")
    tab.reload()
    idle(tab)
    assert page.request.get(health).json()["waiting"] == 0
    assert tab.is_disabled("#stop")
    changed(page, lambda: page.dblclick("#compose"))
    idle(page)
    assert page.request.get(health).json()["pieces"] == pieces + 1
    changed(tab, lambda: tab.click("#compose"))
    assert page.evaluate(NOTES) != tab.evaluate(NOTES)
    notes = page.evaluate(NOTES)
    page.reload()
    page.wait_for_function("window.musicgpt && musicgpt.pieces.now && musicgpt.pieces.now.link")
    finished(page)
    assert page.evaluate(NOTES) == notes, "its own, not the other tab's"


def test_a_piece_has_as_many_bars_as_are_asked_for(visit):
    page = by_link(visit, "form=fugue&key=G+minor&voices=2&bars=8&seed=3")
    assert page.evaluate("musicgpt.bars") == pytest.approx(8, abs=1)
    assert page.get_by_role("combobox", name="Bars").input_value() == "8"
