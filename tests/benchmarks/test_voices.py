"""What the tables of the rules were counted by, on notes of which it can be read off."""

from __future__ import annotations

from benchmarks.voices import mean_pitches, pace
from tokenization.score import Score

# A bar of eighths alone, then an answer in quarters below quarters.
FUGUE = Score(
    [(12 * k, 12, 72, 0) for k in range(8)]
    + [(96 + 24 * k, 24, 72 - 12 * v, v) for k in range(5) for v in (0, 1)]
)


def test_the_pace_of_a_fugue_is_that_of_its_subject_and_of_all_voices_after_it():
    assert pace(FUGUE) == (2.0, 1.25)  # five places in four quarters


def test_long_notes_count_more():
    assert mean_pitches(Score([(0, 72, 60, 0), (72, 24, 64, 0), (0, 24, 48, 1)])) == [61.0, 48.0]
