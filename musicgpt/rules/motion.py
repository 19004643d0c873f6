"""How fast a fugue goes: its voices together keep a motion that follows from the subject's.

In Bach's fugues some voice nearly always goes on: the notes that begin in one bar are about as many as in the
next, mostly four a quarter, or two where the subject is slow. Voices that are each lively enough move
together all the same, so that it is their motion together that is asked for: what leads past the next place
of it costs more with each bar that falls behind, and less with each that has more than is asked for.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import ONSET, VOICE
from tokenization.vocabulary import MAX_VOICES

from ..state import State
from .base import BLOCK, DUR_TICKS, TIME_TICKS, Brief, Rule

# Onsets a quarter of the first voice alone and of all voices from the answer on, of the fugues of the train
# split (`python -m benchmarks.voices`).
PACES = (
    (0.38, 1.59), (0.57, 1.18), (0.67, 1.96), (0.78, 1.37), (1.02, 3.47), (1.06, 1.55), (1.07, 5.56),
    (1.22, 2.12), (1.25, 2.87), (1.35, 1.95), (1.45, 2.04), (1.6, 2.95), (1.73, 3.66), (1.74, 3.78),
    (1.86, 3.15), (2.0, 2.01), (2.0, 2.1), (2.0, 2.57), (2.0, 3.52), (2.0, 3.93), (2.0, 3.94), (2.0, 3.97),
    (2.29, 3.57), (2.43, 3.84), (2.47, 3.94), (2.58, 3.41), (2.58, 3.88), (2.58, 3.89), (2.61, 3.41),
    (2.63, 4.01), (2.71, 3.95), (2.84, 3.93), (2.93, 4.8), (3.22, 3.81), (3.23, 3.99), (3.27, 4.01),
    (3.47, 4.56), (4.0, 4.0), (4.0, 4.02), (4.0, 4.27),
)  # fmt: skip
# Of so many whose subjects are nearest in pace one is drawn.
NEAREST = 7
# Ticks from place to place where there are more onsets a quarter than the first number says, and than the
# second; a quarter elsewhere.
UNITS = ((2.2, 6), (1.1, 12))
# Nats against what leads past the next place, more for each onset a quarter that a bar lacks, and at most so
# many; and the share of it for durations. Were it reckoned from the last bars alone, fast ones and slow ones
# would take turns.
LACK, MOST, OF_DURATIONS = 1.5, 4.0, 0.6


class Motion(Rule):
    """Prices steps and durations that lead past the next place of the motion."""

    after = ("DUR", "VOICE")
    memory = ("bars", "answered", "paces", "units", "prices")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.closing = brief.ask("closing")
        self.bars = np.full(brief.rows, -1)
        self.answered = np.zeros(brief.rows, dtype=np.int64)  # tick of the answer
        self.paces = np.zeros(brief.rows)  # onsets a quarter; 0 as long as they are not known
        self.units = np.full(brief.rows, 24)
        self.prices = np.zeros(brief.rows)

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Only to fugues from their first note on."""
        return brief.form == "fugue" and not brief.is_continuation and not brief.is_bounded

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        for row in (state.bar != self.bars).nonzero()[0].tolist():
            self.bars[row] = state.bar[row]
            self._look(state, row)
        prices = self.prices * ~self.closing() if self.closing else self.prices
        if not prices.any():
            return None
        left = self.units - state.bar_position % self.units  # ticks until the next place
        added = np.zeros(scores.shape, dtype=np.float32)
        added[:, BLOCK["TIME"]] = -prices[:, None] * (left[:, None] < TIME_TICKS)
        price = OF_DURATIONS * prices * self._alone(state, left)
        added[:, BLOCK["DUR"]] = -price[:, None] * (left[:, None] < DUR_TICKS)
        return added

    @staticmethod
    def _alone(state: State, left: np.ndarray) -> np.ndarray:
        """How much depends on the voice that has just taken a note, `(rows,)`, 0 to 1: nothing where another
        one ends by the next place, less where voices below may begin with it.
        """
        now, order = state.ticks[:, None], np.arange(MAX_VOICES)
        goes_on = ((state.end > now) & (state.end <= now + left[:, None])).any(axis=1)
        below = ((state.end == now) & (order > state.note_voice[:, None])).sum(axis=1)
        return ~goes_on / (1 + below)

    def _look(self, state: State, row: int) -> None:
        """How far the last bar fell behind."""
        notes = state.notes[row, : state.num_notes[row]]
        if not self.paces[row]:
            self._draw(row, notes)
        now = int(state.ticks[row] - state.bar_position[row])
        begin = max(now - int(state.bar_ticks[row]), int(self.answered[row]))
        if not self.paces[row] or begin >= now:
            return
        onsets = notes[(notes[:, ONSET] >= begin) & (notes[:, ONSET] < now), ONSET]
        lacks = self.paces[row] - 24 * len(np.unique(onsets)) / (now - begin)
        self.prices[row] = min(max(self.prices[row] + LACK * lacks, 0), MOST)

    def _draw(self, row: int, notes: np.ndarray) -> None:
        """The pace that follows from the subject's, once a second voice has begun."""
        others = (notes[:, VOICE] != notes[:1, VOICE]).nonzero()[0]
        subject = notes[: others[0], ONSET] if len(others) else notes[:0, ONSET]
        if len(subject) < 2 or subject[0] == subject[-1]:
            return
        self.answered[row] = notes[others[0], ONSET]
        own = 24 * (len(subject) - 1) / (subject[-1] - subject[0])
        nearest = sorted(PACES, key=lambda pair: abs(np.log(pair[0] / own)))[:NEAREST]
        rng = np.random.default_rng((self.brief.seeds[row], 15))
        self.paces[row] = nearest[int(rng.integers(NEAREST))][1]
        self.units[row] = next((ticks for least, ticks in UNITS if self.paces[row] > least), 24)
