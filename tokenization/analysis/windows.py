"""Short runs of notes of a voice as hashes, and the index of those of the train split.

A window of nine notes is reduced to its intervals and the ratios of its times, so that transposition and
tempo do not matter. One window in five is kept, chosen by its own hash (as in winnowing: Schleimer, Wilkerson
and Aiken, SIGMOD 2003): a copied run is found however it is cut, and the index does not hold enough to
rebuild a voice. `musical_metrics.originality` measures pieces by it, and the composer does not quote long.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

import numpy as np

from ..tables import read_table

STEPS = 8  # intervals in a hashed window, so nine notes
KEPT = 5  # one window in five is in the index
HASH_BITS = 20
BARS = 4096  # more than any piece has
_HAS_TIME_BEFORE = np.where(np.arange(STEPS) > 0, 512, 0)
_MIX, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)


def window_hashes(pitches: np.ndarray, onsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of windows of `STEPS + 1` notes of a voice, and which of them an index keeps.

    Args:
        pitches, onsets (integer arrays of shape `(..., STEPS + 1)`): of the notes, in rising order of the
            onsets.

    Returns:
        hashes of `HASH_BITS` bits and a bool, both of shape `(...)`.
    """
    values = window_values(pitches, onsets)
    return short_hashes(values), values % np.uint64(KEPT) == 0


def window_values(pitches: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """The same windows as numbers of 64 bits, of which two are hardly ever alike by chance."""
    # the first step of a window has no time before it
    ratios = time_ratios(onsets) + _HAS_TIME_BEFORE
    symbols = ((pitches[..., 1:] - pitches[..., :-1] + 128) * 1024 + ratios).astype(np.uint64)
    value = np.zeros(symbols.shape[:-1], dtype=np.uint64)
    for i in range(STEPS):
        value = np.multiply(value ^ symbols[..., i], _MIX)  # numpy warns of overflow in scalars' `*` alone
        value ^= value >> _SHIFT
    return value


def short_hashes(values: np.ndarray) -> np.ndarray:
    """Of these numbers the `HASH_BITS` that an index keeps."""
    return (values >> np.uint64(64 - HASH_BITS)).astype(np.uint32)


def time_ratios(onsets: np.ndarray) -> np.ndarray:
    """Time to the next note against the time before it, in twelfths of an octave, of notes `(..., notes)`:
    `(..., notes - 1)`, first 0.
    """
    log = np.log2(np.maximum(onsets[..., 1:] - onsets[..., :-1], 1))
    ratios = np.zeros(log.shape, dtype=np.int64)
    ratios[..., 1:] = np.rint(12 * (log[..., 1:] - log[..., :-1]))
    return ratios


class Piece(NamedTuple):
    """A piece of the index: its id, the name to show, its key number and the length of its bars in ticks."""

    id: str
    name: str
    number: int
    bar_ticks: int


class Index:
    """Hashes of the train split with the piece and bar of each, sorted by hash.

    Args:
        hashes, pieces, bars (integer arrays of shape `(entries,)`), table (sequence of `Piece`).
    """

    def __init__(self, hashes: np.ndarray, pieces: np.ndarray, bars: np.ndarray, table: Sequence[Piece]):
        order = np.lexsort((bars, pieces, hashes))
        self.hashes, self.pieces, self.bars = hashes[order], pieces[order], bars[order]
        self.table = tuple(table)
        self.places = self.pieces.astype(np.int64) * BARS + self.bars

    def hits(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the asked hashes were found where: indices into `hashes` and places (`piece * BARS +
        bar`), both `(hits,)`.
        """
        start = np.searchsorted(self.hashes, hashes)
        size = np.searchsorted(self.hashes, hashes, side="right") - start
        asked = np.repeat(np.arange(len(hashes)), size)
        within = np.arange(len(asked)) - np.repeat(np.cumsum(size) - size, size)
        return asked, self.places[start[asked] + within]


def without(index: Index, number: int) -> Index:
    """The index without the pieces of one key number, for held-out values."""
    keep = np.array([piece.number for piece in index.table])[index.pieces] != number
    return Index(index.hashes[keep], index.pieces[keep], index.bars[keep], index.table)


@lru_cache(maxsize=1)
def shipped_index() -> Index:
    """The index of the train split."""
    with np.load(BytesIO(read_table(__file__, "tables/index.npz")), allow_pickle=False) as arrays:
        loaded = dict(arrays)
    pieces = json.loads(read_table(__file__, "tables/pieces.json"))
    return Index(loaded["hashes"], loaded["pieces"], loaded["bars"], [Piece(*piece) for piece in pieces])
