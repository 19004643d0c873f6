"""What the page is told about a piece: the roll's data, the names of the notes, the table of figures."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from space.report import assess, number, report_html
from space.roll import pitch_names, roll_value
from tokenization import Key, Score
from tokenization.key import KEY_NAMES

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@pytest.mark.parametrize("name", KEY_NAMES)
def test_names_of_notes_spell_the_pitch_in_every_key(name):
    key = Key.parse(name)
    names, octaves = pitch_names(key)
    for midi in range(36, 60):
        text, octave = names[midi % 12], midi // 12 - 1 + octaves[midi % 12]
        sounding = STEPS[text[0]] + text.count("♯") - text.count("♭") + 12 * (octave + 1)
        assert sounding == midi, (name, text, octave)
    # The tonic and the leading tone are spelled as in the key, on neighbouring letters.
    tonic, leading = names[key.pitch_class], names[(key.pitch_class - 1) % 12]
    assert tonic == key.tonic.replace("#", "♯").replace("b", "♭")
    assert (ord(tonic[0]) - ord(leading[0])) % 7 == 1


def test_roll_value_is_plain_data(score):
    value = roll_value(score, take="a", state="running", message="m", progress=0.5)
    assert json.loads(json.dumps(value)) == value
    assert len(value["notes"]) == len(score)
    assert value["qpm"] == score.tempo


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


@pytest.mark.parametrize("value, text", [(None, "–"), (0.0, "0"), (0.00001, "<0.001"), (0.12345, "0.123"), (12.0, "12"), (1234.5, "1234")])
def test_numbers_for_people(value, text):
    assert number(value) == text
