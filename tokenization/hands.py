"""Which hand plays each note, and so on which staff it stands.

The notes of a piece are dealt to two hands as an editor does it, moment by moment, by a shortest path through
the whole piece (Viterbi). At every onset the new notes are cut into an upper and a lower part; a held note
stays where it began. What a way of dealing costs is the sum of `Costs`: what a hand cannot reach, ledger
lines, voices that change hands, hands that cross, a hand that has nothing to do while the other holds several
voices. Others search for fingerings (Hart, Bosch and Tsai, "Finding optimal piano fingerings", The UMAP
Journal 21.2, 2000) and for both hands (Nakamura, Ono and Sagayama, "Merged-output HMM for piano fingering of
both hands", ISMIR 2014) in the same way; states and prices here are this project's own. The prices were
chosen on the preludes of Book I (docs/LOG.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from .clefs import LEDGER, LOWER, UPPER, Clefs, ledger_lines
from .note_values import grid
from .score import DURATION, ONSET, PITCH, VOICE, Score
from .spelling import spell, step_of

LANES = 4  # voices a staff, as notation programs have them
_NEVER = 1e6


@dataclass(frozen=True)
class Costs:
    """Prices. All but those of notes are paid at every onset, for what sounds then."""

    stretch: float = 0.8  # a semitone of a hand's span beyond an octave
    out_of_reach: float = 2.0  # a semitone beyond a tenth
    ledger: float = LEDGER  # of a note: its ledger lines, squared
    illegible: float = 40.0  # a note needs more than three, and none on the other staff
    change: float = 3.0  # a voice goes to the other hand between two notes that follow each other
    change_after_rest: float = 0.6  # the same after a rest
    off_beat: float = 1.4  # more for both where no beat begins
    crossing: float = 3.0  # the hands are crossed
    idle: float = 0.9  # a hand has nothing while the other holds two notes
    idle_more: float = 1.0  # for each further note
    crowd: float = 0.7  # a third and further note of a hand while the other has two fewer
    split: float = 0.6  # a chord of one voice is shared between the hands
    outer: float = 0.3  # a note of the highest voice in the left hand, of the lowest in the right
    inner: float = 0.1  # a note of another voice in the farther hand


COSTS = Costs()
_MOST_STATES = 24  # that are followed at a time
_MARGIN = 15.0  # and no dearer than the cheapest by more than this
_OCTAVE, _TENTH = 12, 16
_MOST_LEDGER_LINES = 3


@dataclass
class _Moment:
    """An onset: which of the notes that sounded before still sound (places in that list), and the notes that
    begin, highest first."""

    now: int
    kept: list[int]
    begun: list[int]
    sounding: list[int]
    on_beat: bool


@dataclass
class _State:
    """A way of dealing all notes so far.

    Attributes:
        cost (`float`): what it costs.
        sides (tuple of `int`): the staff of each sounding note, in the order of `_Moment.sounding`.
        last (tuple of `int`): the staff on which each voice stood last, 0 before its first note.
        before (`_State`, *optional*), upper (`int`): from where it came, and how many of the notes that began
            went to the upper staff.
    """

    cost: float
    sides: tuple[int, ...]
    last: tuple[int, ...]
    before: _State | None
    upper: int


def deal(score: Score, costs: Costs = COSTS) -> tuple[np.ndarray, Clefs]:
    """Hands and clefs.

    Returns:
        The staff (`UPPER` or `LOWER`) of every note, in the order of `score.array`, `int64` of shape
        `(notes,)`, and the clefs of the bars. What the hands would do if ledger lines hardly mattered says
        where a clef changes.
    """
    if not len(score):
        return np.zeros(0, dtype=np.int64), Clefs(score)
    moments = _moments(score)
    at_ease = replace(costs, ledger=costs.ledger / 10, illegible=0.0)
    free = _staves(_Dealer(score, at_ease, Clefs(score)), moments)
    staves = _staves(_Dealer(score, costs, Clefs(score, free)), moments)
    return staves, Clefs(score, staves)


def _staves(dealer: _Dealer, moments: list[_Moment]) -> np.ndarray:
    """The cheapest way of dealing."""
    staves = np.full(len(dealer.pitches), UPPER, dtype=np.int64)
    states = [_State(0.0, (), (0,) * dealer.num_voices, None, 0)]
    for moment in moments:
        states = dealer.step(states, moment)
    state: _State | None = min(states, key=lambda s: s.cost)
    for moment in reversed(moments):
        assert state is not None
        staves[moment.begun[state.upper :]] = LOWER
        state = state.before
    return staves


def _moments(score: Score) -> list[_Moment]:
    rows = score.array.tolist()
    lines = score.bar_lines().tolist() if rows else []
    changes = {meter.onset: grid(meter).beat for meter in score.meters}
    bar, beat = 0, 1
    moments: list[_Moment] = []
    sounding: list[int] = []
    for now, group in groupby(range(len(rows)), key=lambda i: rows[i][ONSET]):
        while bar + 1 < len(lines) and lines[bar + 1] <= now:
            bar += 1
        beat = changes[max(onset for onset in changes if onset <= now)]
        kept = [k for k, i in enumerate(sounding) if rows[i][ONSET] + rows[i][DURATION] > now]
        begun = sorted(group, key=lambda i: (-rows[i][PITCH], rows[i][VOICE]))
        sounding = [sounding[k] for k in kept] + begun
        moments.append(_Moment(now, kept, begun, sounding, (now - lines[bar]) % beat == 0))
    return moments


class _Dealer:
    """Prices the ways of dealing."""

    def __init__(self, score: Score, costs: Costs, clefs: Clefs):
        self.costs, self.clefs = costs, clefs
        rows = score.array.tolist()
        self.pitches = [row[PITCH] for row in rows]
        self.steps = [step_of(name) for name in spell(score)]
        self.bars = [clefs.bar_of(row[ONSET]) for row in rows]
        names = sorted({row[VOICE] for row in rows})
        self.num_voices = len(names)
        self.voices = [names.index(row[VOICE]) for row in rows]
        self.ends = [row[ONSET] + row[DURATION] for row in rows]
        self.voice_ends = [0] * self.num_voices  # where each voice's latest note ends
        self.prices = [
            (0.0, self._note_price(i, UPPER), self._note_price(i, LOWER)) for i in range(len(rows))
        ]

    def _note_price(self, i: int, staff: int) -> float:
        """Of a note on a staff: ledger lines, and how far its voice is from that hand."""
        costs, voice, last = self.costs, self.voices[i], self.num_voices - 1
        lines = self._ledger_lines(i, staff)
        price = costs.ledger * lines * lines
        if lines > _MOST_LEDGER_LINES and not self._ledger_lines(i, UPPER + LOWER - staff):
            price += costs.illegible
        if last > 0 and voice in (0, last):  # a staff has no room for all voices of more than `LANES`
            outer = costs.outer if self.num_voices <= LANES else _NEVER
            price += outer * (staff != (UPPER if voice == 0 else LOWER))
        elif 2 * voice != last:
            price += costs.inner * (staff != (UPPER if 2 * voice < last else LOWER))
        return price

    def _ledger_lines(self, i: int, staff: int) -> int:
        return ledger_lines(self.steps[i], self.clefs.of(staff, self.bars[i]))

    def step(self, states: list[_State], moment: _Moment) -> list[_State]:
        """The cheapest states after the notes that begin now."""
        found: dict[tuple[tuple[int, ...], tuple[int, ...]], _State] = {}
        shared: dict[tuple[int, ...], list[float]] = {}
        ways = self._ways(moment)
        for state in states:
            held = tuple(state.sides[k] for k in moment.kept)
            if held not in shared:
                shared[held] = [self._texture(moment, held + sides) + price for sides, _, price in ways]
            for upper, (sides, voices, _) in enumerate(ways):
                cost = state.cost + shared[held][upper]
                last = state.last
                for voice, staff, price in voices:
                    if last[voice] != staff:
                        if staff and last[voice]:
                            cost += price
                        last = (*last[:voice], staff or last[voice], *last[voice + 1 :])
                key = (held + sides, last)
                if key not in found or cost < found[key].cost:
                    found[key] = _State(cost, held + sides, last, state, upper)
        for i in moment.begun:
            self.voice_ends[self.voices[i]] = max(self.voice_ends[self.voices[i]], self.ends[i])
        best = sorted(found.values(), key=lambda s: s.cost)[:_MOST_STATES]
        return [s for s in best if s.cost <= best[0].cost + _MARGIN]

    def _ways(self, moment: _Moment) -> list[tuple[tuple[int, ...], list[tuple[int, int, float]], float]]:
        """For each cut of the new notes: their staves, the voices with their staff (0 where shared) and price
        of a change, the notes' price."""
        costs, begun = self.costs, moment.begun
        ways = []
        for upper in range(len(begun) + 1):
            sides = (UPPER,) * upper + (LOWER,) * (len(begun) - upper)
            price = sum(self.prices[i][side] for i, side in zip(begun, sides, strict=True))
            staff_of: dict[int, int] = {}
            for i, side in zip(begun, sides, strict=True):
                voice = self.voices[i]
                if staff_of.setdefault(voice, side) not in (side, 0):
                    staff_of[voice] = 0
                    price += costs.split
            voices = []
            for voice, staff in staff_of.items():
                rested = moment.now > self.voice_ends[voice]
                change = costs.change_after_rest if rested else costs.change
                voices.append((voice, staff, change + (0 if moment.on_beat else costs.off_beat)))
            ways.append((sides, voices, price))
        return ways

    def _texture(self, moment: _Moment, sides: tuple[int, ...]) -> float:
        """What the hands have to hold now."""
        costs = self.costs
        right = [self.pitches[i] for i, side in zip(moment.sounding, sides, strict=True) if side == UPPER]
        left = [self.pitches[i] for i, side in zip(moment.sounding, sides, strict=True) if side == LOWER]
        price = 0.0
        for hand, other in ((right, left), (left, right)):
            if not hand:
                if len(other) > 1:
                    price += costs.idle + costs.idle_more * (len(other) - 2)
                continue
            span = max(hand) - min(hand)
            price += costs.stretch * max(0, span - _OCTAVE) + costs.out_of_reach * max(0, span - _TENTH)
            if len(hand) > 2 and len(other) < len(hand) - 1:
                price += costs.crowd * (len(hand) - 2)
        if right and left and min(right) < max(left):
            price += costs.crossing
        return price
