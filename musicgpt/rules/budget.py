"""A length that was asked for in tokens is used up: the last bars take more or fewer of them.

A bar takes some seventy tokens, so that a piece that ends with a whole bar leaves up to seventy unused. In
the last bars the notes come a little closer or further apart, so that what is left goes into whole bars.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tokenization.vocabulary import DUR_TYPE, VOICE_TYPE

from ..state import State
from .base import BLOCK, DUR_TICKS, TIME_TICKS, Brief, Rule

# Bars before the final chord in which it steers.
LAST_BARS = 12
# Nats for a step or a duration of twice the length where notes come twice as fast as they should, and how
# many times too fast is the most that counts, as octaves.
GAIN, MOST = 2.4, 2.0
# ... and how much more in the last bar, after which nothing evens out.
IN_LAST_BAR = 2.0
# What a bar still has to have, in tokens, at least: a note.
LEAST = 4
# Octaves above an eighth; and the most that each may gain: nothing where it is no whole number of sixteenths,
# for bars that were to be full had bursts of 64ths and quintuplets.
_STEPS = np.log2(np.maximum(TIME_TICKS, 1) / 12) * (TIME_TICKS > 0)
_DURATIONS = np.log2(DUR_TICKS / 12)
_MOST_STEPS, _MOST_DURATIONS = (np.where(ticks % 6, 0, np.inf) for ticks in (TIME_TICKS, DUR_TICKS))


class Budget(Rule):
    """Steers how close notes come, from what `close` says of the tokens that are left."""

    after = ("VOICE", "DUR")
    memory = ("bars", "begun", "left", "share", "usual")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.bars_left: Any = brief.ask("bars_left")
        self.bars = np.full(brief.rows, -1)
        self.begun = np.zeros(brief.rows, dtype=np.int64)  # tokens when the bar began
        self.left = np.zeros(brief.rows)  # bars before the final chord
        self.share, self.usual = np.zeros(brief.rows), np.ones(brief.rows)  # tokens of the bar, and of others

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where a length was asked for in tokens, and a rule before closes the piece."""
        return not brief.ends and brief.ask("bars_left") is not None

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        steps, durations = state.kind == DUR_TYPE, state.kind == VOICE_TYPE
        new = (state.bar != self.bars) & (steps | durations)  # alone it would not be called elsewhere
        if new.any():
            for own, value in zip((self.left, self.share, self.usual), self.bars_left(state), strict=True):
                own[new] = value[new]
            self.begun[new], self.bars[new] = state.tokens, state.bar[new]
        near = (self.left <= LAST_BARS) & (state.bar > 0)
        if not near.any():
            return None
        usual = self.usual / state.bar_ticks
        wanted = np.maximum(self.share - (state.tokens - self.begun), LEAST)
        wanted = wanted / np.maximum(state.bar_ticks - state.bar_position, 1)
        slower = np.clip(np.log2(usual / wanted), -MOST, MOST) * near  # (rows,)
        slower *= np.where(self.left <= 1, IN_LAST_BAR, 1.0)
        added = np.zeros(scores.shape, dtype=np.float32)
        added[steps, BLOCK["TIME"]] = np.minimum(GAIN * slower[steps, None] * _STEPS, _MOST_STEPS)
        added[durations, BLOCK["DUR"]] = np.minimum(
            GAIN * slower[durations, None] * _DURATIONS, _MOST_DURATIONS
        )
        return added
