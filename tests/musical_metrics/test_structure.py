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


@pytest.mark.parametrize(
    ("bass", "dominant", "tonic"),
    [
        # Whole notes before the final one: held for two bars, struck again, an octave apart, not in the bass.
        ([(288, 192, 43)], 2, 0),
        ([(288, 24, 43), (312, 72, 43), (384, 24, 43)], 1.25, 0),
        ([(288, 96, 43), (384, 96, 31)], 1, 0),
        ([(288, 192, 55), (288, 192, 50)], 0, 0),
        ([(384, 192, 48)], 0, 1),  # the final chord does not count
        ([(0, 96, 50), (96, 384, 60)], 0, 4),
    ],
)
def test_a_pedal_before_the_final_chord(voices, line, bass, dominant, tonic):
    final = [] if any(onset + ticks > 480 for onset, ticks, _ in bass) else [(480, 96, 48)]
    piece = voices(line([76, 77] * 10), line([72, 74] * 10) + [(480, 96, 72)], bass + final, key="C major")
    assert structure.closing_pedal(piece, 7).value == dominant
    assert structure.closing_pedal(piece, 0).value == tonic
    assert structure.closing_pedal(piece.replace(key=None), 0).value is None


def test_a_pedal_is_looked_for_in_the_last_eight_bars(voices, line):
    for bars, value in ((8, 1), (9, 0)):  # the pedal is the first bar
        piece = voices(
            line([72, 74] * 2 * (bars - 1)), [(0, 96, 43), (96 * bars - 96, 96, 48)], key="C major"
        )
        assert structure.closing_pedal(piece, 7).value == value
