"""Returns, sequences, figures and static bars on hand-made scores."""

from __future__ import annotations

import numpy as np
import pytest

from musical_metrics import recurrence
from tokenization.key import Key

THEME = [60, 62, 64, 65, 67, 64, 60, 72]  # seven steps


def test_degrees():
    major = recurrence.degrees(np.array([60, 61, 62, 71, 72]), Key.parse("C major"))
    assert (major - major[0]).tolist() == [0, 0, 1, 6, 7]
    minor = recurrence.degrees(np.array([57, 60, 66, 68, 69]), Key.parse("A minor"))
    assert (minor - minor[0]).tolist() == [0, 2, 5, 6, 7]


def test_a_pattern_that_returns_transposed_and_far_away(voices, line):
    between = line([59 + (i * i) % 13 for i in range(4 * 9)], start=192)
    piece = voices(line(THEME) + between + line([p + 5 for p in THEME], start=12 * 96))
    patterns = 8 + 36 + 8 - 7
    # The theme and its return; what stands between them comes back nowhere.
    assert recurrence.recurring_patterns(piece).value == pytest.approx(2 / patterns)
    near = voices(line(THEME) + line([p + 5 for p in THEME], start=8 * 96))
    assert recurrence.recurring_patterns(near).value == 0
    assert recurrence.recurring_patterns(voices(line(THEME[:7]))).value is None


def test_a_pattern_that_returns_on_the_beat(voices, line):
    # A step of the scale lower, other semitones: the pattern begins at tick 0 and a whole number of beats later.
    in_scale = [59, 60, 62, 64, 65, 62, 59, 71]
    sequence = voices(line(THEME, 6) + line(in_scale, 6, start=72), key="C major")
    assert recurrence.recurring_patterns(sequence).value == 0
    assert recurrence.returns_on_beats(sequence).value == pytest.approx(2 / 9)
    # Half a beat later it does not count, nor does what two voices play at once.
    displaced = voices(line(THEME, 6) + line(in_scale, 6, start=60), key="C major")
    assert recurrence.returns_on_beats(displaced).value == 0
    at_once = voices(line(THEME, 6), line([p - 12 for p in THEME], 6), key="C major")
    assert recurrence.returns_on_beats(at_once).value == 0
    assert recurrence.returns_on_beats(voices(line(THEME[:7]))).value is None


def test_bars_in_sequence(voices, line):
    bar = [60, 64, 67, 64]
    down = [p - 2 for p in bar]
    in_scale = [57, 60, 64, 60]  # a step of the scale further down: intervals differ by a semitone
    lower = [p - 12 for p in bar + down + in_scale]
    piece = voices(line(bar + down + in_scale + bar), line(lower + [43, 47, 50, 53]))
    assert recurrence.bars_in_sequence(piece).value == 2 / 3  # the last bar: one voice up, the other down
    assert recurrence.bars_in_sequence(voices(line(bar * 3))).value == 0  # repetition is no sequence
    slower = voices(line(bar) + line([58, 65], duration=48, start=96))
    assert recurrence.bars_in_sequence(slower).value == 0


def test_a_figure_that_is_kept_over_another_harmony(voices, line):
    kept = voices(line([60, 64, 67, 72, 62, 65, 69, 74]), key="C major")
    assert recurrence.figure_kept(kept).value == 1.0
    # Of three steps each the first is the same: one of five.
    changed = voices(line([60, 64, 67, 72, 62, 65, 64, 62]), key="C major")
    assert recurrence.figure_kept(changed).value == pytest.approx(1 / 5)
    assert recurrence.figure_kept(voices([(0, 96, 60), (96, 96, 62), (192, 96, 64)])).value is None


def test_bars_in_which_nothing_moves(voices, line):
    piece = voices(line([72, 72, 72, 72, 72, 74, 72, 71]), line([60] * 8, start=0), [(0, 192, 48)])
    assert recurrence.static_bars(piece).value == 1 / 2
    assert recurrence.static_bars(voices([(0, 96, 60)])).value is None
