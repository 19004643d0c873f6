"""How a piece hangs together over bars: repetition, loops, self-similarity, and the subject of a fugue."""

from __future__ import annotations

import numpy as np

from tokenization.score import DURATION, ONSET, PITCH, VOICE, Score

from .measure import Measure, nothing, ratio
from .view import View, as_view

MAX_PERIOD = 8  # bars: the longest unit looked for in a loop
GRID = 6  # ticks: bars are compared on a grid of sixteenths
MIN_SUBJECT, MAX_SUBJECT = 4, 20  # notes
SUBJECT_MATCH = 0.7  # share of a subject's steps that an entry must have


def bar_contents(view: View) -> np.ndarray:
    """A number for each bar such that bars with the same notes (place, pitch, duration; voices ignored) share it; -1 where silent."""
    bars = len(view.bar_lines) - 1
    contents = np.full(bars, -1, dtype=np.int64)
    if not len(view.array):
        return contents
    rows = np.stack([view.bar_of_note, view.place_of_note, view.array[:, PITCH], view.array[:, DURATION]], axis=1)
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
    """Bars that the longest loop goes on repeating: the longest run of bars each equal to the one 1, 2, ... or 8 bars before."""
    contents = bar_contents(as_view(score))
    if (contents >= 0).sum() < 2:
        return nothing("fewer than two bars have notes")
    longest = 0
    for period in range(1, min(MAX_PERIOD, len(contents) - 1) + 1):
        same = (contents[period:] == contents[:-period]) & (contents[period:] >= 0)
        breaks = np.flatnonzero(np.concatenate([[True], ~same, [True]]))
        longest = max(longest, int(np.diff(breaks).max()) - 1)
    return Measure(float(longest))


def bar_features(view: View) -> np.ndarray:
    """Which pitch class begins on which sixteenth of each bar, bool of shape `(bars, places * 12)`."""
    places = int(np.diff(view.bar_lines).max()) // GRID + 1
    features = np.zeros((len(view.bar_lines) - 1, places * 12), dtype=bool)
    if len(view.array):
        features[view.bar_of_note, (view.place_of_note // GRID) * 12 + view.array[:, PITCH] % 12] = True
    return features


def self_similarity(score: Score | View, lag: int) -> Measure:
    """Mean likeness of bars `lag` bars apart: shared (sixteenth, pitch class) onsets over all of theirs (Jaccard), 0 to 1."""
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


class Subject:
    """The opening of a fugue: what the first voice plays alone, cut to at most `MAX_SUBJECT` notes.

    Attributes:
        steps (integer array of shape `(notes - 1, 2)`): the interval in semitones and the time in ticks to the next note.
        voice (`int`): the voice that begins.
    """

    def __init__(self, steps: np.ndarray, voice: int):
        self.steps, self.voice = steps, voice


def find_subject(view: View) -> Subject | str:
    """The subject, or the reason why none is found."""
    if len(view.voices) < 2:
        return "the piece has fewer than two voices"
    lines, starts = view.lines, view.starts
    entries = lines[starts[:-1], ONSET]
    order = np.argsort(entries, kind="stable")
    if entries[order[0]] == entries[order[1]]:
        return "two voices begin together, so there is no subject alone"
    first = int(order[0])
    own = lines[starts[first] : starts[first + 1]]
    alone = own[own[:, ONSET] < entries[order[1]]][:MAX_SUBJECT]
    if len(alone) < MIN_SUBJECT:
        return f"the first voice is alone for fewer than {MIN_SUBJECT} notes"
    return Subject(np.diff(alone[:, [PITCH, ONSET]], axis=0), int(view.voices[first]))


def subject_matches(view: View, subject: Subject, at: np.ndarray) -> np.ndarray:
    """Share of the subject's steps that the line has from each row `at` of `lines`, shape `(len(at),)`.

    A step matches if it takes the same time and its interval differs by two semitones at most in the same direction (a real
    answer, or a tonal one, or the subject in the other mode).
    """
    lines, length = view.lines, len(subject.steps)
    rows = at[:, None] + np.arange(length)  # (a, length)
    inside = rows + 1 < len(lines)
    rows = np.minimum(rows, len(lines) - 2)
    inside &= lines[rows, VOICE] == lines[rows + 1, VOICE]
    moved = lines[rows + 1] - lines[rows]  # (a, length, 4)
    near = np.abs(moved[..., PITCH] - subject.steps[:, 0]) <= 2
    same_way = np.sign(moved[..., PITCH]) * np.sign(subject.steps[:, 0]) >= 0
    return (inside & near & same_way & (moved[..., ONSET] == subject.steps[:, 1])).mean(axis=1)


def subject_entries(score: Score | View) -> Measure:
    """Share of the voices that enter with the subject of the fugue: its first notes, at any pitch.

    The first voice states it; each other voice counts if its first notes, or those of one of its first three phrases,
    match (`subject_matches` of at least 0.7).
    """
    view = as_view(score)
    if view.score.form == "prelude":
        return nothing("preludes have no subject")
    subject = find_subject(view)
    if isinstance(subject, str):
        return nothing(subject)
    entered = 0
    after_rest = np.ones(len(view.lines), dtype=bool)
    after_rest[view.steps + 1] = False
    for voice, start, stop in zip(view.voices, view.starts, view.starts[1:], strict=False):
        begins = start + np.flatnonzero(after_rest[start:stop])[:3]
        entered += bool(voice == subject.voice or (subject_matches(view, subject, begins) >= SUBJECT_MATCH).any())
    return Measure(entered / len(view.voices))


def subject_recurrence(score: Score | View) -> Measure:
    """Statements of the subject in the whole piece per voice, the exposition included."""
    view = as_view(score)
    if view.score.form == "prelude":
        return nothing("preludes have no subject")
    subject = find_subject(view)
    if isinstance(subject, str):
        return nothing(subject)
    matches = subject_matches(view, subject, np.arange(len(view.lines) - 1)) >= SUBJECT_MATCH
    rows = np.flatnonzero(matches)
    # A subject that repeats a figure matches itself a little later: such matches are one statement.
    separate = np.append(True, np.diff(rows) >= len(subject.steps)) if len(rows) else np.zeros(0, dtype=bool)
    return ratio(separate.sum(), len(view.voices), "the piece has no voices")


__all__ = [
    "Subject", "bar_contents", "find_subject", "longest_loop", "repeated_bars", "self_similarity", "subject_entries",
    "subject_matches", "subject_recurrence",
]  # fmt: skip
