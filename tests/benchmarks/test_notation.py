"""The comparison with editions: what it counts on a small catalogue made here."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks.notation import measure, pieces, table
from benchmarks.page_faults import Faults, page_faults
from tokenization import Score, musicxml_text

HEAD = "onset_q\tdur_q\tmidi\tpitch\tvoice\tstaff\tbar_pos_q\ttime_signature\tgrace"
# 6/8 in C minor: a quarter over the middle of the bar, B natural, and a note that the table calls C flat and
# puts on the other staff.
ROWS = """\
0 1/2 72 C5 a 1 0
1/2 1/2 71 B4 a 1 1/2
1 1 72 C5 a 1 1
2 1/2 74 D5 a 1 2
5/2 1/2 71 Cb5 a 2 5/2
0 3 48 C3 b 2 0"""
EDITION = """<score-partwise><part id="P1"><measure>
<note><pitch><step>C</step><octave>5</octave></pitch><tie type="start"/></note>
<note><pitch><step>C</step><octave>5</octave></pitch><tie type="stop"/></note>
<note><grace/><pitch><step>D</step><octave>5</octave></pitch></note><note><rest/></note>
</measure><measure><note><pitch><step>C</step><octave>5</octave></pitch></note></measure></part></score-partwise>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = ["\t".join([*row.split(), "6/8", "0"]) for row in ROWS.splitlines()]
    (tmp_path / "a.tsv").write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "a.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("a.xml", EDITION)
    columns = "id,book,bars,tonic,mode,time_signature,note_table,musicxml_file\n"
    lines = ["a,1,2,C,minor,6/8,a.tsv,a.mxl", "b,2,2,C,minor,6/8,a.tsv,", "c,2,2,C,minor,6/8,missing.tsv,"]
    (tmp_path / "catalogue.csv").write_text(columns + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_heads_names_and_staves_are_counted(folder: Path):
    with_edition, alone = (measure(piece) for piece in pieces(folder))
    assert with_edition.notes == 6 and with_edition.heads == pytest.approx(7 / 6)  # the quarter is tied
    assert with_edition.edition_heads == pytest.approx(3 / 2) and alone.edition_heads is None
    assert with_edition.misnamed == with_edition.misnamed_without_key == 1
    assert with_edition.on_other_staff == 1 and alone.on_other_staff is None


def test_a_prelude_in_one_file_with_its_fugue_is_counted_alone(folder: Path):
    (folder / "a.mxl").rename(folder / "with_fugue.mxl")
    catalogue = (
        (folder / "catalogue.csv")
        .read_text("utf-8")
        .replace("a,1,2,", "a,1,1,")
        .replace("a.mxl", "with_fugue.mxl")
    )
    (folder / "catalogue.csv").write_text(catalogue, encoding="utf-8")
    assert measure(next(pieces(folder))).edition_heads == pytest.approx(2)


def test_the_table_has_a_line_a_piece_and_one_a_meter_of_the_others(folder: Path):
    lines = table([folder]).splitlines()
    assert lines[2] == "| a | 6/8 | 6 | 1.167 | 1.500 | 83.33 % | 83.33 % | 83.33 % | none |"
    assert lines[3].startswith(f"| {folder.name}, 1 others | 6/8 | 6 | 1.167, at most 1.167 |  |  | 83.33 %")
    assert lines[-1].startswith(f"| **{folder.name}** |  | 12 |")


NOTE = "<note><pitch><step>{}</step><octave>{}</octave></pitch><duration>4</duration><staff>{}</staff></note>"
REST = "<note><rest/><duration>4</duration><type>{}</type><staff>2</staff></note>"
BACK = "<backup><duration>4</duration></backup>"


@pytest.mark.parametrize(
    ("written", "faults"),
    [
        ([NOTE.format("C", 5, 1), NOTE.format("E", 4, 1), NOTE.format("C", 3, 2)], Faults(changed=True)),
        ([NOTE.format("C", 5, 1), NOTE.format("D", 3, 1)], Faults(illegible=1, changed=True)),
        ([NOTE.format(step, 4, 1) for step in "CEG"], Faults(idle=1, changed=True)),
        ([NOTE.format("F", 3, 2), REST.format("quarter")], Faults(collisions=1, changed=True)),
        ([NOTE.format("F", 3, 2), REST.format("half")], Faults(changed=True)),
    ],
)
def test_what_a_player_would_mark_is_counted_in_the_text(written: list[str], faults: Faults):
    score = Score([(0, 96, 72, 0), (0, 96, 48, 1)], key="C")
    text = musicxml_text(score)
    assert page_faults(score, text) == Faults()
    head, foot = text.index("<note>"), text.rindex("</measure>")
    changed = text[:head] + BACK.join(written) + text[foot:]
    assert page_faults(score, changed) == faults
