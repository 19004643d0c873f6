"""How a piece ends whose end is given in part: with a cadence into its last notes, which sound to the end.

Where a melody is given, or some voices of the last bars, the end is not the rule's to choose (`close.py`): it
says only what suits it, dominant and tonic of the piece's key, as a cadence inside does (`cadences.py`).
"""

from __future__ import annotations

import numpy as np

from tokenization.vocabulary import DURATIONS, TYPE_INDEX

from ..state import State
from .base import BLOCK, Brief, Rule
from .cadences import Moment
from .keys import HOME, last_beat, triad
from .takers import PITCHES

# Nats against a note off the tonic triad behind the last onset, and against one that ends before the end.
OFF, SHORT = 3.0, 8.0
# The cadence is heard so many ticks before its dominant.
BEFORE = 48
_DURATIONS = np.array(DURATIONS)
_VOICE, _TIME = TYPE_INDEX["VOICE"], TYPE_INDEX["TIME"]


class Ending(Rule):
    """Prices what does not suit the end that is given."""

    def __init__(self, brief: Brief):
        super().__init__(brief)
        assert brief.frame is not None and brief.frame.final is not None
        self.line, self.end = brief.frame.final, brief.frame.end
        key = HOME[brief.mode]
        self.chord = np.isin(PITCHES % 12, triad(key))
        bar = int(brief.prompt.bar_ticks[0])
        self.moment = Moment(self.line, self.line - last_beat(bar), key, deceptive=False)

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where notes may be written up to the end of a piece whose end is given."""
        return brief.frame is not None and brief.frame.final is not None

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        near = np.flatnonzero(state.ticks >= self.moment.begin - BEFORE)
        if not near.size:
            return None
        added = np.zeros(scores.shape, dtype=np.float32)
        for row in near.tolist():
            now, kind = int(state.ticks[row]), state.kind[row]
            if now <= self.line:
                self.moment.add(state, row, added[row])
            elif kind == _TIME:
                added[row, BLOCK["NOTE"]] = np.where(self.chord, 0, -OFF)
            if now >= self.line and kind == _VOICE:
                added[row, BLOCK["DUR"]] = -SHORT * (now + _DURATIONS != self.end)
        return added


__all__ = ["Ending"]
