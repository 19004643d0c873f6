"""An independent n-gram of the train split: how surprising the next interval and the next rhythm of each
voice are.

Two interpolated Witten-Bell models (Witten and Bell 1991; as in Chen and Goodman 1999, section 2.5), each
with contexts from none to long. Both are invariant under transposition and need no key:

- pitch: the melodic interval to the next note of a voice, given the two intervals before it, the strength of
  the beat, and how the voice's last pitch stands to the lowest and the highest note known to sound (modulo
  12). "Known" are the notes that began earlier and the simultaneous ones of higher voices, so that the
  probabilities of all notes multiply to that of the pitches.
- rhythm: the time from one note of a voice to its next, given the two times before it and the place in the
  quarter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tokenization.score import ONSET, PITCH, VOICE, Score

from .measure import Measure, nothing
from .seeds import NO_STEPS
from .view import SILENT, View, as_view

MAX_INTERVAL = 13  # larger leaps share a class with it
NO_INTERVAL = 2 * MAX_INTERVAL + 1
INTERVALS = NO_INTERVAL + 1
# Times in ticks that have a class of their own; others share the last class.
TIMES = (2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 24, 30, 36, 42, 48, 54, 60, 72, 84, 96, 144, 192)
NO_TIME = len(TIMES) + 1
TIME_CLASSES = NO_TIME + 1
NOBODY = 12  # class of "no other note sounds"
SYMBOLS = 32  # more than either alphabet


class Events(NamedTuple):
    """What one model predicts of one piece: symbols `(n,)` and the contexts of each, shortest first, `(n,
    levels)`.
    """

    symbols: np.ndarray
    contexts: np.ndarray


def _before(values: np.ndarray, voices: np.ndarray, back: int, none: int) -> np.ndarray:
    """The value `back` places earlier in the same voice, `none` where there is none."""
    earlier = np.full(len(values), none, dtype=np.int64)
    earlier[back:] = np.where(voices[back:] == voices[:-back], values[:-back], none)
    return earlier


def _known_extremes(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest pitch known to sound when each note of `lines` begins (see above), `SILENT`
    where none: `(m,)` each.
    """
    at = np.searchsorted(view.times, view.lines[:, ONSET])
    column = np.searchsorted(view.voices, view.lines[:, VOICE])
    pitches = view.pitches(view.rows)[at]  # (m, v)
    order = np.arange(len(view.voices))
    known = (pitches != SILENT) & (
        (order < column[:, None]) | ((order > column[:, None]) & ~view.attacks[at])
    )
    lowest = np.where(known, pitches, 999).min(axis=1, initial=999)
    highest = np.where(known, pitches, SILENT).max(axis=1, initial=SILENT)
    return np.where(lowest == 999, SILENT, lowest), highest


def interval_class(semitones: np.ndarray) -> np.ndarray:
    """The symbol of a melodic interval."""
    return np.clip(semitones, -MAX_INTERVAL, MAX_INTERVAL) + MAX_INTERVAL


def beat_strength(onsets: np.ndarray) -> np.ndarray:
    """2 on a quarter, 1 on an eighth between two, else 0."""
    return np.where(onsets % 24 == 0, 2, np.where(onsets % 12 == 0, 1, 0))


def pitch_contexts(
    one: np.ndarray, two: np.ndarray, low: np.ndarray, high: np.ndarray, beat: np.ndarray
) -> np.ndarray:
    """The contexts of a pitch, shortest first, `(n, 5)`.

    Args:
        one, two (arrays of shape `(n,)`): symbols of the voice's last interval and of the one before it,
        `NO_INTERVAL` where there is none. low, high (arrays of shape `(n,)`): how the voice's last pitch
        stands to the lowest and the highest note known to sound, modulo 12; `NOBODY`. beat (array of shape
        `(n,)`): see `beat_strength`.
    """
    c1 = one * 3 + beat
    c2 = one * 13 + low
    c3 = c2 * INTERVALS + two
    c4 = (c3 * 13 + high) * 3 + beat
    return np.stack([np.zeros_like(c1), c1, c2, c3, c4], axis=1)


def pitch_events(view: View) -> Events:
    """The intervals of all voices with their contexts."""
    lines = view.lines
    if not len(lines):
        return Events(np.zeros(0, dtype=np.int64), np.zeros((0, 5), dtype=np.int64))
    pitch, voice = lines[:, PITCH], lines[:, VOICE]
    last = _before(pitch, voice, 1, SILENT)
    symbols = np.where(last == SILENT, NO_INTERVAL, interval_class(pitch - last))
    one, two = (_before(symbols, voice, back, NO_INTERVAL) for back in (1, 2))
    low, high = (np.where(p == SILENT, NOBODY, (last - p) % 12) for p in _known_extremes(view))
    contexts = pitch_contexts(one, two, low, high, beat_strength(lines[:, ONSET]))
    return Events(symbols[last != SILENT], contexts[last != SILENT])


