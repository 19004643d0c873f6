"""Chords: how well they explain what sounds, how their roots move, and how often."""

from __future__ import annotations

import numpy as np

from tokenization.analysis.view import View
from tokenization.score import DURATION, ONSET, PITCH

from .measure import Measure, needs_notes, nothing, ratio

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


def profiles_between(array: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ticks that each pitch class sounds between two edges, and what sounds there.

    Args:
        array (integer array `(notes, 4)`): as `Score.array`.
        edges (integer array `(spans + 1,)`): rising ticks, between which all notes lie.

    Returns:
        the profiles `(spans, 12)`, and for each note and span that it touches the rows of both.
    """
    ends = array[:, ONSET] + array[:, DURATION]
    first = np.searchsorted(edges, array[:, ONSET], side="right") - 1
    touched = np.searchsorted(edges, ends - 1, side="right") - first
    note = np.repeat(np.arange(len(array)), touched)
    span = np.arange(len(note)) - np.repeat(np.cumsum(touched) - touched, touched) + first[note]
    ticks = np.minimum(ends[note], edges[span + 1]) - np.maximum(array[note, ONSET], edges[span])
    size = 12 * (len(edges) - 1)
    profiles = np.bincount(span * 12 + array[note, PITCH] % 12, weights=ticks, minlength=size)
    return profiles.reshape(-1, 12), note, span


def slice_profiles(view: View) -> np.ndarray:
    """Ticks that each pitch class sounds in each eighth, shape `(slices, 12)`."""
    ends = view.array[:, ONSET] + view.array[:, DURATION]
    return profiles_between(view.array, np.arange(0, int(ends.max()) + SLICE, SLICE))[0]


@needs_notes
def chord_fit(view: View) -> Measure:
    """Mean over the eighths with three pitch classes or more of the share of the sounding time that the best
    chord covers, 0 to 1.

    The templates are triads and seventh chords on twelve roots; passing notes and suspensions lower the
    share, a random texture more so.
    """
    profiles = slice_profiles(view)
    profiles = profiles[(profiles > 0).sum(axis=1) >= 3]
    if not len(profiles):
        return nothing("no eighth has three pitch classes")
    covered = (profiles @ TEMPLATES.T).max(axis=1)  # (slices, 12) @ (12, chords) -> (slices,)
    return Measure(float((covered / profiles.sum(axis=1)).mean()))


def roots(view: View) -> np.ndarray:
    """Pitch class of the root of the chord that best covers each beat with three pitch classes or more,
    shape `(beats,)`; beats with fewer are left out.

    The chord that covers most of the sounding time wins; of several the smaller one, then the one whose root
    sounds longer, then the one whose root lies nearest above the lowest note.
    """
    array, beats = view.array, view.beats
    ends = array[:, ONSET] + array[:, DURATION]
    edges = np.append(beats, max(int(ends.max(initial=0)), int(beats[-1])) + 1)
    profiles, note, beat = profiles_between(array, edges)
    lowest = np.full(len(beats), 128)
    np.minimum.at(lowest, beat, array[note, PITCH])
    enough = (profiles > 0).sum(axis=1) >= 3
    profiles, lowest = profiles[enough], lowest[enough]
    covered = profiles @ TEMPLATES.T  # (beats, 12) @ (12, chords) -> (beats, chords)
    own = np.tile(profiles, len(CHORDS))  # ticks of each chord's root
    size = np.repeat([len(chord) for chord in CHORDS], 12)
    total = profiles.sum(axis=1, keepdims=True) + 1
    above = np.tile((np.arange(12) - lowest[:, None]) % 12, len(CHORDS))
    return (covered - 1e-3 * size + 1e-6 * own / total - 1e-10 * above).argmax(axis=1) % 12


@needs_notes
def root_motion(view: View, classes: tuple[int, ...]) -> Measure:
    """Share of the changes of root from beat to beat (`roots`) that are of some classes of semitones upwards.

    A fall of a fifth (5 upwards) is the commonest progression of tonal music, in Bach's chorales as well
    (Rameau, *Traite de l'harmonie*, 1722; Tymoczko, *A Geometry of Music*, 2011, chapter 7).
    """
    moves = np.diff(roots(view)) % 12
    moves = moves[moves != 0]
    return ratio(np.isin(moves, classes).sum(), len(moves), "the root never changes")


@needs_notes
def root_changes(view: View) -> Measure:
    """Share of the neighbouring beats with a chord whose roots differ: how fast the harmony goes (Piston,
    *Harmony*, 1941, on harmonic rhythm).
    """
    found = roots(view)
    return (
        ratio((np.diff(found) != 0).sum(), len(found) - 1, "one beat has a chord")
        if len(found)
        else nothing("no beat has three pitch classes")
    )
