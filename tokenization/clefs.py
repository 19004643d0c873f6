"""Which clef each staff has in each bar.

The upper staff has the G clef and the lower one the F clef. Where both hands play high or low for a while,
an editor gives a staff the other clef, so that each hand keeps its staff. The clefs of a staff are the
cheapest way through its bars (Viterbi): ledger lines of what sounds there, and what a change of clef costs.
The prices were chosen on Book I's preludes (docs/LOG.md).
"""

from __future__ import annotations

import numpy as np

from .score import DURATION, ONSET, Score
from .spelling import spell, step_of

UPPER, LOWER = 1, 2  # the staves
CLEFS = {"G": 2, "F": 4}  # the clefs and the line that each stands on
USUAL = {UPPER: "G", LOWER: "F"}
# Steps above C0 of the lowest and the highest line: E4 to F5, G2 to A3.
_LINES = {"G": (30, 38), "F": (18, 26)}
LEDGER = 0.35  # the price of a note: its ledger lines, squared
_CHANGE = 12.0  # of a change of clef
_UNUSUAL = 2.0  # of a bar with another clef than the staff's own
_LOST = 5.0  # of a note that needs no ledger line with the staff's own clef and two or more with another
_NEVER = 1e6  # an empty bar keeps what was there, the first one the staff's own


def ledger_lines(step: int, clef: str) -> int:
    """How many ledger lines a note needs that many diatonic steps above C0."""
    low, high = _LINES[clef]
    return max(0, (low - step) // 2, (step - high) // 2)


def middle_line(clef: str) -> int:
    """The middle line of a staff with that clef, in diatonic steps above C0 (B4 or D3)."""
    return sum(_LINES[clef]) // 2


class Clefs:
    """The clefs of a score's bars.

    Args:
        score (`Score`): what is written.
        staves (array of shape `(notes,)`, *optional*): the staff of every note, in the order of
            `score.array`. Without it each staff keeps its own clef.
    """

    def __init__(self, score: Score, staves: np.ndarray | None = None):
        lines = score.bar_lines()
        self.starts = lines[:-1]
        self.num_bars = len(self.starts)
        self._of = {staff: [clef] * self.num_bars for staff, clef in USUAL.items()}
        if staves is None:
            return
        array, steps = score.array, [step_of(name) for name in spell(score)]
        first = np.searchsorted(lines, array[:, ONSET], side="right") - 1
        last = np.searchsorted(lines, array[:, ONSET] + array[:, DURATION], side="left")
        for staff in USUAL:
            prices = np.zeros((self.num_bars, len(CLEFS)))
            for i in np.flatnonzero(staves == staff):
                prices[first[i] : last[i]] += _prices(steps[i], USUAL[staff])
            self._of[staff] = _cheapest(prices, USUAL[staff])

    def of(self, staff: int, bar: int) -> str:
        """The clef of a staff in a bar, counted from zero."""
        return self._of[staff][bar]

    def bar_of(self, onset: int) -> int:
        """The bar, counted from zero, in which a tick lies."""
        return int(np.searchsorted(self.starts, onset, side="right")) - 1


def _prices(step: int, usual: str) -> list[float]:
    """What a note costs with each clef."""
    lines = [ledger_lines(step, clef) for clef in CLEFS]
    lost = not ledger_lines(step, usual)
    return [LEDGER * count**2 + _LOST * (lost and count > 1) for count in lines]


def _cheapest(prices: np.ndarray, usual: str) -> list[str]:
    """The clef of each bar, of what the clefs cost there, `(bars, clefs)`."""
    clefs = list(CLEFS)
    own = clefs.index(usual)
    costs = np.where(
        np.arange(len(clefs)) == own, 0.0, _UNUSUAL + _NEVER * (prices.sum(axis=1) == 0)[:, None]
    )
    best, came = np.where(np.arange(len(clefs)) == own, 0.0, _CHANGE), []
    for bar in range(len(prices)):
        ways = best[None, :] + _CHANGE * (1 - np.eye(len(clefs)))
        came.append(ways.argmin(axis=1))
        best = ways.min(axis=1) + prices[bar] + costs[bar]
    at, found = int(best.argmin()), []
    for before in reversed(came):
        found.append(clefs[at])
        at = int(before[at])
    return found[::-1]
