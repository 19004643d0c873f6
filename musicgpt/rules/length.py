"""A piece does not become shorter than asked."""

from __future__ import annotations

import numpy as np

from ..state import State
from .base import NO_END, Brief, Rule


class Length(Rule):
    """Forbids `<eos>` until a piece has so many bars and notes; those of a prompt count.

    Where an earlier rule wants the end, because the limit on new tokens is near, that one wins.
    """

    after = ("TIME",)

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where what is given does not say how long the piece is."""
        return not brief.is_bounded

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        early = ((state.bar < self.brief.min_bars) | (state.num_notes < self.brief.min_notes)).tolist()
        if all(early):
            return NO_END
        return np.where(np.array(early)[:, None], NO_END, 0) if any(early) else None
