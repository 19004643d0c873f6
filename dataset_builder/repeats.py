"""Repeats that a file writes out (A A B B), folded back to what the composer wrote (A B)."""

from __future__ import annotations

import numpy as np

from tokenization.score import ONSET, PITCH, Score

# A section counts as repeated when it has this many bars and this share of its notes comes again at the same
# distance.
FEWEST_BARS = 8
LEAST_SHARE = 0.9


def fold_repeats(score: Score) -> tuple[Score, int]:
    """Drop the second pass of the sections that are played twice, and close the gap.

    Looked for from the first note on: one section, and from its second pass' end another. The first pass
    stays.

    Returns:
        The score and how many notes were dropped. A score with a change of meter is left as it is.
    """
    if len(score.meters) > 1 or not len(score):
        return score, 0
    array, bar = score.array, score.meters[0].bar_ticks
    start, dropped = int(array[0, ONSET]), 0
    while period := _period(array, start, bar):
        onsets = array[:, ONSET]
        second = (onsets >= start + period) & (onsets < start + 2 * period)
        dropped += int(second.sum())
        array = array[~second].copy()
        array[array[:, ONSET] >= start + 2 * period, ONSET] -= period
        start += period
    return (score.replace(notes=array), dropped) if dropped else (score, 0)


def _period(array: np.ndarray, start: int, bar: int) -> int:
    """Length in ticks of the section that begins at `start` and is then repeated; 0 if there is none."""
    codes = array[:, ONSET] * 128 + array[:, PITCH]
    last = int(array[:, ONSET].max())
    best, best_share = 0, LEAST_SHARE
    for period in range(FEWEST_BARS * bar, (last - start) // 2 + bar + 1, bar):
        first = codes[(array[:, ONSET] >= start) & (array[:, ONSET] < start + period)]
        again = codes[(array[:, ONSET] >= start + period) & (array[:, ONSET] < start + 2 * period)]
        if not len(first) or not len(again):
            continue
        shared = np.isin(first + period * 128, again).sum()
        share = 2 * shared / (len(first) + len(again))
        if share >= best_share:
            best, best_share = period, share
    return best
