"""What is struck together, counted by hand."""

from __future__ import annotations

import pytest

from musical_metrics import verticals


def test_struck_dissonances(voices, line):
    # Struck pairs: third, tritone, fourth, minor ninth; the held second under the last note is not struck.
    upper = line([64, 66, 65, 73, 74])
    lower = [(0, 24, 60), (24, 24, 60), (48, 24, 60), (72, 48, 72)]
    piece = voices(upper, lower)
    assert verticals.struck_dissonance(piece).value == 2 / 4
    assert verticals.struck_dissonance(piece, classes=verticals.SEMITONES).value == 1 / 4


def test_three_voices_have_three_pairs(voices, line):
    piece = voices(line([72]), line([67]), line([62]))
    # the seventh; fourth and fifth are none
    assert verticals.struck_dissonance(piece).value == pytest.approx(1 / 3)


def test_no_pair(voices, line):
    assert verticals.struck_dissonance(voices(line([60, 62]))).value is None
    apart = voices(line([60, 62], start=0), line([55], start=12))
    assert verticals.struck_dissonance(apart) == (None, "no two voices ever strike together")
