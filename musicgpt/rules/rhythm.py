"""Binary or ternary: beats are divided as the piece divides them.

In the movements of the WTC whose quarters have no triplets 0.1 % of the notes begin off the grid of 32nds and
2 % on an odd 32nd; the model alone has up to ten times as many, and a note that ends there leaves a rest that
no copyist would write. A place that the piece hardly uses costs some nats, for beginnings and for ends, by a
step behind a step, too.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import ONSET
from tokenization.vocabulary import DUR_TYPE, DURATIONS, TIME_STEPS, TIME_TYPE, VOICE_TYPE

from ..state import State
from .base import BLOCK, Brief, Rule

# Nats against a place of the quarter by how fine it is, where the piece does not use such places: eighths and
# sixteenths, 32nds, triplets and everything else.
PRICES = (0.0, 0.8, 4.0)
# A piece uses places of which this share of its notes begins there; a bar of them is needed to know.
USED, KNOWN = 0.06, 16
# Before that all prices are halved: it may become what it likes.
UNKNOWN = 0.5
_FINE, _ODD = 1, 2
# How fine each tick of a quarter is, a place in `PRICES`.
_GRAIN = np.array([0 if tick % 6 == 0 else _FINE if tick % 3 == 0 else _ODD for tick in range(24)])
# After a DUR, a VOICE and a TIME: to which ticks of a quarter the tokens that may come lead from each of
# them, and which of these tokens lead elsewhere.
_LEADS_TO = [
    (kind, name, (np.arange(24)[:, None] + ticks) % 24, np.array(ticks) > 0)
    for kind, name, ticks in (
        (DUR_TYPE, "TIME", TIME_STEPS),
        (VOICE_TYPE, "DUR", DURATIONS),
        (TIME_TYPE, "TIME", TIME_STEPS),
    )
]


class Rhythm(Rule):
    """Prices steps and durations that lead off the grid."""

    after = ("DUR", "VOICE", "TIME")
    memory = ("bars", "prices")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.bars = np.full(brief.rows, -1)
        self.prices = np.tile(UNKNOWN * np.array(PRICES)[_GRAIN], (brief.rows, 1))  # (rows, 24)

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        for row in (state.bar != self.bars).nonzero()[0].tolist():
            self.bars[row] = state.bar[row]
            self._learn(state, row)
        added = np.zeros(scores.shape, dtype=np.float32)
        for kind, name, leads_to, counts in _LEADS_TO:
            at = state.after(kind)
            if at.size:
                price = self.prices[at[:, None], leads_to[state.ticks[at] % 24]]
                added[at, BLOCK[name]] = -price * counts
        return added

    def _learn(self, state: State, row: int) -> None:
        """Which places the piece uses."""
        number = int(state.num_notes[row])
        if number < KNOWN:
            return
        places = state.notes[row, :number, ONSET] % 24
        shares = np.bincount(_GRAIN[places], minlength=len(PRICES)) / number
        prices = np.where(shares < USED, PRICES, 0.0)
        self.prices[row] = prices[_GRAIN]
