"""Repetition, loops, likeness of bars and the subject of a fugue on hand-made scores."""

from __future__ import annotations

import pytest

from musical_metrics import structure
from musical_metrics.view import View

A, B, C = [60, 62, 64, 65], [67, 65, 64, 62], [72, 71, 69, 67]


def test_repeated_bars_and_loop(voices, line):
    piece = voices(line(A + B + A + B + A + C))
    assert structure.repeated_bars(piece).value == 3 / 5  # of bars 2-6, the third, fourth and fifth
    assert structure.longest_loop(piece).value == 3
    assert structure.longest_loop(voices(line(A + B + C))).value == 0
    assert structure.longest_loop(voices(line(A * 5))).value == 4


def test_a_bar_in_other_voices_or_durations(voices, line):
    swapped = voices(line(A) + [(n[0] + 96, *n[1:]) for n in line(B)], line(B) + [(n[0] + 96, *n[1:]) for n in line(A)])
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


SUBJECT = [60, 62, 64, 65, 67, 64, 60]


def test_subject_entries_real_and_tonal(voices, line):
    answer = [p + 7 for p in SUBJECT]
    tonal = [67, 67, 71, 72, 74, 71, 67]  # the first step narrowed, as in a tonal answer
    rest = [55, 60, 55, 48, 41, 55, 43]
    free = line([72, 74, 71, 72, 67, 69, 71], start=7 * 24)
    for entry, expected in ((answer, 1.0), (tonal, 1.0), (rest, 0.5)):
        fugue = voices(line(SUBJECT) + free, line([p - 12 for p in entry], start=7 * 24), form="fugue")
        assert structure.subject_entries(fugue).value == expected, entry
    assert structure.subject_entries(fugue.replace(form="prelude")).value is None


def test_subject_in_another_rhythm_is_no_entry(voices, line):
    fugue = voices(line(SUBJECT) + line([72] * 7, start=168), line(SUBJECT, duration=12, start=168), form="fugue")
    assert structure.subject_entries(fugue).value == 0.5


def test_statements(voices, line):
    fugue = voices(line(SUBJECT + [72, 71, 69, 67] + SUBJECT), line([p - 12 for p in SUBJECT], start=168), form="fugue")
    assert structure.subject_recurrence(fugue).value == 3 / 2


def test_no_subject(voices, line):
    together = voices(line(SUBJECT), line(SUBJECT), form="fugue")
    assert "begin together" in structure.find_subject(View(together))
    short = voices(line(SUBJECT), line(SUBJECT, start=48), form="fugue")
    assert structure.subject_entries(short) == (None, "the first voice is alone for fewer than 4 notes")
