"""What sounds together: dissonances between voices that begin a note at the same moment, and intervals above
the bass on the beat and between beats.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from tokenization.analysis.moments import DISSONANT
from tokenization.analysis.view import SILENT, View

from .measure import Measure, needs_voices, ratio

# Classes of semitones: the sharpest dissonances, minor second and major seventh with their compounds.
SEMITONES = (1, 11)
# Classes of semitones above the bass: thirds and sixths; what is dissonant with it, the fourth among them.
IMPERFECT, DISSONANT_ABOVE = (3, 4, 8, 9), (1, 2, 5, 6, 10, 11)


def struck_intervals(view: View) -> np.ndarray:
    """Semitones between every two voices that begin a note at the same onset, shape `(pairs,)`."""
    pitches, struck = view.pitches(view.rows), view.attacks
    found = [
        np.abs(pitches[both, a] - pitches[both, b])
        for a, b in combinations(range(pitches.shape[1]), 2)
        if (both := struck[:, a] & struck[:, b]).any()
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


@needs_voices
def struck_dissonance(view: View, classes: Sequence[int] | None = None) -> Measure:
    """Share of the pairs of notes struck together that are a dissonance.

    In strict counterpoint a note that is struck with another is consonant with it; dissonances are passing or
    held over (Fux, *Gradus ad Parnassum*, 1725; Huron, *Voice Leading*, 2016, chapter 7).

    Args:
        classes: semitones modulo the octave that count; seconds, sevenths and the tritone when not given.
    """
    intervals = struck_intervals(view) % 12
    counts = DISSONANT[intervals] if classes is None else np.isin(intervals, classes)
    return ratio(counts.sum(), len(intervals), "no two voices ever strike together")


@needs_voices
def above_bass(view: View, classes: Sequence[int], on_beat: bool) -> Measure:
    """Share of the intervals above the lowest sounding note that belong to some classes, at the onsets on
    beats or at those between beats.

    Thorough bass counts so; thirds and sixths prevail on Bach's beats, and what is dissonant with the bass
    stands between them (Kirnberger, *Die Kunst des reinen Satzes*, 1771; Huron, *Voice Leading*, 2016).

    Args:
        classes: semitones above the lowest note, modulo the octave; the octave itself counts among all.
        on_beat: the onsets on beats, or all others.
    """
    pitches = view.pitches(view.rows)[(view.after_beat(view.times) == 0) == on_beat]
    sounds = pitches != SILENT
    bass = np.where(sounds, pitches, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
    above = pitches - bass[:, None]
    above = above[sounds & (above > 0)] % 12
    where = "on" if on_beat else "between"
    return ratio(np.isin(above, classes).sum(), len(above), f"no two notes sound together {where} beats")
