"""How a piece hangs together over bars: repetition, loops, self-similarity."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tokenization.analysis.view import View, as_view
from tokenization.score import DURATION, ONSET, PITCH, Score

from .measure import NO_NOTES, Measure, nothing

MAX_PERIOD = 8  # bars: the longest unit looked for in a loop
GRID = 6  # ticks: bars are compared on a grid of sixteenths
CLOSING = 8  # bars in which a pedal before the end is looked for


def bar_contents(view: View) -> np.ndarray:
    """A number for each bar such that bars with the same notes (place, pitch, duration; voices ignored) share
    it; -1 where silent.
    """
    bars = len(view.bar_lines) - 1
    contents = np.full(bars, -1, dtype=np.int64)
    if not len(view.array):
        return contents
    rows = np.stack(
        [view.bar_of_note, view.place_of_note, view.array[:, PITCH], view.array[:, DURATION]], axis=1
    )
    rows = rows[np.lexsort(rows.T[::-1])]
    first = np.flatnonzero(np.append(True, np.diff(rows[:, 0]) != 0))
    known: dict[bytes, int] = {}
    for start, stop in zip(first, np.append(first[1:], len(rows)), strict=True):
        contents[rows[start, 0]] = known.setdefault(rows[start:stop, 1:].tobytes(), len(known))
    return contents


def repeated_bars(score: Score | View) -> Measure:
    """Share of the bars with notes that repeat an earlier bar note for note (from the second bar on)."""
    contents = bar_contents(as_view(score))
    contents = contents[contents >= 0]
    if len(contents) < 2:
        return nothing("fewer than two bars have notes")
    return Measure((len(contents) - len(np.unique(contents))) / (len(contents) - 1))


def longest_loop(score: Score | View) -> Measure:
    """Bars that the longest loop goes on repeating: the longest run of bars each equal to the one 1, 2, ...
    or 8 bars before.
    """
    contents = bar_contents(as_view(score))
    if (contents >= 0).sum() < 2:
        return nothing("fewer than two bars have notes")
    longest = 0
    for period in range(1, min(MAX_PERIOD, len(contents) - 1) + 1):
        same = (contents[period:] == contents[:-period]) & (contents[period:] >= 0)
        breaks = np.flatnonzero(np.concatenate([[True], ~same, [True]]))
        longest = max(longest, int(np.diff(breaks).max()) - 1)
    return Measure(float(longest))


def closing_pedal(score: Score | View, degree: int) -> Measure:
    """Bars of the longest pedal in the last eight bars, until the final chord: beats running of which the
    lowest note is one and the same pitch, held or struck again, whatever is above it; 0 where that is less
    than a bar.

    Args:
        score (`Score` or `View`): with a key.
        degree (`int`): semitones from the tonic to the pedal: 7 for the dominant, 0 for the tonic.
    """
    view = as_view(score)
    if not len(view.array) or view.score.key is None:
        return nothing(NO_NOTES if view.score.key else "the key is not known")
    lines, array = view.bar_lines, view.array
    edges = np.append(view.beats, lines[-1])
    first = np.searchsorted(view.beats, lines[-min(CLOSING + 1, len(lines))])
    longest = begin = 0
    before = -1
    for start, end in pairwise(edges[first:].tolist()):
        if start >= array[-1, ONSET]:
            break
        sounds = (array[:, ONSET] < end) & (array[:, ONSET] + array[:, DURATION] > start)
        lowest = int(array[sounds, PITCH].min()) if sounds.any() else -1
        begin, before = (begin if lowest == before else start), lowest
        if (lowest - view.score.key.pitch_class - degree) % 12 == 0 and lowest >= 0:
            longest = max(longest, end - begin)
    bars = longest / float(lines[-1] - lines[-2])
    return Measure(bars if bars >= 1 else 0.0)


def bar_features(view: View) -> np.ndarray:
    """Which pitch class begins on which sixteenth of each bar, bool of shape `(bars, places * 12)`."""
    places = int(np.diff(view.bar_lines).max()) // GRID + 1
    features = np.zeros((len(view.bar_lines) - 1, places * 12), dtype=bool)
    if len(view.array):
        features[view.bar_of_note, (view.place_of_note // GRID) * 12 + view.array[:, PITCH] % 12] = True
    return features


def self_similarity(score: Score | View, lag: int) -> Measure:
    """Mean likeness of bars `lag` bars apart: shared (sixteenth, pitch class) onsets over all of theirs
    (Jaccard), 0 to 1.
    """
    view = as_view(score)
    features = bar_features(view)
    if len(features) <= lag:
        return nothing(f"the piece has no two bars {lag} apart")
    ours, theirs = features[lag:], features[:-lag]
    union = (ours | theirs).sum(axis=1)
    shared = (ours & theirs).sum(axis=1)
    if not union.any():
        return nothing("the piece has no notes")
    return Measure(float((shared[union > 0] / union[union > 0]).mean()))
