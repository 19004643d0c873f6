"""The score to print: every system once and whole, pages filled, notes and texts as vectors, the same bytes
every time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from musicgpt import printing
from musicgpt.printing import HEADING, LEAST_GAP, arrange, engrave_systems, pdf_bytes
from tests.musicgpt.commands import generate
from tokenization import MusicGPTError, Score, musicxml_text


@pytest.fixture(scope="module")
def piece(wandering) -> Score:
    """Three voices for some fifty bars, with a composer and a seed."""
    return wandering(3, 120).replace(
        key="E minor",
        tempo=80.0,
        form="fugue",
        info={"composer": "Söhne & Co.", "seed": "3", "program": "MusicGPT 0.0"},
    )


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 12, 13, 14, 40])
def test_every_system_stands_once_on_a_page_that_has_room_for_it(count):
    heights = [30.0 + 7 * (k % 3) for k in range(count)]
    pages = arrange(heights, 264.0)
    assert [k for page in pages for k in page["systems"]] == list(range(count))
    for number, page in enumerate(pages):
        taken = sum(heights[k] for k in page["systems"]) + page["gap"] * (len(page["systems"]) - 1)
        room = 264.0 - (HEADING if number == 0 else 0)
        assert taken <= room + 1e-6 and page["gap"] >= LEAST_GAP
        if number < len(pages) - 1:
            assert taken == pytest.approx(room)  # filled to the foot
    assert len(pages[-1]["systems"]) > 1 or count == 1


def test_a_system_higher_than_a_page_stands_alone():
    assert [page["systems"] for page in arrange([300.0, 300.0], 264.0)] == [[0], [1]]


def test_systems_hold_all_notes_and_no_text_needs_a_font_of_music(piece):
    pytest.importorskip("verovio")
    systems = engrave_systems(musicxml_text(piece), 180.0)
    notes = [
        e.get("id")
        for s in systems
        for e in ElementTree.fromstring(s.svg).iter()
        if (e.get("class") or "").split()[:1] == ["note"]
    ]
    printed = len(re.findall(r"<pitch>", musicxml_text(piece)))  # tied heads counted
    assert len(notes) == len(set(notes)) == printed
    assert len(systems) > 5 and all(s.svg.count('class="system"') == 1 for s in systems)
    assert all(20 < s.height < 80 for s in systems)  # millimetres
    first = systems[0].svg
    assert "Leipzig" not in first and "scale(0.72)" in first
    assert re.search(r'<tspan font-size="\d+px">\s=\s</tspan>', first)
    assert printing._is_full(systems[-1].svg) and all(printing._is_full(s.svg) for s in systems)


def test_the_pdf_is_the_same_every_time_and_says_what_it_is(piece, tmp_path):
    pytest.importorskip("typst")
    data = {paper: pdf_bytes(piece, paper) for paper in printing.PAPERS}
    assert data["a4"].startswith(b"%PDF") and data["a4"] == pdf_bytes(piece)
    if not (shutil.which("pdfinfo") and shutil.which("pdftotext")):
        pytest.skip("poppler's tools are not installed")

    def said(*command: str) -> str:
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    heading = "Fugue in E minor, 3 voices", "Söhne & Co."
    for paper, size in (("a4", "A4"), ("us-letter", "letter")):
        (tmp_path / "a.pdf").write_bytes(data[paper])
        facts = said("pdfinfo", "a.pdf")
        assert all(text in facts for text in (f"({size})", *heading))
        pages = int(re.search(r"Pages:\s+(\d+)", facts)[1])
        words = said("pdftotext", "-layout", "a.pdf", "-").split("\f")
        assert all(text in words[0] for text in (*heading, "seed 3 · MusicGPT 0.0"))
        assert re.search(r"=\s80", words[0])
        assert pages > 1 and [words[k].split()[-1] for k in range(1, pages)] == [
            str(k + 1) for k in range(1, pages)
        ]
    images = said("pdfimages", "-list", "a.pdf")
    assert len(images.splitlines()) == 2  # the head of a table without rows: all is drawn


def test_what_cannot_be_printed_is_said(piece):
    with pytest.raises(MusicGPTError, match="a4, us-letter"):
        pdf_bytes(piece, "a5")
    with pytest.raises(MusicGPTError, match="no notes"):
        pdf_bytes(Score([]))


def test_without_the_extra_one_sentence_says_what_to_install(
    tiny_model_folder, tmp_path, monkeypatch, capsys, piece
):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'musicgpt-wtc\[pdf\]'"):
        pdf_bytes(piece)
    assert generate(tiny_model_folder, tmp_path / "o", "--pdf") == 1
    told = "musicgpt: error: generate needs the package typst: pip install 'musicgpt-wtc[pdf]'\n"
    assert capsys.readouterr().err == told
    assert not (tmp_path / "o").exists()


def test_the_command_writes_the_pdf_beside_the_other_files(tiny_model_folder, tmp_path, capsys):
    pytest.importorskip("typst")
    words = "--max-new-tokens 60 --seed 1 --pdf --paper us-letter"
    assert generate(tiny_model_folder, tmp_path, words) == 0, capsys.readouterr().err
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".mid", ".musicxml", ".pdf", ".png"]
