"""How the notes lie in the beats: beats that are struck, syncopations, values that go on."""

from __future__ import annotations

import numpy as np

from tokenization.analysis.view import View
from tokenization.score import DURATION, ONSET

from .measure import NO_NOTES, NO_STEPS, Measure, needs_notes, ratio


@needs_notes
def beats_struck(view: View) -> Measure:
    """Share of the beats, from the first note to the last, on which some voice begins a note.

    The voices of a fugue complete each other to a motion that leaves no beat empty (Marpurg, *Abhandlung von
    der Fuge*, 1753).
    """
    beats = view.beats[(view.beats >= view.times[0]) & (view.beats <= view.times[-1])]
    return ratio(
        np.isin(beats, view.times).sum(), len(beats), "no beat lies between the first note and the last"
    )


@needs_notes
def syncopation(view: View) -> Measure:
    """Share of the notes that begin between beats and sound on over the next beat (Longuet-Higgins and Lee,
    *Music Perception* 1, 1984, with the beat as the only level).
    """
    onsets = view.array[:, ONSET]
    following = np.searchsorted(view.beats, onsets, side="right")
    last = np.append(view.beats, np.iinfo(np.int64).max)
    over = onsets + view.array[:, DURATION] > last[following]
    return ratio(((view.after_beat(onsets) > 0) & over).sum(), len(onsets), NO_NOTES)


@needs_notes
def values_kept(view: View) -> Measure:
    """Share of the steps of a voice from one onset to the next that are as long as the step before."""
    gaps = np.diff(view.lines[:, ONSET])
    first = view.steps[view.step_pairs]
    same = gaps[first] == gaps[first + 1]
    return ratio(same.sum(), len(first), NO_STEPS)
