"""How each voice moves: by step, on one pitch, on after a leap, up and down."""

from __future__ import annotations

import numpy as np

from tokenization.analysis.view import View, as_view
from tokenization.score import Score

from .measure import NO_STEPS, Measure, needs_notes, ratio

SECOND, LEAP = 2, 5  # semitones: the largest step, the smallest leap (a fourth)


@needs_notes
def steps_by_second(view: View) -> Measure:
    """Share of the melodic intervals, repetitions left out, that are seconds (one or two semitones).

    Small intervals prevail in melodies everywhere (von Hippel and Huron, *Music Perception* 18, 2000).
    """
    size = np.abs(view.intervals)
    return ratio(((size > 0) & (size <= SECOND)).sum(), (size > 0).sum(), NO_STEPS)


@needs_notes
def repeated_pitches(view: View) -> Measure:
    """Share of the melodic intervals that repeat the pitch."""
    return ratio((view.intervals == 0).sum(), len(view.intervals), NO_STEPS)


def _pairs(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Every two intervals that follow each other in a voice with no rest between: `(pairs,)` twice."""
    return view.intervals[view.step_pairs], view.intervals[view.step_pairs + 1]


def leaps_recovered(score: Score | View) -> Measure:
    """Share of the leaps (a fourth or more) that are followed by a step of a second in the other direction.

    Fux, *Gradus ad Parnassum* (1725); Meyer's gap-fill (*Explaining Music*, 1973); von Hippel and Huron
    (2000) on how much of it is mere regression to the middle.
    """
    first, second = _pairs(as_view(score))
    leap = np.abs(first) >= LEAP
    back = (np.sign(second) == -np.sign(first)) & (np.abs(second) <= SECOND)
    return ratio((leap & back).sum(), leap.sum(), "no voice goes on after a leap")


def turns(score: Score | View) -> Measure:
    """Share of the pairs of moving intervals in a voice that change direction (Huron, *Sweet Anticipation*,
    2006, chapter 5).
    """
    first, second = _pairs(as_view(score))
    moving = (first != 0) & (second != 0)
    return ratio((moving & (first * second < 0)).sum(), moving.sum(), "no voice has three notes in a row")
