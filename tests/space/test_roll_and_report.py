"""What the page is told about a piece: the roll's data, the names of the notes, the table of figures."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from space.report import assess, number, report_html
from space.roll import roll_value
from tokenization import Score, musicxml_text


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
    assert figures["nearest"] in cells.text
    scored = next(row for row in figures["metrics"] if row["value"] is not None and row["low"] is not None)
    assert number(scored["low"]) in cells.text


def test_report_of_a_piece_too_short_to_judge_gives_reasons():
    figures = assess(Score([(0, 24, 60, 0)], key="C major"))
    html = report_html(figures)
    assert ">nan" not in html.lower()
    assert all(row["value"] is not None or row["reason"] for row in figures["metrics"])


@pytest.mark.parametrize(
    "value, text",
    [(None, "–"), (0.0, "0"), (0.00001, "<0.001"), (0.12345, "0.123"), (12.0, "12"), (1234.5, "1234")],
)
def test_numbers_for_people(value, text):
    assert number(value) == text
