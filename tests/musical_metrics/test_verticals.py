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


def test_intervals_above_the_bass_on_beats_and_between(voices, line):
    # On the beats a third and a fourth, between them a sixth and an octave; then the bass is in the upper voice.
    upper, lower = line([64, 69, 65, 72], 12), line([60, 60, 60, 60], 12)
    found = {
        (classes, on): verticals.above_bass(voices(upper, lower), classes, on).value
        for classes in (verticals.IMPERFECT, verticals.DISSONANT_ABOVE)
        for on in (True, False)
    }
    assert list(found.values()) == [1 / 2, 1 / 2, 1 / 2, 0]
    crossed = voices(lower, upper)
    assert verticals.above_bass(crossed, verticals.IMPERFECT, True).value == 1 / 2
    # In 6/8 the beats are dotted: the third and the octave stand on them, sixth and fourth between.
    compound = voices(upper, lower, meters=[(0, 6, 8)])
    assert verticals.above_bass(compound, verticals.DISSONANT_ABOVE, True).value == 0
    assert verticals.above_bass(compound, verticals.DISSONANT_ABOVE, False).value == 1 / 2
    assert verticals.above_bass(voices(upper, line([], 12)), verticals.IMPERFECT, True).value is None


def test_no_pair(voices, line):
    assert verticals.struck_dissonance(voices(line([60, 62]))).value is None
    apart = voices(line([60, 62], start=0), line([55], start=12))
    assert verticals.struck_dissonance(apart) == (None, "no two voices ever strike together")
