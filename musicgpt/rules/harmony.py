"""What sounds together: which chord each half bar has is inferred as its notes come, and what is foreign to
it costs.

Chords are the seven triads of the section's key (the tonal plan's) and their dominants, the states of a
hidden Markov model. Where a half bar begins, how likely each is follows from what follows which in the train
split (`tonal_plans.json`, counted by `python -m benchmarks.tonal_plans`), from what sounds on, and from the
notes that a statement of the subject will have. Then each note that is written says more of it (the forward
algorithm: L. Rabiner, Proceedings of the IEEE 77, 1989), and the next one costs what it does over all chords
by how likely they are. When chords were drawn whatever came, .31 of the beats had the root that was drawn
(docs/log/2026-12.md). One voice alone is free.

A note off the chord costs most where the chord begins, less on a beat, little between beats; less of it where
its voice comes by step, for there it passes or is a neighbour, and a voice that leaves it by a leap pays once
more (Fux, *Gradus ad Parnassum*, 1725; Piston, *Harmony*, 1941). Without that, chords made lines that hop:
of the melodic intervals of fugues .42 were seconds, of Bach's .70. A note that a voice holds into the next
chord gains, and a chord over which it is suspended is likelier than one to which it belongs.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tokenization.vocabulary import (
    DUR_TYPE,
    DURATIONS,
    PITCH_MAX,
    PITCH_MIN,
    TIME_TYPE,
    VOICE_TYPE,
)

from ..state import NO_PITCH, State
from .base import BLOCK, PITCHES, TIME_TICKS, Brief
from .keys import DOMINANT, dominant_seventh, triad
from .replay import scale_of
from .takers import BY_STEP, ByVoice, Taken, recent
from .tonal_plan import Planned, tables

# Nats against a note off the chord where the chord begins, on a beat, and elsewhere.
BEGINS, ON_BEAT, BETWEEN = 2.6, 1.8, 0.7
# The share of these that counts; nats for a duration that lasts into the next chord, for a note of the chord
# that is foreign to the signature of its key, such as minor's leading note, without which the chord is not
# heard, and against the tonic: the counts have those of cadences, which are planned here. Preludes are freer.
IN_FUGUES, ELSEWHERE = (1.6, 3.0, 1.5, 1.3), (0.6, 1.8, 0.8, 1.9)
# What a voice that comes by step pays of it, where a chord begins, on a beat, and elsewhere; and nats for
# leaving a note off the chord by a leap.
COMES_BY_STEP, LEFT = (1.0, 0.7, 0.1), 1.0
# How likely a chord is at least.
FLOOR = 1e-4
# Nats against a step past the beginning of a chord into which a note is held.
SKIPPED = 3.0
# Nats against a chord for each note that sounds on into it and does not belong to it, and for each quarter of
# a statement's notes; and nats for one over which a note that sounds on is suspended.
HELD, STATED, SUSPENDED = 1.0, 1.0, 1.0
# The seventh of a dominant chord costs this share of what other notes off the chord do.
OFF_SEVENTH = 0.1
# Degrees that may have their dominants before them, in major and minor, from 0, and how often they do.
DEGREES, APPLIED, SHARE = 7, ((1, 2, 3, 4, 5), (2, 3, 4, 5, 6)), 0.75
# A chord that has held for more than so many bars loses so many nats for each further one.
BARS_HELD, STAYS = 0.25, 3.0
# In the first bars tonic and dominant are likelier, in nats: they say which key it is.
OPENING, OPENING_BARS = np.array([1.5, -0.5, -1.5, 0, 1.0, -1.5, -0.5]), 4


def harmonic_unit(bar: int) -> int:
    """Ticks for which a chord holds: half of a bar of two or four beats, a beat of 9/8, else the bar."""
    return {144: 72, 108: 36, 96: 48, 48: 24}.get(bar, bar)


def _foreign() -> np.ndarray:
    """How foreign each pitch is to each degree of each key, and to the applied dominants of these, `(24, 14,
    pitches)`, 0 to 1.
    """
    found = np.ones((24, 2 * DEGREES, 12))
    for key in range(24):
        for degree in range(7):
            found[key, degree, list(triad(key, degree))] = 0
            found[key, DEGREES + degree, list(dominant_seventh(triad(key, degree)[0]))] = 0
        found[key, DOMINANT, dominant_seventh(key)[-1]] = OFF_SEVENTH
    return found[..., PITCHES % 12].astype(np.float32)


def _suspended() -> np.ndarray:
    """Whether a pitch would be suspended over each chord of each key, `(24, 14, pitches)`: it is off the
    chord, and the next lower note of the scale is in it.
    """
    found = np.zeros((24, 2 * DEGREES, 12), dtype=bool)
    for key in range(24):
        chords = [triad(key, degree) for degree in range(DEGREES)]
        scale = {note for chord in chords for note in chord}
        chords += [dominant_seventh(chord[0]) for chord in chords]
        for degree, chord in enumerate(chords):
            for note in set(range(12)) - set(chord):
                below = next(note - k for k in range(1, 12) if (note - k) % 12 in scale)
                found[key, degree, note] = below % 12 in chord
    return found[..., PITCHES % 12]


def _altered() -> np.ndarray:
    """Whether a pitch is in a chord of a key, as `_foreign` has them, but not in the key's signature, `(24,
    14, pitches)`.
    """
    signature = np.ones((24, 1, 12), dtype=bool)
    for key in range(24):
        signature[key, 0, [(key + step) % 12 for step in scale_of(key)]] = False
    return ((_FOREIGN == 0) & signature[..., PITCHES % 12]).astype(np.float32)


_FOREIGN, _SUSPENDED = _foreign(), _suspended()
_ALTERED = _altered()
_ONLY = np.eye(2 * DEGREES)


@cache
def _likely(weight: float, altered: float) -> np.ndarray:
    """How likely each pitch is over each chord, in no unit, for a voice that leaps and for one that comes by
    step, where a chord begins, on a beat and elsewhere, `(2, 3, 24, 14, pitches)`.
    """
    pays = np.array([(1.0, 1.0, 1.0), COMES_BY_STEP]) * (BEGINS, ON_BEAT, BETWEEN)
    return np.exp(altered * _ALTERED - weight * pays[..., None, None, None] * _FOREIGN)


class Harmony(ByVoice, Planned):
    """Follows the chords and prices notes off them."""

    after = ("TIME", "NOTE", "VOICE", "DUR")
    memory = (*ByVoice.memory, "units", "belief", "degrees", "keys", "held")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.stated, self.pedals = brief.ask("stated"), brief.ask("pedals")
        self.units = np.full(brief.rows, -1)  # tick at which the chord of each row began
        self.belief = _ONLY[np.zeros(brief.rows, dtype=np.int64)]  # how likely each chord is
        self.degrees = np.zeros(brief.rows, dtype=np.int64)  # the likeliest of the unit before
        self.keys = np.zeros(brief.rows, dtype=np.int64)
        self.weight, self.tie, altered, self.tonic = IN_FUGUES if brief.form == "fugue" else ELSEWHERE
        self.likely = _likely(self.weight, altered)
        self.held = np.zeros(brief.rows)  # bars for which it has been the likeliest beyond its first unit
        chords = tables()["chords"]
        self.steps = [np.array(chords[mode]) for mode in ("major", "minor")]

    def chords(self) -> tuple[np.ndarray, np.ndarray]:
        """Key and degree (0 to 6; 7 to 13 for their applied dominants) of each piece's likeliest chord,
        `(rows,)` each.
        """
        return self.keys, self.belief.argmax(axis=1)

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        added = super().__call__(state, scores)
        at = state.after(VOICE_TYPE)
        if len(at):
            self._hear(state, at)
            self._tie(state, at, added)
        for kind in (DUR_TYPE, TIME_TYPE):
            at = state.after(kind)
            if len(at):
                self._strike(state, at, added)
        return added

    def _tie(self, state: State, at: np.ndarray, added: np.ndarray) -> None:
        """Notes that begin in the rows `at` gain where they last into the next chord: those that begin on a
        beat, in one voice at a time beside others, but not into a cadence.
        """
        unit, since = self._unit(state, at)
        on_beat = (since > 0) & (since % 24 == 0)
        if not on_beat.any():
            return
        at, left = at[on_beat], (unit - since)[on_beat]
        may = ~self._before_cadence(state, at) & self._is_together(state, at)
        may &= ~(state.end[at] > (state.ticks[at] + left)[:, None]).any(axis=1)
        added[at, BLOCK["DUR"]] = self.tie * ((left[:, None] < DURATIONS) & may[:, None])

    def _strike(self, state: State, at: np.ndarray, added: np.ndarray) -> None:
        """Steps past the beginning of a chord into which a note is held cost: some voice moves there."""
        unit, since = self._unit(state, at)
        left = unit - since
        held = (state.end[at] > (state.ticks[at] + left)[:, None]).any(axis=1)
        added[at, BLOCK["TIME"]] = -SKIPPED * (held[:, None] & (left[:, None] < TIME_TICKS))

    @staticmethod
    def _is_together(state: State, at: np.ndarray) -> np.ndarray:
        """Whether several voices sound in the rows `at`, or did a quarter ago, `(n,)`: one alone, as in a
        subject, makes its own harmony.
        """
        return np.add.reduce(state.end[at] >= state.ticks[at, None] - 24, axis=1) > 1

    @staticmethod
    def _unit(state: State, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ticks for which chords hold in the rows `at`, and since when they do, `(n,)` each."""
        unit = np.fromiter(map(harmonic_unit, state.bar_ticks[at].tolist()), np.int64, len(at))
        return unit, state.bar_position[at] % unit

    def _before_cadence(self, state: State, at: np.ndarray) -> np.ndarray:
        """Whether each of the rows `at` stands in a bar behind which a cadence is planned, `(n,)`."""
        return np.array([state.bar[row] + 1 in self.plan(row).cadences for row in at.tolist()])

    def _hear(self, state: State, at: np.ndarray) -> None:
        """What notes say of the chords, whose pitch and voice are known in the rows `at`."""
        pitch, voice = state.note_pitch[at] - PITCH_MIN, state.note_voice[at]
        near = recent(state.pitch[at, voice], state.end[at, voice], state.ticks[at])
        place = self._place(self._unit(state, at)[1])
        belief = self.belief[at] * self.likely[1 * BY_STEP[near, pitch], place, self.keys[at], :, pitch]
        self.belief[at] = belief / belief.sum(axis=1, keepdims=True)

    @staticmethod
    def _place(since: np.ndarray) -> np.ndarray:
        """0 where a chord begins, 1 on another beat, 2 elsewhere, `(n,)`."""
        return np.where(since == 0, 0, np.where(since % 24 == 0, 1, 2))

    def gains(self, state: State, at: np.ndarray, taken: Taken) -> np.ndarray:
        """What notes off the chord cost, and what those gain without which it is not heard."""
        (unit, since), now = self._unit(state, at), taken.now[:, 0]
        begins = now - since
        for n in (begins != self.units[at]).nonzero()[0].tolist():
            self._go_on(state, int(at[n]), int(unit[n]), int(since[n]))
        self.units[at] = begins
        place, keys, belief = self._place(since), self.keys[at], self.belief[at][:, None]
        leap, step = (np.log(belief @ likely[place, keys]) for likely in self.likely)  # (n, 1, pitches)
        # What a voice pays for a leap from where it is.
        off = (belief @ _FOREIGN[keys])[:, 0]
        left = np.where(
            taken.near != NO_PITCH,
            off[np.arange(len(at))[:, None], np.maximum(taken.near - PITCH_MIN, 0)],
            0.0,
        )
        found = np.where(taken.by_step, step, leap - (self.weight * LEFT * left)[..., None])
        return found * self._is_together(state, at)[:, None, None]

    def _go_on(self, state: State, row: int, unit: int, since: int) -> None:
        """How likely each chord is that begins now."""
        plan, bar = self.plan(row), int(state.bar[row])
        key, before = plan.at(bar).key, int(self.keys[row])
        degree = int(self.belief[row].argmax())
        begin = int(state.bar_position[row]) - since
        if bar == 0 or (begin == 0 and bar in plan.cadences and bar < plan.bars):
            key, chances = before if bar else key, _ONLY[0]  # the tonic
        elif begin + unit >= state.bar_ticks[row] and bar + 1 in plan.cadences:
            chances = _ONLY[DOMINANT]
        else:
            # A new key begins as if its tonic had been heard.
            believed = self.belief[row] if key == before else _ONLY[0]
            price = self._against(state, row, key, int(state.ticks[row]) - since, unit)
            price[0] += self.tonic
            price[degree % DEGREES] += STAYS * max(0, self.held[row] - BARS_HELD)
            if bar < OPENING_BARS:
                price[:DEGREES] -= OPENING
            chances = self._next(believed, key >= 12, bar >= OPENING_BARS) * np.exp(price.min() - price)
        stays = (key, degree) == (before, self.degrees[row])
        self.held[row] = self.held[row] + unit / state.bar_ticks[row] if stays else 0.0
        self.keys[row], self.degrees[row] = key, degree
        self.belief[row] = FLOOR + chances / chances.sum()

    def _next(self, believed: np.ndarray, is_minor: bool, applies: bool) -> np.ndarray:
        """How likely each chord follows those that are `believed`, `(14,)`; whether there are applied
        dominants: after these comes what they lead to, and they come before some of the others.
        """
        chances = believed[:DEGREES] @ self.steps[is_minor]
        applied = np.zeros(DEGREES)
        if applies:
            may = list(APPLIED[is_minor])
            applied[may] = SHARE * chances[may]
        return np.concatenate([chances - applied + believed[DEGREES:], applied])

    def _against(self, state: State, row: int, key: int, begin: int, unit: int) -> np.ndarray:
        """Nats against each chord, `(14,)`, for the notes that sound on and those that will be stated."""
        foreign = _FOREIGN[key]
        sounds = (state.end[row] > state.ticks[row]) & (state.pitch[row] != NO_PITCH)
        if self.pedals:  # over a pedal there may be any chord
            sounds &= np.arange(len(sounds)) != self.pedals()[row]
        place = state.pitch[row, sounds] - PITCH_MIN
        # The bass, which may move now, is none that could be suspended.
        heard = recent(state.pitch[row], state.end[row], state.ticks[row])
        lowest = heard[heard != NO_PITCH].min(initial=PITCH_MAX) - PITCH_MIN
        suspended = _SUSPENDED[key][:, place] & (place > lowest)
        price = np.where(suspended, -SUSPENDED, HELD * foreign[:, place]).sum(axis=1)
        for note in self.stated()[row] if self.stated else ():
            overlap = min(note.onset + note.duration, begin + unit) - max(note.onset, begin)
            if overlap > 0:
                price = price + STATED * overlap / 24 * foreign[:, note.pitch - PITCH_MIN]
        return price
