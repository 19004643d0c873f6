"""Note values, rests and beams, worked out by hand from textbook rhythms."""

from __future__ import annotations

import pytest

from tokenization import Score
from tokenization.notation import Symbol, write_bars
from tokenization.score import Meter

SHORT = {"64th": "64", "32nd": "32", "16th": "16", "eighth": "8", "quarter": "4", "half": "2", "whole": "1"}


def written(meter: str, *lengths: int, first: int = 0) -> list[Symbol]:
    """The symbols of a voice whose notes (positive) and rests (negative) follow each other from `first` on,
    in ticks."""
    rows, now = [], first
    for length in lengths:
        if length > 0:
            rows.append((now, length, 72, 0))
        now += abs(length)
    score = Score(rows, [Meter(0, *map(int, meter.split("/")))], key="C")
    return [symbol for bar in write_bars(score) for symbol in bar.lanes[0].symbols]


def lengths_of(text: str) -> list[int]:
    """What `spelled` gives, as ticks of notes and rests."""
    found = []
    for word in text.split():
        ticks = [
            96 // int(part.strip("r.")) * (2 ** (part.count(".") + 1) - 1) // 2 ** part.count(".")
            for part in word.split("~")
        ]
        found.append(-sum(ticks) if word[0] == "r" else sum(ticks))
    return found


def spelled(symbols: list[Symbol]) -> str:
    """`4.~8 r8`: a dotted quarter tied to an eighth, an eighth rest."""
    text = ""
    for symbol in symbols:
        text += (
            ("" if symbol.notes else "r")
            + SHORT[symbol.value]
            + "." * symbol.dots
            + ("~" if symbol.tied_to else " ")
        )
    return text.strip()


def beamed(symbols: list[Symbol]) -> list[int]:
    """How many notes stand under each primary beam, in order of time."""
    groups: list[int] = []
    for symbol in symbols:
        if symbol.beams:
            groups = [*groups, 0] if symbol.beams[0] == "begin" else groups
            groups[-1] += 1
    return groups


BEAMS = {
    "6/8": "3 3 3 3", "9/8": "3 3 3", "12/8": "3 3 3 3", "3/8": "3 3", "6/4": "6 6", "4/4": "4 4 4 4", "2/2": "4 4",
    "3/2": "4 4 4", "3/4": "2 2 2 2 2 2", "2/4": "2 2", "5/8": "2 3", "7/8": "2 2 3", "4/8": "2 2 2 2",
    "6/16": "3 3 3 3", "12/16": "3 3 3 3 3 3 3 3", "3/16": "3 3",
}  # fmt: skip


