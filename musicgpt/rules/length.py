"""A piece does not become shorter than asked."""

from __future__ import annotations

import numpy as np

from tokenization.vocabulary import EOS_ID

from ..state import State
from .base import FORBIDDEN, VOCAB_SIZE, Brief, Rule


class Length(Rule):
    """Forbids `<eos>` until a piece has so many bars and notes; those of a prompt count.

    Where an earlier rule wants the end, because the limit on new tokens is near, that one wins.
    """

    after = ("TIME",)

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where what is given does not say how long the piece is."""
        return not brief.is_bounded

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.not_the_end = np.where(np.arange(VOCAB_SIZE) == EOS_ID, FORBIDDEN, 0.0).astype(np.float32)

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        early = ((state.bar < self.brief.min_bars) | (state.num_notes < self.brief.min_notes)).tolist()
        if all(early):
            return self.not_the_end
        return np.where(np.array(early)[:, None], self.not_the_end, 0) if any(early) else None


__all__ = ["Length"]
