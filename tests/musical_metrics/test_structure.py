"""Repetition, loops and likeness of bars on hand-made scores."""

from __future__ import annotations

import pytest

from musical_metrics import structure

A, B, C = [60, 62, 64, 65], [67, 65, 64, 62], [72, 71, 69, 67]


def test_repeated_bars_and_loop(voices, line):
    piece = voices(line(A + B + A + B + A + C))
    assert structure.repeated_bars(piece).value == 3 / 5  # of bars 2-6, the third, fourth and fifth
    assert structure.longest_loop(piece).value == 3
    assert structure.longest_loop(voices(line(A + B + C))).value == 0
    assert structure.longest_loop(voices(line(A * 5))).value == 4


def test_a_bar_in_other_voices_or_durations(voices, line):
    swapped = voices(
        line(A) + [(n[0] + 96, *n[1:]) for n in line(B)], line(B) + [(n[0] + 96, *n[1:]) for n in line(A)]
    )
    assert structure.repeated_bars(swapped).value == 1  # the same notes, whichever voice has them
    shorter = voices(line(A) + line(A, start=96)[:-1] + [(168, 12, A[-1])])
    assert structure.repeated_bars(shorter).value == 0


def test_silent_bars_are_not_repetitions(voices, line):
    piece = voices(line(A) + line(B, start=4 * 96))
    assert structure.repeated_bars(piece).value == 0
    assert structure.longest_loop(piece).value == 0


@pytest.mark.parametrize(("lag", "value"), [(1, 1 / 7), (2, 1.0), (4, None)])
def test_self_similarity(voices, line, lag, value):
    # A and B have 64 (as the third note) in common: 1 of 7 different (place, pitch class) pairs.
    measure = structure.self_similarity(voices(line(A + B + A + B)), lag)
    assert measure.value == (value if value is None else pytest.approx(value))
    assert (measure.reason is None) == (value is not None)
