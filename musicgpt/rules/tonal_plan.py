"""Where a piece goes: keys in turn, each for some bars, from home and back.

Plans are drawn from what the movements of the train split do (`tonal_plans.json`, counted by
`python -m benchmarks.tonal_plans`): how long they stay at home, which key follows which, how long each holds,
how long the last part at home is. The model alone hears the key of the last bars and drifts; what is foreign
to the scale of the section costs some nats. Schoenberg, *Structural Functions of Harmony* (1954), has the
plan of regions; pitches are those of the tokens, in C major or A minor.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tokenization.tables import read_table

from ..state import State
from .base import BLOCK, PITCHES, Brief, Rule
from .keys import HOME

# Nats against a note that is foreign to the section's key; in minor the natural seventh and the raised sixth
# cost less.
FOREIGN, NATURAL_SEVENTH, RAISED_SIXTH = 1.2, 0.4, 0.6
# These by form, at home and in other keys, from which the model would drift back; and nats for a note of
# another key that is foreign to the home key.
IN_FUGUES, ELSEWHERE = (2.2, 2.8, 1.6), (0.8, 1.4, 1.6)
# The first and the last section hold at most this share of the piece.
LARGEST_SHARE = 0.4
# A section of fewer bars than this before the return is not begun.
SHORTEST_SECTION = 2
# Bars that a piece is first taken to have where its tokens are counted, and tokens of a bar before any is
# known.
TOKENS_A_BAR = 72
# Within a section there is a cadence after so many bars, at least and at most.
CADENCE_EVERY = (4, 8)
# Bars of an exposition for each voice.
EXPOSITION = 2
# Bars are drawn from the middle of the distribution: a piece of 143 bars would take half a minute.
FEWEST_BARS, MOST_BARS = 20, 72
# A piece of no asked form goes as these do.
UNASKED = "prelude"


class Section(NamedTuple):
    """Bars in one key: 0 to 11 major from C, 12 to 23 minor."""

    key: int
    first: int
    end: int  # the bar after its last


@cache
def tables() -> dict[str, Any]:
    """The counts of the train split."""
    return json.loads(read_table(__file__, "tonal_plans.json"))


def _costs() -> np.ndarray:
    """What each pitch costs in each key, `(24, 12)`, not above 0, by pitch classes."""
    major = np.full(12, -FOREIGN)
    major[[0, 2, 4, 5, 7, 9, 11]] = 0
    minor = np.full(12, -FOREIGN)
    minor[[0, 2, 3, 5, 7, 8, 11]] = 0
    minor[10], minor[9] = -NATURAL_SEVENTH, -RAISED_SIXTH
    return np.array([np.roll(costs, k) for costs in (major, minor) for k in range(12)])


def _gains(home: int, at_home: float, away: float, new: float) -> np.ndarray:
    """What each pitch gains in each key, `(24, pitches)`."""
    weight = np.where(np.arange(24) == home, at_home, away)[:, None]
    gains = weight * _COSTS + new * ((_COSTS == 0) & (_COSTS[home] == -FOREIGN))
    return gains[:, PITCHES % 12].astype(np.float32)


_COSTS = _costs()


class Plan:
    """The sections of one piece, drawn as they are needed.

    Args:
        form, mode (`str`): such as `"fugue"`, `"minor"`.
        bars (`int`): of the whole piece; may be changed while it is being made.
        rng (`numpy.random.Generator`): the piece's own.
        at_least (`int`): bars of the first section.
    """

    def __init__(self, form: str, mode: str, bars: int, rng: np.random.Generator, at_least: int = 1):
        kind = f"{form} {mode}"
        self.steps, self.lengths = tables()["steps"][kind], tables()["lengths"][kind]
        self.bars, self.rng, self.home = bars, rng, HOME[mode]
        self.last = max(1, min(self._drawn("last"), int(LARGEST_SHARE * bars)))
        first = max(1, min(self._drawn("first"), int(LARGEST_SHARE * bars)), at_least)
        self.sections = [Section(self.home, 0, first)]
        self.cadences = self._inside(self.sections[0])

    def _drawn(self, place: str) -> int:
        return int(self.rng.choice(self.lengths[place]))

    def at(self, bar: int) -> Section:
        """The section of a bar."""
        while self.sections[-1].end <= bar and self.sections[-1].end < self.bars:
            self._go_on()
        return next((one for one in self.sections if one.end > bar), self.sections[-1])

    def _go_on(self) -> None:
        """Add a section: another key, or home for the rest."""
        now = self.sections[-1]
        left = self.bars - self.last - now.end
        key = self._next_key(now.key) if left >= SHORTEST_SECTION else self.home
        length = self._drawn("inner") if left >= SHORTEST_SECTION else self.bars - now.end
        if left - length < SHORTEST_SECTION:  # too little would remain before the return
            length = left if key != self.home else self.bars - now.end
        section = Section(key, now.end, now.end + max(1, min(length, self.bars - now.end)))
        if key == now.key:  # it goes on
            section = section._replace(first=now.first)
            self.sections.pop()
        self.sections.append(section)
        self.cadences = sorted({*self.cadences, *self._inside(section)})

    def _next_key(self, key: int) -> int:
        """A key after another, as often as in Bach; home where he never left from it."""
        ways = self.steps.get(str(2 * ((key - self.home) % 12) + key // 12))
        if not ways:
            return self.home
        counts = np.array(list(ways.values()))
        chosen = int(self.rng.choice(list(ways), p=counts / counts.sum()))
        return (chosen // 2 + self.home) % 12 + 12 * (chosen % 2)

    def _inside(self, section: Section) -> list[int]:
        """Bars with whose first beat a cadence in the section's key comes: at its end, and within."""
        found, bar = [section.end], section.first + int(self.rng.integers(*CADENCE_EVERY, endpoint=True))
        while bar < section.end - CADENCE_EVERY[0] + 1:
            found.append(bar)
            bar += int(self.rng.integers(*CADENCE_EVERY, endpoint=True))
        return found


