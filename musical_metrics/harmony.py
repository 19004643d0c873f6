"""How well chords explain what sounds: the mean share of each eighth that the best triad or seventh chord
covers.
"""

from __future__ import annotations

import numpy as np

from tokenization.analysis.view import View, as_view
from tokenization.score import DURATION, ONSET, PITCH, Score

from .measure import Measure, nothing
from .seeds import NO_NOTES

# ticks: an eighth; of the lengths tried (an eighth to a whole note) the one that best tells Bach from Markov
SLICE = 12
# Semitones above the root: major, minor and diminished triads, dominant, half-diminished and diminished
# sevenths.
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 7, 10), (0, 3, 6, 10), (0, 3, 6, 9))


def _templates() -> np.ndarray:
    table = np.zeros((len(CHORDS) * 12, 12))
    for i, chord in enumerate(CHORDS):
        for root in range(12):
            table[i * 12 + root, [(root + step) % 12 for step in chord]] = 1
    return table


TEMPLATES = _templates()  # (chords, 12)


def slice_profiles(view: View) -> np.ndarray:
    """Ticks that each pitch class sounds in each eighth, shape `(slices, 12)`."""
    array = view.array
    ends = array[:, ONSET] + array[:, DURATION]
    first, last = array[:, ONSET] // SLICE, (ends - 1) // SLICE
    spans = last - first + 1
    note = np.repeat(np.arange(len(array)), spans)  # a row for each note and eighth that it touches
    where = np.arange(len(note)) - np.repeat(np.cumsum(spans) - spans, spans) + first[note]
    ticks = np.minimum(ends[note], (where + 1) * SLICE) - np.maximum(array[note, ONSET], where * SLICE)
    slices = int(last.max()) + 1
    flat = np.bincount(where * 12 + array[note, PITCH] % 12, weights=ticks, minlength=slices * 12)
    return flat.reshape(slices, 12)


def chord_fit(score: Score | View) -> Measure:
    """Mean over the eighths with three pitch classes or more of the share of the sounding time that the best
    chord covers, 0 to 1.

    The templates are triads and seventh chords on twelve roots; passing notes and suspensions lower the
    share, a random texture more so.
    """
    view = as_view(score)
    if not len(view.array):
        return nothing(NO_NOTES)
    profiles = slice_profiles(view)
    profiles = profiles[(profiles > 0).sum(axis=1) >= 3]
    if not len(profiles):
        return nothing("no eighth has three pitch classes")
    covered = (profiles @ TEMPLATES.T).max(axis=1)  # (slices, 12) @ (12, chords) -> (slices,)
    return Measure(float((covered / profiles.sum(axis=1)).mean()))


__all__ = ["slice_profiles", "chord_fit"]
