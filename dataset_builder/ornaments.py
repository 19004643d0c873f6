"""Written-out trills, drawn together into the notes they adorn."""

from __future__ import annotations

import numpy as np

from tokenization.score import DURATION, ONSET, PITCH, VOICE, Score
from tokenization.vocabulary import TICKS_PER_QUARTER
from tokenization.voices import infer_voices

LONGEST = TICKS_PER_QUARTER // 8  # a 32nd
FEWEST = 4
WIDEST = 2  # semitones between the two notes of a trill


def collapse_trills(score: Score) -> tuple[Score, int]:
    """Four or more notes in a row, each a 32nd or shorter, that alternate between two neighbouring pitches
    without a gap, become one note: the lower pitch (the main note of a trill), from the first onset to the
    last end.

    Voices that the reader inferred are inferred again without the trills, whose notes it may have dealt out
    among several; for the same reason the notes of a trill need not be of one voice.

    Returns:
        The score and how many notes disappeared.
    """
    array = score.array.copy()
    short = {(int(row[ONSET]), int(row[PITCH])): i for i, row in enumerate(array) if row[DURATION] <= LONGEST}
    gone: set[int] = set()
    for i in sorted(short.values(), key=lambda i: int(array[i, ONSET])):
        run = _run(array, short, i) if i not in gone else []
        if len(run) >= FEWEST and not gone & set(run):
            last = run[-1]
            array[i, DURATION] = array[last, ONSET] + array[last, DURATION] - array[i, ONSET]
            array[i, PITCH] = array[run[:2], PITCH].min()
            gone.update(run[1:])
    if not gone:
        return score, 0
    array = np.delete(array, sorted(gone), axis=0)
    if any(notice.startswith("voices inferred") for notice in score.notices):
        array[:, VOICE] = infer_voices(array)
    return score.replace(notes=array), len(gone)


def _run(array: np.ndarray, short: dict[tuple[int, int], int], first: int) -> list[int]:
    """The longest alternation that begins with a note, as indices of its notes."""
    longest = [first]
    for step in (*range(1, WIDEST + 1), *range(-WIDEST, 0)):
        pitches = (int(array[first, PITCH]), int(array[first, PITCH]) + step)
        run = [first]
        while (
            following := short.get(
                (int(array[run[-1], ONSET] + array[run[-1], DURATION]), pitches[len(run) % 2])
            )
        ) is not None:
            run.append(following)
        longest = max(longest, run, key=len)
    return longest
