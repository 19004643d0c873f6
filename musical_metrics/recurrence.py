"""What comes back: patterns that return far apart or on the beat, bars in sequence, a figure that is kept,
bars in which nothing moves.
"""

from __future__ import annotations

import numpy as np

from tokenization.analysis.view import View, as_view
from tokenization.key import Key
from tokenization.score import ONSET, PITCH, VOICE, Score

from .measure import Measure, needs_notes, nothing, ratio

# Steps of a pattern, and bars that must lie between it and its return.
PATTERN, FAR = 7, 8
# A bar with fewer notes is no link of a sequence; so much of it must be the bar before, moved.
LEAST_NOTES, ALIKE = 4, 0.8
_DEGREES = {
    "major": np.array((0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6)),
    "minor": np.array((0, 0, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6)),
}


def degrees(pitches: np.ndarray, key: Key | None) -> np.ndarray:
    """Steps of the key's scale from its tonic at MIDI 0 upwards; a chromatic note shares the degree that it
    alters. C major without a key.
    """
    tonic, mode = (key.pitch_class, key.mode) if key else (0, "major")
    octave, place = np.divmod(pitches - tonic, 12)
    return 7 * octave + _DEGREES[mode][place]


def _patterns(view: View, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The patterns of seven steps of all lines: a number for each, alike for those that are alike, and where
    each begins (tick), `(patterns,)` both.

    Args:
        heights (integer array `(m,)`): of the notes of `lines`; a step is the difference of two and the time
            between their onsets.
    """
    lines = view.lines
    starts = np.arange(max(0, len(lines) - PATTERN))
    starts = starts[lines[starts, VOICE] == lines[starts + PATTERN, VOICE]] if len(starts) else starts
    if not len(starts):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    steps = np.column_stack([np.diff(heights), np.diff(lines[:, ONSET])])
    patterns = steps[starts[:, None] + np.arange(PATTERN)].reshape(len(starts), -1)  # (patterns, 2 * PATTERN)
    return np.unique(patterns, axis=0, return_inverse=True)[1].reshape(-1), lines[starts, ONSET]


def recurring_patterns(score: Score | View) -> Measure:
    """Share of the patterns of seven steps in a line that come back more than eight bars away, before or
    after, in any voice.

    A step is the interval in semitones and the time to the next note; so a transposed return counts, one in
    other degrees does not.
    """
    view = as_view(score)
    name, onsets = _patterns(view, view.lines[:, PITCH])
    if not len(name):
        return nothing(f"no voice has {PATTERN} steps")
    bar = view.bar_of(onsets)
    first = np.full(name.max() + 1, np.iinfo(np.int64).max)
    last = np.full(name.max() + 1, -1)
    np.minimum.at(first, name, bar)
    np.maximum.at(last, name, bar)
    return Measure(float(((bar - first[name] > FAR) | (last[name] - bar > FAR)).mean()))


def returns_on_beats(score: Score | View) -> Measure:
    """Share of the patterns of seven steps in a line that come back a whole number of beats later or earlier,
    in any voice, near or far.

    Steps are in degrees of the declared key's scale, so a sequence counts. What returns by chance alone
    stands anywhere; what is composed stands where it stood in the beat (Cambouropoulos, *Musicae Scientiae*
    10, 2006, on parallelism and meter).
    """
    view = as_view(score)
    name, onsets = _patterns(view, degrees(view.lines[:, PITCH], view.score.key))
    if not len(name):
        return nothing(f"no voice has {PATTERN} steps")
    place = view.after_beat(onsets)
    kind = np.unique(np.column_stack([name, place]), axis=0, return_inverse=True)[1].reshape(-1)
    # A pattern that two voices have at once is no return: a kind counts once at an onset.
    distinct = np.unique(np.column_stack([kind, onsets]), axis=0)[:, 0]
    return Measure(float((np.bincount(distinct)[kind] > 1).mean()))


def _bar_notes(view: View) -> list[dict[tuple[int, int], int]]:
    """Of each bar its notes: (ticks from the bar line, voice) -> pitch."""
    bars: list[dict[tuple[int, int], int]] = [{} for _ in range(len(view.bar_lines) - 1)]
    for bar, place, note in zip(
        view.bar_of_note.tolist(), view.place_of_note.tolist(), view.array.tolist(), strict=True
    ):
        bars[bar][place, note[VOICE]] = note[PITCH]
    return bars


def bars_in_sequence(score: Score | View) -> Measure:
    """Share of the bars, from the second on, that are the bar before moved up or down.

    Four fifths of the notes of both stand at the same places in the same voices, and four fifths of these
    have moved by the same interval, give or take the semitone by which steps of a scale differ; an interval
    of 0 is a repetition, not a sequence.
    """
    view = as_view(score)
    if not len(view.array) or len(view.bar_lines) < 3:
        return nothing("the piece has fewer than two bars")
    bars = _bar_notes(view)
    found = 0
    for before, now in zip(bars, bars[1:], strict=False):
        common = before.keys() & now.keys()
        size = max(len(before), len(now))
        if min(len(before), len(now)) < LEAST_NOTES or len(common) < ALIKE * size:
            continue
        moved = np.array([now[place] - before[place] for place in common])
        middle = np.median(moved)
        found += bool(abs(middle) >= 1 and (np.abs(moved - middle) <= 1).mean() >= ALIKE)
    return Measure(found / (len(bars) - 1))


@needs_notes
def figure_kept(view: View) -> Measure:
    """Mean likeness of neighbouring bars in figure, whatever the harmony: shared over all (place in the bar,
    steps of the scale to there).

    Steps are those of each voice from its note before within the bar, in degrees of the declared key (Jaccard
    index, 0 to 1).
    """
    lines = view.lines
    if len(view.bar_lines) < 3:
        return nothing("the piece has fewer than two bars")
    bar = view.bar_of(lines[:, ONSET])
    place, height = lines[:, ONSET] - view.bar_lines[bar], degrees(lines[:, PITCH], view.score.key)
    inside = np.flatnonzero(view.same_voice & (np.diff(bar) == 0)) + 1
    figures: list[set[tuple[int, int]]] = [set() for _ in range(len(view.bar_lines) - 1)]
    for row in inside.tolist():
        figures[bar[row]].add((int(place[row]), int(height[row] - height[row - 1])))
    likeness = [len(a & b) / len(a | b) for a, b in zip(figures, figures[1:], strict=False) if a | b]
    return Measure(float(np.mean(likeness))) if likeness else nothing("no bar has a figure")


def static_bars(score: Score | View) -> Measure:
    """Share of the bars in which some voice has two notes or more, and every voice only repeats its pitch."""
    view = as_view(score)
    lines = view.lines
    bar = view.bar_of(lines[:, ONSET])
    inside = np.flatnonzero(view.same_voice & (np.diff(bar) == 0))
    moves = bar[inside[lines[inside, PITCH] != lines[inside + 1, PITCH]]]
    busy = np.unique(bar[inside])
    return ratio(len(np.setdiff1d(busy, moves)), len(busy), "no voice has two notes in a bar")