class Planned(Rule):
    """The base of rules that go by the plans of a rule before them."""

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.key_plans, self.closing = brief.ask("key_plans"), brief.ask("closing")

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where a rule before has plans."""
        return brief.ask("key_plans") is not None

    def plan(self, row: int) -> Plan:
        """That of a piece."""
        assert self.key_plans is not None
        return self.key_plans()[row]

    def is_closing(self, state: State) -> np.ndarray:
        """Which pieces are about to end, bool of shape `(rows,)`."""
        return self.closing() if self.closing else np.zeros(state.rows, dtype=bool)


class TonalPlan(Rule):
    """Keeps each section in its key. Others ask it for `plans` and for `target_bars`."""

    after = ("TIME",)
    memory = ("looked", "keys", "wanted", "_plans")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.gains = _gains(HOME[brief.mode], *(IN_FUGUES if brief.form == "fugue" else ELSEWHERE))
        self.is_asked = not brief.ends  # the length is the user's, in tokens
        self.looked = np.full(brief.rows, -1)
        self._plans = [self._plan(row) for row in range(brief.rows)]
        self.wanted = [plan.bars for plan in self._plans]

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """A continuation goes on in its own keys."""
        return not brief.is_continuation and not brief.is_bounded

    def _plan(self, row: int) -> Plan:
        rng = np.random.default_rng((self.brief.seeds[row], 1))
        form = self.brief.form or UNASKED
        by_meter = tables()["bars"][form]
        known = by_meter.get(self.brief.meter or "") or [
            bars for found in by_meter.values() for bars in found
        ]
        bars = self.brief.bars or int(np.clip(rng.choice(known), FEWEST_BARS, MOST_BARS))
        if self.is_asked:
            bars = max(4, self.brief.max_new_tokens // TOKENS_A_BAR)
        # An exposition is at home.
        exposition = EXPOSITION * (self.brief.voices or 3) if form == "fugue" else 1
        return Plan(form, self.brief.mode, max(self.brief.min_bars, bars), rng, exposition)

    def key_plans(self) -> list[Plan]:
        """The plan of each piece."""
        return self._plans

    def target_bars(self) -> np.ndarray:
        """How many bars each piece is to have, `(rows,)`."""
        return np.array([plan.bars for plan in self._plans])

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        if (state.bar != self.looked).any():
            self._measure(state)
            self.keys = np.array(
                [plan.at(bar).key for plan, bar in zip(self._plans, state.bar.tolist(), strict=True)]
            )
        added = np.zeros(scores.shape, dtype=np.float32)
        added[:, BLOCK["NOTE"]] = self.gains[self.keys]
        return added

    def _measure(self, state: State) -> None:
        """Where the tokens would not last for the planned bars, or a length was asked for in tokens: plan
        as many bars as they will."""
        for row in (state.bar != self.looked).nonzero()[0].tolist():
            bar, plan = int(state.bar[row]), self._plans[row]
            used = state.tokens - self.brief.prompt.tokens
            if bar >= 2:
                bars = int(bar + (self.brief.max_new_tokens - used) * bar / max(1, used))
                plan.bars = max(bar + 1, bars if self.is_asked else min(bars, self.wanted[row]))
        self.looked = state.bar.copy()
