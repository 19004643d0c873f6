"""Does a piece copy? Longest common run with the train split, and the originality report of Yin et al.

Two ways, because the scores of the train split are not shipped:

- by the shipped index (`nearest_passage`, `longest_run`, `passage_similarity`): hashes of windows of nine
  notes of one voice, each reduced to its intervals and the ratios of its times, so that transposition and
  tempo do not matter. One window in five is kept, chosen by its own hash (as in winnowing: Schleimer,
  Wilkerson and Aiken, SIGMOD 2003): a copied run is found however it is cut, its length is known within a few
  notes, and the index does not hold enough to rebuild a voice.
- exactly, on scores at hand: the longest run (`shared_run`), and (`cardinality_score`, `originality_report`)
  Yin, Reuben, Stepney and Collins, the originality report with the cardinality score
  (SN Computer Science 3, 2022, doi 10.1007/s42979-022-01220-y), with pitch in semitones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tokenization.analysis.view import View, as_view
from tokenization.analysis.windows import (
    BARS,
    KEPT,
    STEPS,
    Index,
    Piece,
    shipped_index,
    short_hashes,
    time_ratios,
    window_values,
)
from tokenization.score import ONSET, PITCH, VOICE, Score

from .measure import Measure, nothing

WINDOW, HOP = 16 * 24, 8 * 24  # ticks: 16 beats, every 8 (a beat is a quarter)
TOO_SHORT = "no voice has nine notes whose window falls in the index"


class Windows(NamedTuple):
    """The kept windows of a piece: hash, tick of the first note, row of the first note in `View.lines`, all
    `(w,)`.
    """

    hashes: np.ndarray
    onsets: np.ndarray
    rows: np.ndarray


def kept_windows(view: View) -> Windows:
    """Hash all windows of `STEPS` steps and keep one in `KEPT`, in the order of `lines`."""
    values, rows = all_windows(view)
    kept = values % np.uint64(KEPT) == 0
    return Windows(short_hashes(values[kept]), view.lines[rows[kept], ONSET], rows[kept])


def all_windows(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of 64 bits of all windows of `STEPS` steps of a voice, and the row of `View.lines` at which each
    begins, both `(w,)`.
    """
    lines = view.lines
    if len(lines) <= STEPS:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    # (m,) -> (windows, notes)
    pitches, onsets = (sliding_window_view(lines[:, column], STEPS + 1) for column in (PITCH, ONSET))
    rows = np.flatnonzero(sliding_window_view(view.same_voice, STEPS).all(axis=1))
    return window_values(pitches[rows], onsets[rows]), rows


def build_index(views: Sequence[View], table: Sequence[Piece]) -> Index:
    """Index some pieces. The bar is that of the window's first note, 1 for the first whole bar (0 for a
    pickup).
    """
    parts = []
    for i, view in enumerate(views):
        windows = kept_windows(view)
        bars = _bar_numbers(view.score, windows.onsets)
        parts.append(np.stack([windows.hashes, np.full(len(bars), i), bars], axis=1))
    rows = np.unique(np.concatenate(parts), axis=0)
    return Index(
        rows[:, 0].astype(np.uint32), rows[:, 1].astype(np.uint8), rows[:, 2].astype(np.uint16), table
    )


def _bar_numbers(score: Score, ticks: np.ndarray | int) -> np.ndarray:
    """The number in print of the bar at each tick: 1 for the first whole one, 0 for a pickup."""
    return np.searchsorted(score.bar_lines(), ticks, side="right") - bool(score.pickup)


class Passage(NamedTuple):
    """The passage of the train split that shares the longest run with a piece.

    Attributes:
        notes (`int`): length of the run in notes, exact to within a few.
        name (`str`): the Bach piece; bar (`int`): where the run begins there.
        own_bar (`int`): where it begins in the piece asked about (0 = pickup); voice (`int`): in which voice.
    """

    notes: int
    name: str
    bar: int
    own_bar: int
    voice: int

    def __str__(self) -> str:
        return (
            f"{self.notes} notes of {self.name}, bar {self.bar} (here bar {self.own_bar}, voice"
            f" {self.voice + 1})"
        )


