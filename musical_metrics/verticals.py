"""What is struck together: dissonances between voices that begin a note at the same moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenization.analysis.moments import DISSONANT
from tokenization.analysis.view import View, as_view
from tokenization.score import Score

from .measure import Measure, nothing, ratio
from .seeds import NO_NOTES, ONE_VOICE

# Classes of semitones: the sharpest dissonances, minor second and major seventh with their compounds.
SEMITONES = (1, 11)


def struck_intervals(view: View) -> np.ndarray:
    """Semitones between every two voices that begin a note at the same onset, shape `(pairs,)`."""
    pitches, struck = view.pitches(view.rows), view.attacks
    found = [
        np.abs(pitches[both, a] - pitches[both, b])
        for a in range(pitches.shape[1])
        for b in range(a + 1, pitches.shape[1])
        if (both := struck[:, a] & struck[:, b]).any()
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def struck_dissonance(score: Score | View, classes: Sequence[int] | None = None) -> Measure:
    """Share of the pairs of notes struck together that are a dissonance.

    In strict counterpoint a note that is struck with another is consonant with it; dissonances are passing or
    held over (Fux, *Gradus ad Parnassum*, 1725; Huron, *Voice Leading*, 2016, chapter 7).

    Args:
        classes: semitones modulo the octave that count; seconds, sevenths and the tritone when not given.
    """
    view = as_view(score)
    if len(view.voices) < 2:
        return nothing(ONE_VOICE if len(view.voices) else NO_NOTES)
    intervals = struck_intervals(view) % 12
    counts = DISSONANT[intervals] if classes is None else np.isin(intervals, classes)
    return ratio(counts.sum(), len(intervals), "no two voices ever strike together")


__all__ = ["SEMITONES", "struck_dissonance", "struck_intervals"]