@pytest.mark.parametrize("meter", BEAMS)
def test_plain_notes_are_one_head_each_under_the_beams_of_the_meter(meter: str):
    """Eighths, or sixteenths in meters of sixteenths."""
    beams, value = [*map(int, BEAMS[meter].split())], "16" if meter.endswith("/16") else "8"
    symbols = written(meter, *[96 // int(value)] * sum(beams))
    assert spelled(symbols) == " ".join([value] * sum(beams))
    assert beamed(symbols) == beams


RHYTHMS = {
    # Compound meters: inside a beat nothing is split, over it only what fills whole beats stays whole.
    "6/8": "8 4 4 8 | 4 8~8 4 | 8. 16 8 16 4 16 | 4.~8 4 | 8 4~4 8 | 2. | 4~16 16 16 16~4",
    "9/8": "2. 4. | 4. 2. | 2.~4. | 4 8~2.",
    "12/8": "4. 2. 4. | 1. | 4 8~8 4~2.",
    "3/8": "4 8 4. | 4~16 16",
    "6/16": "8 16~16 8 | 16 8 8.",
    "12/16": "8. 4. 8. | 8.~16 8~4.",
    "6/4": "2. 2. | 4 2 2 4 | 2 4~4 2",
    # Simple meters: dotted values from the beat, syncopations about it.
    "4/4": "4. 8 8. 16 4 | 2. 4 | 4 4~2 | 8 4 8 8 4 8 | 8 4 8~8 4 8 | 4 2 4 | 4 4~8 8~4 | 16 8 16 16 8. 2"
    " | 8. 16~16 8. 2 | 8 8~4 2 | 2~8 8~4 | 2~4. 8 | 16 16~32 16. 4~2",
    "2/2": "4 2 4",
    "3/4": "4 2 | 4. 8 4 | 4 4. 8 | 8 4 4 8 | 2~8 8 | 8 8~4. 8",
    "3/2": "2 1 | 4 2 4~2 | 4. 8~8 8~4~2",
}
# Rests fill their level of the bar from its beginning; none is dotted in simple meters.
RESTS = {
    "4/4": "r4 r8 8 2 | 8 r8 r4 2 | 4 r4 r4 4 | 16 r16 r8 4~2 | 2 r2",
    "3/4": "4 r4 r4",
    "6/8": "8 r8 r8 4. | r4 8 4. | 4. r4.",
    "9/8": "4. r4. r4. | 4~16 r16 r8 r16 8. 4.",
    "12/8": "2. r2.",
    "12/16": "r8. r16 8~4.",
    "6/4": "4 r4 r4 2.",
}


@pytest.mark.parametrize(
    ("meter", "text"),
    [(meter, text) for table in (RHYTHMS, RESTS) for meter in table for text in table[meter].split(" | ")],
)
def test_textbook_rhythms(meter: str, text: str):
    assert spelled(written(meter, *lengths_of(text))) == text


def test_ties_stand_where_a_bar_line_is_crossed():
    symbols = written("6/8", 60, 24, 60)
    assert spelled(symbols) == "4.~4 8~8 4~4."
    assert [bool(s.tied_from) for s in symbols] == [False, True] * 3


def test_a_pickup_is_counted_from_the_bar_line():
    assert spelled(written("6/8", 12, 36, 36, first=60)) == "8 4. 4."
    assert spelled(written("6/8", 24, 12, 72, first=36)) == "4 8 2."


@pytest.mark.parametrize(
    ("meter", "lengths", "beams"),
    [
        ("4/4", (12, 12, 6, 6, 6, 6, 48), [2, 4]),  # something shorter in the half: by the beat
        ("4/4", (-12, 12, 12, 12, 48), [3]),
        ("4/4", (12, 24, 12, 12, 12, 24), [2]),
        ("4/4", (18, 6, 12, 12, 48), [2, 2]),
        ("4/4", (8, 8, 8, 12, 12, 48), [3, 2]),
        ("6/8", (18, 6, 12, 6, 6, 6, 6, 12), [3, 5]),
        ("6/4", (12, 12, 6, 6, 12, 12, 12, 72), [2, 3, 2]),
        ("3/8", (6, 6, 6, 6, 6, 6), [6]),
    ],
)
def test_beams_show_the_beat(meter: str, lengths: tuple[int, ...], beams: list[int]):
    assert beamed(written(meter, *lengths)) == beams


def test_hooks_point_to_what_they_complete():
    def second(*lengths: int) -> list[str]:
        return [s.beams[1] if len(s.beams) > 1 else "" for s in written("6/8", *lengths)]

    assert second(18, 6, 12, 36)[:3] == ["", "backward hook", ""]
    assert second(12, 6, 18, 36)[:3] == ["", "forward hook", ""]
    assert second(6, 18, 12, 36)[:3] == ["forward hook", "", ""]


def test_between_32nds_only_the_first_beam_goes_over_an_eighth():
    symbols = written("3/8", *[3] * 12)
    assert beamed(symbols) == [12]
    group = ["begin", "continue", "continue", "end"]
    assert [s.beams[1] for s in symbols] == [s.beams[2] for s in symbols] == group * 3
    assert [s.beams[1] for s in written("3/8", *[6] * 6)] == ["begin", *["continue"] * 4, "end"]


def test_triplets_are_bracketed_once_and_only_where_no_beam_shows_them():
    symbols = written("4/4", 8, 8, 8, 16, 8, 4, 4, 4, 4, 4, 4, -24)
    marks = [(s.tuplet, s.bracket) for s in symbols if s.tuplet]
    assert [tuplet for tuplet, _ in marks] == ["start", "stop"] * 4
    assert [bracket for tuplet, bracket in marks if tuplet == "start"] == [False, True, False, False]
    assert spelled(symbols) == "8 8 8 4 8 16 16 16 16 16 16 r4" and beamed(symbols) == [3, 6]
    inside = written("6/8", 4, 4, 4, 12, 12, 36)
    assert [s.triplet for s in inside] == ["16th"] * 3 + [""] * 3 and spelled(inside) == "16 16 16 8 8 4."
