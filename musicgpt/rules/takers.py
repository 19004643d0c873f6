"""Which voice will take a note whose voice is not known yet: the model writes the pitch before the voice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tokenization.score import ONSET, PITCH, VOICE
from tokenization.vocabulary import PITCH_MAX, PITCH_MIN

from ..state import NO_PITCH, State

# Semitones for each nat against a voice, and nats against one whose note still sounds, or one that has not
# begun.
NEAR, BUSY, NEW = 3.0, 3.0, 6.0
PITCHES = np.arange(PITCH_MIN, PITCH_MAX + 1)
# A row for each MIDI pitch of the voice's last note; the last row, `NO_PITCH`, is that of a voice without
# one.
_NEAR = np.exp(-np.abs(PITCHES - np.arange(PITCH_MAX + 2)[:, None]) / NEAR)
_NEAR[NO_PITCH] = np.exp(-NEW)


def is_out_of_order(state: State, at: np.ndarray, voices: int) -> np.ndarray:
    """Which notes could not come next: notes that begin together are written from the highest voice down, and
    those of one voice from the highest pitch down.

    Args:
        state (`State`): of all rows; `at` (array of shape `(n,)`): the rows that are asked about.
        voices (`int`): how many there are.

    Returns:
        bool of shape `(n, voices, pitches)`.
    """
    last = state.last_note()[at]
    struck = (state.num_notes[at] > 0) & (last[:, ONSET] == state.ticks[at])
    if not struck.any():
        return np.zeros((len(at), voices, len(PITCHES)), dtype=bool)
    voice, order = last[:, VOICE, None], np.arange(voices)
    passed = (order < voice) & struck[:, None]
    same = (order == voice) & struck[:, None]
    return passed[..., None] | (same[..., None] & (last[:, PITCH, None, None] <= PITCHES))


def takers(state: State, at: np.ndarray, due: np.ndarray | None, out_of_order: np.ndarray) -> np.ndarray:
    """How likely each voice takes a note of each pitch: the nearer and the longer silent, the likelier.

    Args:
        state, at: as for `is_out_of_order`, which gives `out_of_order`.
        due (array of shape `(n, 3)`, *optional*): pitch, voice and duration of a note that must come; its
            voice takes no other. `NO_PITCH` for none.

    Returns:
        array of shape `(n, voices, pitches)` that sums to 1 over the voices, or to 0 where none may.
    """
    voices = out_of_order.shape[1]
    pitch, end = state.pitch[at, :voices], state.end[at, :voices]
    weight = _NEAR[pitch] * np.where(end > state.ticks[at, None], np.exp(-BUSY), 1.0)[..., None]
    if due is not None and (rows := np.flatnonzero(due[:, 0] != NO_PITCH)).size:
        weight[rows, due[rows, 1]] = 0
    weight[out_of_order] = 0
    total = weight.sum(axis=1, keepdims=True)
    return weight / np.where(total > 0, total, 1)


class Taking:
    """What `is_out_of_order` and `takers` say, worked out once a token for all rules that ask.

    Args:
        voices (`int`): how many there are; due (callable, *optional*): gives the note that must come.
    """

    def __init__(self, voices: int, due: Callable[[], np.ndarray] | None):
        self.voices, self.due = voices, due
        self._tokens, self._at = -1, np.empty(0, dtype=np.int64)

    def __call__(self, state: State, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the rows `at`, `(n,)`, whether a note is out of order and how likely each voice takes it, `(n,
        voices, pitches)` each.
        """
        if self._tokens != state.tokens or not np.array_equal(self._at, at):
            self._tokens, self._at = state.tokens, at
            order = is_out_of_order(state, at, self.voices)
            self._found = order, takers(state, at, self.due()[at] if self.due else None, order)
        return self._found


__all__ = ["NEAR", "PITCHES", "Taking", "is_out_of_order", "takers"]
