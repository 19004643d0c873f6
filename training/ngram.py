"""An interpolated n-gram with Witten-Bell weights over the 150 tokens, counted with sorted arrays in place of
dictionaries.

    P_k(w | h) = (c(h, w) + T(h) P_{k-1}(w | h')) / (c(h) + T(h)),    P_0 = 1/150

where c counts, T(h) is the number of different tokens seen after the context h of k - 1 tokens, and h' is h
without its oldest token (Witten and Bell 1991; interpolated as in Chen and Goodman 1999).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenization.codec import SUCCESSORS
from tokenization.vocabulary import OFFSET, PITCH_MAX, PITCH_MIN, TYPE_INDEX, TYPE_OF_ID, VOCAB_SIZE

_BEFORE = VOCAB_SIZE  # stands for the places before a piece begins
# A large odd multiplier: contexts become sums of its powers modulo 2^64, which tell millions of them apart.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class _Counts:
    """Sorted keys of contexts with their count and number of continuations, and of contexts with a token with
    their count.
    """

    contexts: np.ndarray
    totals: np.ndarray
    kinds: np.ndarray
    grams: np.ndarray
    gram_counts: np.ndarray


def transposed(ids: np.ndarray, semitones: int) -> np.ndarray:
    """The ids with every NOTE moved; notes that leave the range fold back by an octave."""
    is_note = TYPE_OF_ID[ids] == TYPE_INDEX["NOTE"]
    pitch = ids - OFFSET["NOTE"] + PITCH_MIN + semitones
    pitch = pitch + 12 * (pitch < PITCH_MIN) - 12 * (pitch > PITCH_MAX)
    return np.where(is_note, pitch - PITCH_MIN + OFFSET["NOTE"], ids)


def _keys(sequences: Sequence[np.ndarray], order: int) -> tuple[list[np.ndarray], np.ndarray]:
    """For each token its contexts of 0..order-1 tokens as 64-bit keys, each of shape `(tokens,)`, and the
    tokens themselves.
    """
    joined = np.concatenate([np.concatenate([np.full(order - 1, _BEFORE), ids]) for ids in sequences])
    real = joined != _BEFORE
    words = joined.astype(np.uint64) + np.uint64(1)
    contexts: list[np.ndarray] = []
    key: np.ndarray = np.zeros(len(joined), dtype=np.uint64)
    power = np.uint64(1)
    with np.errstate(over="ignore"):
        for back in range(order):
            contexts.append(key[real].copy())
            shifted = np.roll(words, back + 1)
            power = power * _FACTOR
            key = key + shifted * power
    return contexts, joined[real]


def _with_token(contexts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return contexts * _FACTOR + tokens.astype(np.uint64) + np.uint64(1)


class NGram:
    """The model.

    Args:
        order (`int`): longest gram counted, at least 1; a context has `order - 1` tokens.
        transpositions (sequence of `int`): semitones by which every training piece is also counted; `(0,)`
            for none.
    """

    def __init__(self, order: int, transpositions: Sequence[int] = (0,)):
        self.order, self.transpositions = order, tuple(transpositions)
        self._counts: list[_Counts] = []
        self._unigrams = np.zeros(VOCAB_SIZE)

    def fit(self, sequences: Sequence[np.ndarray]) -> NGram:
        """Count whole pieces, each from `<bos>` to `<eos>`."""
        shifted = [transposed(ids, by) for ids in sequences for by in self.transpositions]
        contexts, tokens = _keys(shifted, self.order)
        self._unigrams = np.bincount(tokens, minlength=VOCAB_SIZE).astype(float)
        for keys in contexts:
            grams, first, gram_counts = np.unique(
                _with_token(keys, tokens), return_index=True, return_counts=True
            )
            of_gram = keys[first]  # the context of each different gram
            found, kinds = np.unique(of_gram, return_counts=True)
            totals = np.bincount(np.searchsorted(found, of_gram), weights=gram_counts, minlength=len(found))
            self._counts.append(_Counts(found, totals, kinds, grams, gram_counts))
        return self

    def probabilities(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What each token of a piece costs, by order.

        Args:
            ids (`np.ndarray` of shape `(tokens,)`): a piece from `<bos>` on.

        Returns:
            two arrays of shape `(order, tokens)`: the probability of each token under the model cut to order
            1, 2, ..., and the probability that the same model gives to all tokens that may follow the one
            before.
        """
        contexts, tokens = _keys([ids], self.order)
        legal = np.concatenate([np.ones((1, VOCAB_SIZE), dtype=bool), SUCCESSORS[ids[:-1]]])  # (tokens, 150)
        own = np.full(len(tokens), 1.0 / VOCAB_SIZE)
        allowed = legal.mean(axis=1)
        result = np.empty((2, self.order, len(tokens)))
        for k, (keys, counts) in enumerate(zip(contexts, self._counts, strict=True)):
            total, kinds = _look_up(counts.contexts, keys, counts.totals, counts.kinds)
            (seen,) = _look_up(counts.grams, _with_token(keys, tokens), counts.gram_counts)
            # All that was seen after a context is legal after it; the empty context has no token that could
            # forbid anything.
            seen_legal = total if k else legal @ self._unigrams
            weight = total + kinds
            known = weight > 0
            own = np.where(known, (seen + kinds * own) / np.maximum(weight, 1), own)
            allowed = np.where(known, (seen_legal + kinds * allowed) / np.maximum(weight, 1), allowed)
            result[0, k], result[1, k] = own, allowed
        return result[0], result[1]


def _look_up(keys: np.ndarray, wanted: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """The values that stand at the wanted keys; 0 where there is no such key."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = keys[place] == wanted
    return tuple(np.where(found, value[place], 0).astype(float) for value in values)
