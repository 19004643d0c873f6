"""Written-out trills, drawn together into the notes they adorn."""

from __future__ import annotations

import numpy as np

from tokenization.score import DURATION, ONSET, PITCH, VOICE, Score
from tokenization.vocabulary import TICKS_PER_QUARTER

LONGEST = TICKS_PER_QUARTER // 8  # a 32nd
FEWEST = 4
WIDEST = 2  # semitones between the two notes of a trill


def collapse_trills(score: Score) -> tuple[Score, int]:
    """Runs of four or more notes of one voice, each a 32nd or shorter, that alternate between two neighbouring pitches without a
    gap, become one note: the lower pitch (the main note of a trill), from the first onset to the last end.

    Returns:
        The score and how many notes disappeared.
    """
    array = score.array[np.lexsort((score.array[:, ONSET], score.array[:, VOICE]))]
    keep = np.ones(len(array), dtype=bool)
    start = 0
    while start < len(array) - 1:
        end = _run_end(array, start)
        if end - start >= FEWEST:
            array[start, DURATION] = array[end - 1, ONSET] + array[end - 1, DURATION] - array[start, ONSET]
            array[start, PITCH] = array[start : start + 2, PITCH].min()
            keep[start + 1 : end] = False
            start = end
        else:
            start = max(start + 1, end - 1)
    dropped = int((~keep).sum())
    return (score.replace(notes=array[keep]), dropped) if dropped else (score, 0)


def _run_end(array: np.ndarray, start: int) -> int:
    """One past the last note of the alternation that begins at `start`; rows in the order of voice and onset."""
    end = start + 1
    while end < len(array):
        note, before = array[end], array[end - 1]
        if (
            note[VOICE] != before[VOICE]
            or note[ONSET] != before[ONSET] + before[DURATION]
            or max(note[DURATION], before[DURATION]) > LONGEST
            or not 1 <= abs(note[PITCH] - before[PITCH]) <= WIDEST
            or (end - start >= 2 and note[PITCH] != array[end - 2, PITCH])
        ):
            break
        end += 1
    return end
