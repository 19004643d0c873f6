"""The page for everybody: axe without a violation, the order of the Tab key, words for the score, Spanish, paper."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from musical_metrics.catalogue import BY_NAME
from space.assets import STATIC
from space.report import assess, report_html

from .conftest import finished, lock, refused_to_revise, set_numbers

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

AXE = Path(__file__).parent / "axe" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visit, theme):
    page = visit(f"?__theme={theme}")
    for part in (".mg-own summary", ".mg-reading summary"):
        page.click(part)
    set_numbers(page, candidates=2, max_tokens=1000)
    page.focus(".mg-canvas")
    page.keyboard.press("n")
    page.click(".mg-play")
    page.evaluate(AXE.read_text("utf-8"))
    # Between two states a colour is neither's.
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")

    def look(state: str, width: int) -> None:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)  # the page is laid out anew
        found = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
        assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found["violations"]] == [], (state, width)

    for tab, width in (("Score", 1280), ("Beside Bach", 1280), ("Beside Bach", 390), ("Score", 390)):
        page.get_by_role("tab", name=tab).click()
        look(tab, width)
    page.click("#compose")
    page.wait_for_function("['running', 'others'].includes(musicgpt.pieces.now.state)")
    look("running", 390)
    page.wait_for_function("document.querySelectorAll('#chooser label').length === 2")
    finished(page)
    page.fill(".mg-from", "2")
    page.press(".mg-from", "Tab")
    look("candidates, bars selected", 1280)
    lock(page)
    refused_to_revise(page)
    for width in (1280, 390):
        look("refused", width)


def test_tab_goes_through_the_page_in_reading_order_and_is_seen(visit):
    page = visit()
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("""() => {
              const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
              return [one.tagName, one.id || one.getAttribute("aria-label") || one.className, box.top + scrollY,
                style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || one.tagName === "INPUT"];
            }""")
        )
        if seen[-1][0] == "SUMMARY" and "words" in page.evaluate("document.activeElement.innerText"):
            break
    else:
        pytest.fail(f"the Tab key does not come to the score: {seen}")
    names = [name for _, name, _, _ in seen]
    assert names[:7] == ["Form", "Key", "Bars", "Meter", "Voices", "Tempo", "Mood"]
    assert "BODY" not in [tag for tag, *_ in seen]
    assert all(visible for *_, visible in seen), seen
    tops = [top for _, _, top, _ in seen]
    assert all(b > a - 60 for a, b in zip(tops, tops[1:], strict=False)), "it never jumps back up the page"


@pytest.mark.parametrize("width", [1280, 390])
def test_what_a_control_holds_keeps_clear_of_its_arrow(visit, width):
    page = visit(viewport={"width": width, "height": 900})
    page.get_by_role("combobox", name="Mood", exact=True).click()
    page.get_by_role("option", name="dramatic").click()
    room = page.evaluate("""() => [...document.querySelectorAll("#controls .block")].map((block) => {
      const box = block.querySelector("input"), arrow = block.querySelector(".icon-wrap svg").getBoundingClientRect();
      return arrow.left - (box.getBoundingClientRect().right - parseFloat(getComputedStyle(box).paddingRight));
    })""")
    assert len(room) == 7 and min(room) >= 0


def test_the_score_can_be_read_in_words_and_printed_alone(visit):
    page = visit()
    page.click(".mg-reading summary")
    # the words are written when the browser says that they are open, which is after the click
    page.wait_for_function("document.querySelector('.mg-reading-text').innerText.includes('Bar ')")
    text = page.inner_text(".mg-reading-text")
    assert text.count("Bar ") == page.evaluate("musicgpt.bars")
    notes = page.evaluate("musicgpt.piece.notes.length")
    assert text.count(" on ") == notes
    onset, duration, name = page.evaluate("""() => {
      const { notes, names } = musicgpt.piece, second = notes.findIndex((note) => note[3] === 1);
      return [notes[second][0], notes[second][1], names[second]];
    }""")
    length = json.loads((STATIC / "words.json").read_text("utf-8"))["en"][f"length-{duration}"]
    assert f"Voice 2: {name} {length} on {onset % 96 / 24 + 1:g}" in text
    page.emulate_media(media="print")
    assert page.locator("#score svg").first.is_visible()
    for other in ("#head", "#compose", "#controls", "#own", "#roll", "#files", "#more", "#foot", ".mg-print"):
        assert page.locator(other).is_hidden(), other
    assert page.get_by_role("tab", name="Beside Bach").is_hidden()
    assert page.locator(".mg-score").evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    assert page.inner_text(".mg-title").startswith("Fugue in C minor")
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [1280, 390])
def test_whatever_is_open_the_whole_score_is_printed_and_nothing_else(visit, width):
    page = visit("?__theme=dark", viewport={"width": width, "height": 844})
    page.get_by_role("tab", name="Beside Bach").click()
    page.wait_for_selector("#report tbody tr")
    page.emulate_media(media="print")
    assert page.locator("#score svg").first.is_visible()
    for other in ("#report", "footer"):
        assert page.locator(other).is_hidden(), other
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # no strip of bars is longer than a sheet, which would cut it
    highest = "Math.max(...[...document.querySelectorAll('#score .mg-page svg')].map((e) => e.clientHeight))"
    assert page.evaluate(highest) <= page.evaluate("innerHeight")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf())) == 1, "13 bars and their title"


def test_an_installed_page_and_nothing_from_elsewhere(visit, server):
    page = visit()  # fails on any request to another host
    manifest = page.evaluate("document.querySelector('link[rel=manifest]').href")
    assert manifest.startswith(server)
    assert page.evaluate(
        "async (address) => (await (await fetch(address)).json()).name", manifest
    ).startswith("MusicGPT")


def test_the_passage_of_the_report_is_shown_and_played_in_the_piece(visit, score):
    page = visit()
    page.get_by_role("tab", name="Beside Bach").click()
    # The piece on the page shares a passage with Bach or not; the report of one that does, from its third bar on.
    first, notes, voice = page.evaluate("musicgpt.piece.first"), 9, 2
    figures = {**assess(score), "passage": {"bar": first + 2, "voice": voice - 1, "notes": notes}}
    page.evaluate("html => { document.querySelector('#report').innerHTML = html; }", report_html(figures))
    page.click(".mg-passage")
    page.wait_for_function("musicgpt.player.playing && musicgpt.player.looping")
    chosen = page.evaluate("[musicgpt.selection.from, [...musicgpt.selection.voices]]")
    assert chosen == [3, [voice - 1]]
    assert page.evaluate("musicgpt.piece.notes.filter((note) => musicgpt.selected(note)).length") >= notes


def test_spanish_and_reduced_motion(visit, tmp_path):
    page = visit(locale="es-ES", reduced_motion="reduce")
    assert page.inner_text("#compose") == "Componer"
    assert page.evaluate("document.documentElement.lang") == "es"
    assert page.locator(".mg-play").inner_text().endswith("Tocar")
    assert page.get_by_label("Tonalidad", exact=True).count() == 1
    assert "composición libre" in page.inner_text(".mg-mode-says")
    seconds = "e => parseFloat(getComputedStyle(e).transitionDuration)"
    assert page.locator(".mg-progress > div").evaluate(seconds) < 0.01
    # What the server says is Spanish, too: of the piece, its figures, its choices, and of what is wrong.
    assert finished(page).startswith("Fuga en do menor, 3 voces")
    assert page.get_by_label("Tempo", exact=True).input_value() == "moderado"
    page.get_by_role("tab", name="Al lado de Bach").click()
    report = page.inner_text("#report")
    assert "Parecido con Bach" in report
    assert "Pasaje de Bach más cercano" in report
    assert [entry.title for entry in BY_NAME.values() if f"{entry.title}\n" in report] == []
    page.get_by_role("tab", name="Partitura").click()
    page.click(".mg-own summary")
    (tmp_path / "mala.mid").write_bytes(b"MThd nonsense")
    page.set_input_files(".mg-own-file", tmp_path / "mala.mid")
    page.wait_for_function(
        "document.querySelector('.mg-mode-says').innerText.startsWith('mala.mid no se puede usar')"
    )
    page.evaluate("document.querySelector('.mg-status').innerText = ''")
    page.get_by_role("button", name="Dos voces, mi menor").click()
    page.wait_for_function("document.querySelector('.mg-status').innerText.includes('Componiendo: ')")
    page.click("#stop")
    assert "Fuga en mi menor" in finished(page)