def nearest_passage(score: Score | View, index: Index | None = None) -> Passage | str:
    """The longest run of one voice that also stands in a piece of the train split, at any pitch and speed.

    Args:
        score (`Score` or `View`): any.
        index (`Index`, *optional*): the shipped one when not given.

    Returns:
        `Passage`, or the reason (`str`) why there is none.
    """
    view, index = as_view(score), index or shipped_index()
    windows = kept_windows(view)
    if not len(windows.hashes):
        return TOO_SHORT
    asked, places = index.hits(windows.hashes)
    voices = view.lines[windows.rows, VOICE]
    best: tuple[int, int, int] = (0, 0, 0)  # windows from first to last, row of the first, place of the last
    before: dict[int, int] = {}
    rows = windows.rows.tolist()
    begin = np.searchsorted(asked, np.arange(len(rows) + 1)).tolist()
    places_list = places.tolist()
    for i in range(len(rows)):
        if i and voices[i] != voices[i - 1]:
            before = {}
        now: dict[int, int] = {}  # place -> row at which the run that arrives here began
        for place in places_list[begin[i] : begin[i + 1]]:
            started = min(before.get(place, rows[i]), before.get(place - 1, rows[i]))
            now[place] = started
            if rows[i] - started + 1 > best[0]:
                best = (rows[i] - started + 1, started, place)
        before = now
    if not best[0]:
        return f"no run of {STEPS + 1} notes is shared with the train split"
    length, row, place = best
    # `place` is where the run's last window was found; its first was found as many bars earlier as the run is
    # long here.
    onset, arrived = int(view.lines[row, ONSET]), int(view.lines[row + length - 1, ONSET])
    piece = index.table[place // BARS]
    own = int(_bar_numbers(view.score, onset))
    bar = max(0, place % BARS - (arrived - onset) // piece.bar_ticks)
    return Passage(length + STEPS, piece.name, bar, own, int(view.lines[row, VOICE]))


def shared_run(view: View, other: View) -> tuple[np.ndarray, np.ndarray]:
    """The longest run of a voice that also stands in a voice of another piece, at any pitch and speed, and
    exactly.

    Returns:
        Its notes here and there, integer arrays of shape `(notes, 4)`; without notes when no two voices share
        an interval.
    """
    mine, its = view.lines, other.lines
    ours, theirs = _line_steps(view), _line_steps(other)
    most, end = 0, (0, 0)
    before = np.zeros(len(theirs) + 1, dtype=np.int64)  # steps of the run that ends before each of theirs
    for i, (interval, ratio, inside) in enumerate(ours.tolist()):
        longer = (before[:-1] > 0) & (theirs[:, 1] == ratio)
        now = np.where(longer, before[:-1] + 1, 1) * ((theirs[:, 0] == interval) & (theirs[:, 2] & inside))
        before[1:] = now
        if len(now) and now.max() > most:
            most, end = int(now.max()), (i + 1, int(now.argmax()) + 1)
    if not most:
        return mine[:0], its[:0]
    i, j = end
    return mine[i - most : i + 1], its[j - most : j + 1]


def _line_steps(view: View) -> np.ndarray:
    """Of each step of `View.lines` its interval, its time against that of the step before, and whether it
    stays in a voice, `(steps, 3)`.
    """
    lines = view.lines
    if len(lines) < 2:
        return np.zeros((0, 3), dtype=np.int64)
    return np.stack([np.diff(lines[:, PITCH]), time_ratios(lines[:, ONSET]), view.same_voice], axis=1)


def longest_run(score: Score | View, index: Index | None = None) -> Measure:
    """Notes of the longest run shared with the train split (`nearest_passage`); 8, the most that goes unseen,
    when there is none.
    """
    passage = nearest_passage(score, index)
    if isinstance(passage, str):
        return nothing(passage) if passage == TOO_SHORT else Measure(float(STEPS))
    return Measure(float(passage.notes))


class Likeness(NamedTuple):
    """How much of one window of 16 beats stands in one passage of the train split: share 0 to 1, and
    where.
    """

    onset: int
    share: float
    name: str
    bar: int


def passage_likeness(score: Score | View, index: Index | None = None) -> list[Likeness]:
    """For each window of 16 beats, every 8: the largest share of its hashed windows that one Bach passage of
    16 beats holds.
    """
    view, index = as_view(score), index or shipped_index()
    windows = kept_windows(view)
    asked, places = index.hits(windows.hashes)
    spans = np.array([-(-WINDOW // piece.bar_ticks) for piece in index.table])
    found = []
    for start in range(0, max(1, view.score.end - HOP), HOP):
        inside = (windows.onsets >= start) & (windows.onsets < start + WINDOW)
        total = int(inside.sum())
        if total < 4:  # too few to speak of a share
            continue
        hit = inside[asked]
        # Distinct (place, window) pairs: a window may stand twice in one bar.
        pairs = np.unique(places[hit] * len(inside) + asked[hit])
        where = pairs // len(inside)
        if not len(where):
            found.append(Likeness(start, 0.0, "", 0))
            continue
        until = np.searchsorted(where, where + spans[where // BARS])
        count = until - np.arange(len(where))
        best = int(count.argmax())
        held = len(np.unique(pairs[best : until[best]] % len(inside)))
        found.append(
            Likeness(start, held / total, index.table[where[best] // BARS].name, int(where[best] % BARS))
        )
    return found


def passage_similarity(score: Score | View, index: Index | None = None) -> Measure:
    """Mean of `passage_likeness` over the windows: the shipped stand-in for the similarity of the originality
    report.
    """
    shares = [likeness.share for likeness in passage_likeness(score, index)]
    return (
        Measure(float(np.mean(shares)))
        if shares
        else nothing("no window of 16 beats has four hashed windows")
    )


def cardinality_score(points: np.ndarray, others: np.ndarray) -> float:
    """`max over v of |P and (Q + v)| / max(|P|, |Q|)`: the share of points that one translation brings
    together.

    Args:
        points, others (integer arrays of shape `(n, 2)`): onset in ticks and pitch, no point twice.
    """
    if not len(points) or not len(others):
        return 0.0
    # A translation as one number (pitches differ by less than 256), in 32 bits, which sort faster.
    ours, theirs = ((p[:, 0] - p[0, 0]) * 512 + p[:, 1] for p in (points, others))
    differences = np.subtract.outer(ours.astype(np.int32), theirs.astype(np.int32)).ravel()
    differences.sort()
    edges = np.flatnonzero(np.concatenate([[True], np.diff(differences) != 0, [True]]))
    return float(np.diff(edges).max() / max(len(points), len(others)))


def _point_windows(score: Score) -> list[tuple[int, np.ndarray]]:
    points = np.unique(score.array[:, [ONSET, PITCH]], axis=0)
    starts = range(0, max(1, score.end - HOP), HOP)
    cut = np.searchsorted(points[:, 0], [[s, s + WINDOW] for s in starts])
    return [(s, points[a:b]) for s, (a, b) in zip(starts, cut.tolist(), strict=True) if b - a > 3]


def originality_report(score: Score, corpus: Sequence[Score]) -> list[Likeness]:
    """The exact report: for each window of 16 beats, every 8, the highest cardinality score against the
    corpus, and where.

    Originality is 1 minus the mean of the shares. Cost: one sort of `n * m` differences for each pair of
    windows.
    """
    theirs = [(piece, start, points) for piece in corpus for start, points in _point_windows(piece)]
    found = []
    for start, points in _point_windows(score):
        best = Likeness(start, 0.0, "", 0)
        for piece, other_start, others in theirs:
            # The score cannot exceed min/max of the sizes: most pairs need no work.
            if min(len(points), len(others)) <= best.share * max(len(points), len(others)):
                continue
            share = cardinality_score(points, others)
            if share > best.share:
                bar = int(_bar_numbers(piece, other_start))
                best = Likeness(start, share, piece.title or piece.source or "?", bar)
        found.append(best)
    return found
