"""The original's six metrics: key, intervals, rhythm, phrases, leaps, parallels. Reported, never scored."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from tokenization.analysis.moments import phrase_starts
from tokenization.analysis.view import REST, SILENT, View, as_view
from tokenization.score import DURATION, ONSET, PITCH, Score
from tokenization.vocabulary import TICKS_PER_QUARTER

from .measure import NO_KEY, NO_NOTES, NO_STEPS, Measure, needs_notes, needs_voices, nothing, ratio

# Pitch classes above the tonic. Minor holds the natural scale and the raised sixth and seventh degrees.
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 9, 10, 11)}


def entropy(values: np.ndarray, correct: bool = False) -> float:
    """Entropy in bits of the distribution of the values: `-sum p log2 p`.

    Args:
        values (integer array): at least one.
        correct (`bool`): add the Miller-Madow correction `(K - 1) / (2 N ln 2)` for small samples (Miller
            1955).
    """
    counts = np.unique(values, return_counts=True)[1]
    p = counts / counts.sum()
    bits = float(-(p * np.log2(p)).sum()) + 0.0
    return bits + (len(counts) - 1) / (2 * len(values) * np.log(2)) if correct else bits


def out_of_key_ratio(score: Score | View, by_duration: bool = False) -> Measure:
    """Share of the notes outside the *declared* key: `sum w [pitch class not in S(key)] / sum w`.

    S(major) is the major scale, S(minor) the natural minor scale with the raised sixth and seventh degrees.
    muspy's `pitch_in_scale_rate` is 1 minus this for major keys; its minor scale is the natural one.

    Args:
        score (`Score` or `View`): with a key; it is never estimated, because that would hide the error being
            measured.
        by_duration (`bool`): weights `w` are durations instead of 1.
    """
    view = as_view(score)
    score = view.score
    if score.key is None:
        return nothing(NO_KEY)
    if view.key_estimated:
        return nothing("the key is not declared, only estimated from the notes")
    out = ~np.isin((score.array[:, PITCH] - score.key.pitch_class) % 12, SCALES[score.key.mode])
    weights = score.array[:, DURATION] if by_duration else np.ones(len(score), dtype=np.int64)
    return ratio(weights[out].sum(), weights.sum(), NO_NOTES)


def interval_entropy(score: Score | View, correct: bool = False) -> Measure:
    """Entropy in bits of the signed semitone intervals between notes that follow each other in a voice, rests
    excluded.
    """
    intervals = as_view(score).intervals
    return Measure(entropy(intervals, correct)) if len(intervals) else nothing(NO_STEPS)


@needs_notes
def rhythmic_variety(view: View, normalised: bool = False) -> Measure:
    """Entropy in bits of the note durations.

    Args:
        view (`Score` or `View`): ties already merged, as in every `Score`.
        normalised (`bool`): divided by `log2 K` for the K durations that occur, so between 0 and 1; 0 when K
            is 1.
    """
    durations = view.array[:, DURATION]
    kinds = len(np.unique(durations))
    bits = entropy(durations)
    return Measure(bits / float(np.log2(kinds)) if normalised and kinds > 1 else bits)


def phrases(score: Score | View) -> tuple[np.ndarray, np.ndarray]:
    """The segments of the voices between rests of at least an eighth.

    Returns:
        lengths in quarters, and whether each is cut off by the end of the piece (bool): two arrays of shape
        `(phrases,)`.
    """
    view = as_view(score)
    lines = view.lines
    if not len(lines):
        return np.zeros(0), np.zeros(0, dtype=bool)
    ends = lines[:, ONSET] + lines[:, DURATION]
    first = phrase_starts(view)
    until = np.maximum.reduceat(ends, first)
    return (until - lines[first, ONSET]) / TICKS_PER_QUARTER, until > ends.max() - REST


@needs_notes
def phrase_length(view: View, kind: str = "mean") -> Measure:
    """Mean length in quarters of the phrases (`kind="median"`: the median; `"count"`: how many there are).

    Phrases that the end of the piece cuts off count only when there are no others.
    """
    lengths, cut = phrases(view)
    if kind == "count":
        return Measure(float(len(lengths)))
    lengths = lengths[~cut] if not cut.all() else lengths
    return Measure(float(np.median(lengths) if kind == "median" else lengths.mean()))


def large_leap_ratio(score: Score | View, threshold: int = 7) -> Measure:
    """Share of the melodic intervals larger than `threshold` semitones, per voice, rests excluded."""
    intervals = as_view(score).intervals
    return ratio((np.abs(intervals) > threshold).sum(), len(intervals), NO_STEPS)


@needs_voices
def parallels(view: View, interval: int = 7, sampled: bool = False) -> Measure:
    """Parallel fifths (`interval=7`) or octaves and unisons (`interval=0`) per 1,000 opportunities.

    A pair of voices has an opportunity where both begin a note together, both begin their next note together,
    no rest lies between, and both change their pitch. It is a parallel where both sonorities have the
    interval (octaves removed) and both voices move in the same direction: contrary motion and a fifth after a
    diminished fifth are none. Pitches carry no spelling, so a diminished sixth counts as a fifth.

    Args:
        view (`Score` or `View`): with two voices at least.
        interval (`int`): semitones modulo 12.
        sampled (`bool`): the structural form: the sonorities on the quarter beats, held notes included,
            whatever lies between.
    """
    found = chances = 0
    before, after = _sampled_steps(view) if sampled else _attacked_steps(view)
    times = view.lines[view.next_rows, ONSET]
    for a, b in combinations(range(len(view.voices)), 2):
        ok = (before[:, [a, b]] != SILENT).all(axis=1) & (after[:, [a, b]] != SILENT).all(axis=1)
        if not sampled:  # the next notes of both voices must begin together
            ok &= times[:, a] == times[:, b]
        move_a, move_b = after[ok, a] - before[ok, a], after[ok, b] - before[ok, b]
        had, has = (before[ok, a] - before[ok, b]) % 12, (after[ok, a] - after[ok, b]) % 12
        both = (move_a != 0) & (move_b != 0)
        chances += int(both.sum())
        found += int(
            (both & (np.sign(move_a) == np.sign(move_b)) & (had == interval) & (has == interval)).sum()
        )
    return ratio(found, chances, "no two voices ever move together", scale=1000)


def _sampled_steps(view: View) -> tuple[np.ndarray, np.ndarray]:
    pitches = view.pitches(view.sounding(np.arange(0, view.score.end, TICKS_PER_QUARTER)))
    return pitches[:-1], pitches[1:]


def _attacked_steps(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Pitches that the voices begin at each onset, and those of their next notes; `SILENT` where there is
    none, `(t, v)` each.
    """
    return np.where(view.attacks, view.pitches(view.rows), SILENT), view.pitches(view.next_rows)
