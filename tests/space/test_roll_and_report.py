"""What the page is told about a piece: the roll's data, the names of the notes, the table of figures."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from musical_metrics.pieces import describe
from space.report import assess, number, report_html
from space.roll import roll_value
from space.words import translated
from tokenization import Key, Score, midi_bytes, musicxml_text, read_score_bytes
from tokenization.analysis.view import View


def test_roll_value_is_plain_data(score):
    value = roll_value(score, take="a", state="running", message="m", progress=0.5)
    assert json.loads(json.dumps(value)) == value
    assert len(value["notes"]) == len(value["names"]) == len(score)
    assert value["qpm"] == score.tempo


def test_the_roll_names_notes_as_the_score_does():
    line = Score(
        [(24 * i, 24, pitch, 0) for i, pitch in enumerate((60, 66, 67, 71, 72, 64, 65, 61, 60))],
        key="C minor",
    )
    names = roll_value(line, take="a", state="done", message="")["names"]
    assert names == ["C4", "F♯4", "G4", "B4", "C5", "E4", "F4", "D♭4", "C4"]
    steps = re.findall(r"<step>(.)</step>(?:<alter>(-?1|0)</alter>)?<octave>(.)", musicxml_text(line))
    assert [step + {"1": "♯", "-1": "♭"}.get(alter, "") + octave for step, alter, octave in steps] == names


@pytest.mark.parametrize(
    ("key", "sharps", "mode"), [("Eb minor", -6, 1), ("D# minor", 6, 1), ("Ab major", -4, 0)]
)
def test_one_key_names_score_roll_midi_and_figures(key, sharps, mode):
    scale = [Key.parse(key).pitch_class + step for step in (0, 2, 3 if mode else 4, 5, 7, 8 if mode else 9)]
    score = Score([(24 * i, 24, 60 + step, 0) for i, step in enumerate(scale)], key=key)
    names = roll_value(score, take="a", state="done", message="")["names"]
    assert [name[0] for name in names] == [chr(65 + (ord(key[0]) - 65 + step) % 7) for step in range(6)]
    midi, text = midi_bytes(score), musicxml_text(score)
    assert b"\xff\x59\x02" + bytes([sharps % 256, mode]) in midi  # the key signature
    assert f"<fifths>{sharps}</fifths>" in text and "<accidental>" not in text
    for data, suffix in ((midi, ".mid"), (text.encode(), ".musicxml")):
        again = read_score_bytes(data, suffix)
        assert roll_value(again, take="a", state="done", message="")["names"] == names
        assert describe(View(again))["key"] == key


class _Cells(HTMLParser):
    """Counts rows and keeps the text."""

    def __init__(self):
        super().__init__()
        self.rows, self.text, self.open = 0, "", []

    def handle_starttag(self, tag, attrs):
        self.rows += tag == "tr"
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_report_has_a_row_for_every_metric_and_names_the_nearest_passage(score):
    figures = assess(score)
    cells = _Cells()
    cells.feed(report_html(figures))
    assert not cells.open
    assert cells.rows == len(figures["metrics"]) + 1
    assert translated(figures["nearest"], "en") in cells.text
    scored = next(row for row in figures["metrics"] if row["value"] is not None and row["low"] is not None)
    assert number(scored["low"]) in cells.text


def test_report_of_a_piece_too_short_to_judge_gives_reasons():
    figures = assess(Score([(0, 24, 60, 0)], key="C major"))
    html = report_html(figures)
    assert ">nan" not in html.lower()
    assert all(row["value"] is not None or row["reason"] for row in figures["metrics"])


def test_numbers_for_people():
    said = {None: "–", 0.0: "0", 0.00001: "<0.001", 0.12345: "0.123", 12.0: "12", 1234.5: "1234"}
    assert {value: number(value) for value in said} == said
