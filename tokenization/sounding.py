"""What an instrument can play of a score: one voice cannot strike a pitch that it still holds."""

from __future__ import annotations

import numpy as np

from .score import DURATION, ONSET, PITCH, VOICE, Score


def sounding(score: Score) -> Score:
    """The score with every note ended, at the latest, where its voice strikes the same pitch anew.

    Of notes of one voice with the same onset and pitch the longest stays. MIDI channels and staves cannot
    hold more.
    """
    array = score.array
    if not len(array):
        return score
    order = np.lexsort((array[:, DURATION], array[:, ONSET], array[:, PITCH], array[:, VOICE]))
    rows = array[order]
    again = np.flatnonzero((np.diff(rows[:, [VOICE, PITCH]], axis=0) == 0).all(axis=1))
    rows[again, DURATION] = np.minimum(rows[again, DURATION], rows[again + 1, ONSET] - rows[again, ONSET])
    return score.replace(notes=rows[rows[:, DURATION] > 0])
