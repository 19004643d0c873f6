"""An n-gram of notes and rhythms: how surprising the next interval and the next rhythm of a voice are.

Interpolated Witten-Bell models (Witten and Bell 1991; as in Chen and Goodman 1999, section 2.5) with contexts
from none to long. `musical_metrics.ngram` says what they predict and measures pieces by them; the composer
hears the one of pitches as an expert. `shipped_ngrams` are those of the train split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

import numpy as np

from ..tables import read_table

MAX_INTERVAL = 13  # larger leaps share a class with it
NO_INTERVAL = 2 * MAX_INTERVAL + 1
INTERVALS = NO_INTERVAL + 1
# Times in ticks that have a class of their own; others share the last class.
TIMES = (2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 24, 30, 36, 42, 48, 54, 60, 72, 84, 96, 144, 192)
NO_TIME = len(TIMES) + 1
TIME_CLASSES = NO_TIME + 1
NOBODY = 12  # class of "no other note sounds"
SYMBOLS = 32  # more than either alphabet
_LEVEL = 1 << 40  # more than any context
_PARTS = ("contexts", "sizes", "symbols", "counts")  # of the table of a level


class Events(NamedTuple):
    """What one model predicts of one piece: symbols `(n,)` and the contexts of each, shortest first, `(n,
    levels)`.
    """

    symbols: np.ndarray
    contexts: np.ndarray


def interval_class(semitones: np.ndarray) -> np.ndarray:
    """The symbol of a melodic interval."""
    return np.minimum(np.maximum(semitones, -MAX_INTERVAL), MAX_INTERVAL) + MAX_INTERVAL


def beat_strength(onsets: np.ndarray) -> np.ndarray:
    """2 on a quarter, 1 on an eighth between two, else 0."""
    return np.where(onsets % 24 == 0, 2, np.where(onsets % 12 == 0, 1, 0))


def pitch_contexts(
    one: np.ndarray, two: np.ndarray, low: np.ndarray, high: np.ndarray, beat: np.ndarray
) -> np.ndarray:
    """The contexts of a pitch, shortest first, `(n, 5)`.

    Args:
        one, two (arrays of shape `(n,)`): symbols of the voice's last interval and of the one before it,
            `NO_INTERVAL` where there is none.
        low, high (arrays of shape `(n,)`): how the voice's last pitch stands to the lowest and the highest
            note known to sound, modulo 12; `NOBODY`.
        beat (array of shape `(n,)`): see `beat_strength`.
    """
    c1 = one * 3 + beat
    c2 = one * 13 + low
    c3 = c2 * INTERVALS + two
    c4 = (c3 * 13 + high) * 3 + beat
    contexts = np.zeros((len(c1), 5), dtype=np.result_type(c1, c4))
    for level, found in enumerate((c1, c2, c3, c4), 1):
        contexts[:, level] = found
    return contexts


class NGram:
    """Counts of one model, one table a level.

    Args:
        tables (sequence of `(contexts, sizes, symbols, counts)`): for each level the contexts in rising
            order, how many symbols follow each, and, context by context, the symbols in rising order and how
            often each was seen.
        alphabet (`int`): number of symbols, for the uniform distribution below the shortest context.
    """

    def __init__(self, tables: Sequence[tuple[np.ndarray, ...]], alphabet: int):
        self.alphabet = alphabet
        self.tables = [tuple(np.asarray(part) for part in table) for table in tables]
        # The contexts of all levels, one level behind the other; and for each of them, and last in its level
        # for all others, how many different symbols follow (1 for these: what the shorter context says stays
        # as it is), and how often each.
        self._level = np.arange(len(self.tables)) * _LEVEL
        self._contexts = np.concatenate(
            [np.append(t[0].astype(np.int64), _LEVEL - 1) + i * _LEVEL for i, t in enumerate(self.tables)]
        )
        self._others = np.cumsum([len(t[0]) + 1 for t in self.tables]) - 1
        self._sizes = np.concatenate([np.append(t[1], 1) for t in self.tables]).astype(np.int64)
        _, sizes, symbols, counts = (np.concatenate(parts) for parts in zip(*self.tables, strict=True))
        known = np.delete(np.arange(len(self._sizes)), self._others)
        self._seen = np.zeros((len(self._sizes), alphabet), dtype=np.int32)
        self._seen[np.repeat(known, sizes), symbols] = counts
        self._totals = self._seen.sum(axis=1)

    def log_probabilities(self, events: Events) -> np.ndarray:
        """Natural logarithm of the probability of each symbol in its context, shape `(n,)`."""
        return np.log(self.probabilities(events.contexts)[np.arange(len(events.symbols)), events.symbols])

    def probabilities(self, contexts: np.ndarray) -> np.ndarray:
        """Of every symbol in each context, shortest first `(n, levels)`: `(n, alphabet)`.

        `p_k = (c(context, symbol) + T p_{k-1}) / (c(context) + T)` with T the number of different symbols
        seen in the context; below the shortest context p is uniform.
        """
        asked = contexts + self._level
        at = self._contexts.searchsorted(asked)
        at = np.where(self._contexts[at] == asked, at, self._others)  # (n, levels)
        seen, sizes = self._seen[at], self._sizes[at, None]
        whole = self._totals[at, None] + sizes
        p = np.full((len(contexts), self.alphabet), 1.0 / self.alphabet)
        for level in range(contexts.shape[1]):
            p = (seen[:, level] + sizes[:, level] * p) / whole[:, level]
        return p

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str, alphabet: int) -> NGram:
        """Read what `arrays_of` named."""
        levels = sum(name.startswith(f"{prefix}_") and name.endswith("_sizes") for name in arrays)
        return cls(
            [tuple(arrays[f"{prefix}_{i}_{name}"] for name in _PARTS) for i in range(levels)], alphabet
        )


def ngram_of(events: Sequence[Events], alphabet: int) -> NGram:
    """The model of the events of some pieces."""
    symbols = np.concatenate([e.symbols for e in events])
    contexts = np.concatenate([e.contexts for e in events])
    tables = []
    for level in range(contexts.shape[1]):
        pairs, counts = np.unique(contexts[:, level] * SYMBOLS + symbols, return_counts=True)
        keys, sizes = np.unique(pairs // SYMBOLS, return_counts=True)
        table = (keys.astype(np.uint32), sizes.astype(np.uint8), (pairs % SYMBOLS).astype(np.uint8))
        tables.append((*table, counts.astype(np.uint32)))
    return NGram(tables, alphabet)


def arrays_of(model: NGram, prefix: str) -> dict[str, np.ndarray]:
    """The tables of a model by name, for `npz`."""
    return {
        f"{prefix}_{i}_{name}": part
        for i, table in enumerate(model.tables)
        for name, part in zip(_PARTS, table, strict=True)
    }


class Models(NamedTuple):
    """The two models."""

    pitch: NGram
    rhythm: NGram


@lru_cache(maxsize=1)
def shipped_ngrams() -> Models:
    """The n-gram of the train split."""
    with np.load(BytesIO(read_table(__file__, "tables/ngram.npz")), allow_pickle=False) as arrays:
        loaded = dict(arrays)
    return Models(
        NGram.from_arrays(loaded, "pitch", NO_INTERVAL), NGram.from_arrays(loaded, "rhythm", NO_TIME)
    )