def rhythm_events(view: View) -> Events:
    """The times between the notes of all voices with their contexts."""
    lines = view.lines
    if len(lines) < 2:
        return Events(np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.int64))
    table = np.full(max(TIMES) + 2, len(TIMES), dtype=np.int64)
    table[list(TIMES)] = np.arange(len(TIMES))
    follows = view.same_voice
    times = np.clip(np.diff(lines[:, ONSET]), 0, len(table) - 1)
    symbols = np.where(follows, table[times], NO_TIME)
    voice = lines[:-1, VOICE]
    one, two = (_before(symbols, voice, back, NO_TIME) for back in (1, 2))
    place = lines[:-1, ONSET] % 24
    c1 = one
    c2 = one * 24 + place
    c3 = c2 * TIME_CLASSES + two
    contexts = np.stack([np.zeros_like(c1), c1, c2, c3], axis=1)
    return Events(symbols[follows], contexts[follows])


class NGram:
    """Counts of one model, one table a level.

    Args:
        tables (sequence of `(contexts, sizes, symbols, counts)`): for each level the contexts in rising
        order, how many symbols
            follow each, and, context by context, the symbols in rising order and how often each was seen.
        alphabet (`int`): number of symbols, for the uniform distribution below the shortest context.
    """

    def __init__(self, tables: Sequence[tuple[np.ndarray, ...]], alphabet: int):
        self.alphabet = alphabet
        self.tables = [tuple(np.asarray(part) for part in table) for table in tables]
        self._levels = []
        for contexts, sizes, symbols, counts in self.tables:
            sizes = sizes.astype(np.int64)
            totals = np.add.reduceat(counts.astype(np.int64), np.cumsum(sizes) - sizes)
            pairs = np.repeat(contexts.astype(np.int64), sizes) * SYMBOLS + symbols
            self._levels.append((contexts.astype(np.int64), sizes, totals, pairs, counts.astype(np.int64)))

    @classmethod
    def count(cls, events: Sequence[Events], alphabet: int) -> NGram:
        """Count the events of some pieces."""
        symbols = np.concatenate([e.symbols for e in events])
        contexts = np.concatenate([e.contexts for e in events])
        tables = []
        for level in range(contexts.shape[1]):
            pairs, counts = np.unique(contexts[:, level] * SYMBOLS + symbols, return_counts=True)
            keys, sizes = np.unique(pairs // SYMBOLS, return_counts=True)
            tables.append(
                (
                    keys.astype(np.uint32),
                    sizes.astype(np.uint8),
                    (pairs % SYMBOLS).astype(np.uint8),
                    counts.astype(np.uint32),
                )
            )
        return cls(tables, alphabet)

    def log_probabilities(self, events: Events) -> np.ndarray:
        """Natural logarithm of the probability of each symbol in its context, shape `(n,)`.

        `p_k = (c(context, symbol) + T p_{k-1}) / (c(context) + T)` with T the number of different symbols
        seen in the context; below the shortest context p is uniform.
        """
        p = np.full(len(events.symbols), 1.0 / self.alphabet)
        for level, (contexts, sizes, totals, pairs, counts) in enumerate(self._levels):
            asked = events.contexts[:, level]
            at = np.minimum(np.searchsorted(contexts, asked), len(contexts) - 1)
            known = contexts[at] == asked
            pair = asked * SYMBOLS + events.symbols
            where = np.minimum(np.searchsorted(pairs, pair), len(pairs) - 1)
            seen = np.where(pairs[where] == pair, counts[where], 0)
            p = np.where(known, (seen + sizes[at] * p) / (totals[at] + sizes[at]), p)
        return np.log(p)

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """The tables by name, for `npz`."""
        names = ("contexts", "sizes", "symbols", "counts")
        return {
            f"{prefix}_{i}_{name}": part
            for i, table in enumerate(self.tables)
            for name, part in zip(names, table, strict=True)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str, alphabet: int) -> NGram:
        """Read what `arrays` named."""
        names = ("contexts", "sizes", "symbols", "counts")
        levels = sum(name.startswith(f"{prefix}_") and name.endswith("_sizes") for name in arrays)
        return cls([tuple(arrays[f"{prefix}_{i}_{name}"] for name in names) for i in range(levels)], alphabet)


class Models(NamedTuple):
    """The two models."""

    pitch: NGram
    rhythm: NGram


def fit(views: Sequence[View]) -> Models:
    """Count both models on some pieces."""
    return Models(
        NGram.count([pitch_events(v) for v in views], NO_INTERVAL),
        NGram.count([rhythm_events(v) for v in views], NO_TIME),
    )


def _nll(model: NGram, events: Events) -> Measure:
    return (
        Measure(float(-model.log_probabilities(events).mean())) if len(events.symbols) else nothing(NO_STEPS)
    )


def pitch_nll(score: Score | View, models: Models | None = None) -> Measure:
    """Nats a note that the pitches cost under the n-gram, given the rhythm.

    Args:
        score (`Score` or `View`): any.
        models (`Models`, *optional*): the shipped ones when not given.
    """
    return _nll((models or _shipped()).pitch, pitch_events(as_view(score)))


def rhythm_nll(score: Score | View, models: Models | None = None) -> Measure:
    """Nats a note that the rhythm of the voices costs under the n-gram."""
    return _nll((models or _shipped()).rhythm, rhythm_events(as_view(score)))


def _shipped() -> Models:
    from .reference import ngram_models

    return ngram_models()


__all__ = [
    "Events",
    "Models",
    "NGram",
    "beat_strength",
    "fit",
    "interval_class",
    "pitch_contexts",
    "pitch_events",
    "pitch_nll",
    "rhythm_events",
    "rhythm_nll",
]
