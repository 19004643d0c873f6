"""Moments of a score: where phrases begin, what stands on strong beats, where cadences fall."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..score import DURATION, ONSET, PITCH
from .view import SILENT, View

# Seconds, sevenths and the tritone, compound forms included; as classes of semitones.
DISSONANT = np.isin(np.arange(12), (1, 2, 6, 10, 11))
# Ticks before a cadence in which its dominant sounds: the bass in the last eighth, the leading note in the
# last quarter.
_BASS_BEFORE, _CHORD_BEFORE = 12, 24


def phrase_starts(view: View) -> np.ndarray:
    """Rows of `lines` at which a phrase begins: the first of each voice, and those after a rest of at least
    an eighth.
    """
    joined = np.zeros(len(view.lines), dtype=bool)
    joined[view.steps + 1] = True
    return np.flatnonzero(~joined)


def strong_pairs(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At the strong beats: rows of `lines` of both notes of each sounding pair `(p, 2)`, whether it is
    dissonant `(p,)`, and its beat.
    """
    rows = view.sounding(view.strong_beats)
    pitches = view.pitches(rows)
    pairs, dissonant, beats = [], [], []
    for a, b in combinations(range(rows.shape[1]), 2):
        at = np.flatnonzero((rows[:, a] != SILENT) & (rows[:, b] != SILENT))
        pairs.append(rows[at][:, [a, b]])
        dissonant.append(DISSONANT[np.abs(pitches[at, a] - pitches[at, b]) % 12])
        beats.append(at)
    if not pairs:
        return np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)
    return np.concatenate(pairs), np.concatenate(dissonant), np.concatenate(beats)


def cadences(view: View) -> np.ndarray:
    """Ticks of the authentic cadences on strong beats, rising: the bass steps from the fifth of a chord to
    its root.

    At the beat the bass strikes and all that sounds is a major or minor triad on it, the third included; in
    the eighth before the lowest note is its fifth degree, and in the quarter before its leading note sounds.
    Cadences nearer than a half note count once.
    """
    array, ends = view.array, view.array[:, ONSET] + view.array[:, DURATION]
    found: list[int] = []
    for beat in view.strong_beats.tolist():
        sounding = (array[:, ONSET] <= beat) & (ends > beat)
        before = (array[:, ONSET] < beat) & (ends > beat - _BASS_BEFORE)
        if sounding.sum() < 2 or not before.any() or (found and beat - found[-1] < 48):
            continue
        notes = array[sounding]
        bass = notes[notes[:, PITCH].argmin()]
        chord = set(((notes[:, PITCH] - bass[PITCH]) % 12).tolist())
        if bass[ONSET] != beat or not chord & {3, 4} or chord - {0, 3, 4, 7}:
            continue
        around = (array[:, ONSET] < beat) & (ends > beat - _CHORD_BEFORE)
        degrees = (array[around, PITCH] - bass[PITCH]) % 12
        if (array[before, PITCH].min() - bass[PITCH]) % 12 == 7 and (degrees == 11).any():
            found.append(beat)
    return np.array(found, dtype=np.int64)
