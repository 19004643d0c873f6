"""What was asked for stays: the meter, and no voice beyond those that were asked for. In a continuation the
first new note comes after the prompt's last onset, so that the prompt's notes stay the first.
"""

from __future__ import annotations

import numpy as np

from tokenization.vocabulary import MAX_VOICES, OFFSET, TIME_STEPS

from ..state import State
from .base import BLOCK, FORBIDDEN, VOCAB_SIZE, Brief, Rule

TIME_ZERO = OFFSET["TIME"] + TIME_STEPS.index(0)


class Asked(Rule):
    """Forbids changes of meter, voices beyond `brief.voices`, and a first step of 0 after a prompt."""

    # Where a METER or a VOICE may come; the first step comes after a DUR.
    after: tuple[str, ...] = ("SPECIAL", "MODE", "FORM", "TIME", "NOTE")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.always = np.zeros(VOCAB_SIZE, dtype=np.float32)
        self.always[BLOCK["METER"]] = FORBIDDEN
        voices = brief.voices or MAX_VOICES
        self.always[OFFSET["VOICE"] + voices : BLOCK["VOICE"].stop] = FORBIDDEN
        self.first = self.always.copy()
        self.first[TIME_ZERO] = FORBIDDEN
        if brief.is_continuation:
            self.after = (*self.after, "DUR")

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        if self.brief.is_continuation and state.tokens == self.brief.prompt.tokens:
            return self.first
        return self.always
