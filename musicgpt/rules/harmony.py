"""What sounds together: a chord for each half bar, drawn ahead, and what is foreign to it costs.

Chords are the seven triads of the section's key (the tonal plan's), each drawn by what follows which in the
train split (`tonal_plans.json`, counted by `python -m benchmarks.tonal_plans`: the states of a hidden Markov
model), by what sounds on from before, and by the notes that a statement of the subject will have. A note off
the chord costs most where the chord begins, less on a beat, little between beats, where it may pass (Piston,
*Harmony*, 1941). Some chords have their own dominant before them. One voice alone is free.
"""

from __future__ import annotations

import numpy as np

from tokenization.vocabulary import PITCH_MIN

from ..state import NO_PITCH, State
from .base import BLOCK, Brief, Rule
from .keys import DOMINANT, dominant_seventh, triad
from .takers import PITCHES
from .tonal_plan import tables

# Nats against a note off the chord where the chord begins, on a beat, and elsewhere.
BEGINS, ON_BEAT, BETWEEN = 2.6, 1.8, 0.7
# These by form: preludes are freer.
IN_FUGUES, ELSEWHERE = 1.4, 0.65
# Nats against a chord for each note that sounds on into it and does not belong to it, and for each quarter of
# a statement's notes.
HELD, STATED = 1.0, 1.0
# The seventh of a dominant chord costs this share of what other notes off the chord do.
OFF_SEVENTH = 0.3
# Degrees that may have their dominants before them, in major and minor, from 0, and how often they do.
DEGREES, FIFTH, APPLIED, SHARE = 7, 7, ((1, 3, 4, 5), (2, 3, 4, 5, 6)), 0.4
# A chord that has held for more than so many bars loses so many nats for each further one.
BARS_HELD, STAYS = 0.5, 3.0
# In the first bars tonic and dominant are likelier, in nats: they say which key it is.
OPENING, OPENING_BARS = np.array([1.5, -0.5, -1.5, 0, 1.0, -1.5, -0.5]), 4


def harmonic_unit(bar: int) -> int:
    """Ticks for which a chord holds: half of a bar of two or four beats, a beat of 9/8, else the bar."""
    return {144: 72, 108: 36, 96: 48, 48: 24}.get(bar, bar)


def applied(key: int, degree: int) -> tuple[int, ...]:
    """Root, third, fifth and seventh of the dominant chord of a degree (0 to 6) of a key."""
    root = triad(key, degree)[0] + FIFTH
    return tuple((root + step) % 12 for step in (0, 4, 7, 10))


def _foreign() -> np.ndarray:
    """How foreign each pitch is to each degree of each key, and to the applied dominants of these, `(24, 14,
    pitches)`, 0 to 1.
    """
    found = np.ones((24, 2 * DEGREES, 12))
    for key in range(24):
        for degree in range(7):
            found[key, degree, list(triad(key, degree))] = 0
            found[key, DEGREES + degree, list(applied(key, degree))] = 0
        found[key, DOMINANT, dominant_seventh(key)[-1]] = OFF_SEVENTH
    return found[..., PITCHES % 12].astype(np.float32)


_FOREIGN = _foreign()


class Harmony(Rule):
    """Draws the chords and prices notes off them."""

    after = ("TIME",)
    memory = ("rngs", "units", "degrees", "keys", "held")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.key_plans, self.stated = brief.ask("key_plans"), brief.ask("stated")
        self.pedals = brief.ask("pedals")
        self.rngs = [np.random.default_rng((seed, 3)) for seed in brief.seeds]
        self.units = np.full(brief.rows, -1)  # tick at which the chord of each row began
        self.degrees = np.zeros(brief.rows, dtype=np.int64)
        self.keys = np.zeros(brief.rows, dtype=np.int64)
        self.weight = IN_FUGUES if brief.form == "fugue" else ELSEWHERE
        self.held = np.zeros(brief.rows)  # bars for which the chord has held beyond its first unit
        chords = tables()["chords"]
        self.steps = [np.log(np.array(chords[mode])) for mode in ("major", "minor")]

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where a rule before has a plan."""
        return brief.ask("key_plans") is not None

    def chords(self) -> tuple[np.ndarray, np.ndarray]:
        """Key and degree (0 to 6; 7 to 13 for their applied dominants) of each piece's chord, `(rows,)`
        each.
        """
        return self.keys, self.degrees

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        unit = np.array([harmonic_unit(ticks) for ticks in state.bar_ticks.tolist()])
        since = state.bar_position % unit
        for row in (state.ticks - since != self.units).nonzero()[0].tolist():
            self._draw(state, row, int(unit[row]), int(since[row]))
        self.units = state.ticks - since
        beat = np.where(since == 0, BEGINS, np.where(since % 24 == 0, ON_BEAT, BETWEEN))
        # One voice alone, as in a subject, makes its own harmony.
        together = (state.end >= state.ticks[:, None] - 24).sum(axis=1) > 1
        price = self.weight * (beat * together)[:, None] * _FOREIGN[self.keys, self.degrees]
        added = np.zeros(scores.shape, dtype=np.float32)
        added[:, BLOCK["NOTE"]] = -price
        return added

    def _draw(self, state: State, row: int, unit: int, since: int) -> None:
        """The chord that begins now."""
        assert self.key_plans is not None
        plan, bar = self.key_plans()[row], int(state.bar[row])
        key, before = plan.at(bar).key, (int(self.keys[row]), int(self.degrees[row]))
        begin = int(state.bar_position[row]) - since
        if bar == 0 or (begin == 0 and bar in plan.cadences and bar < plan.bars):
            degree, key = 0, before[0] if bar else key  # the tonic
        elif begin + unit >= state.bar_ticks[row] and bar + 1 in plan.cadences:
            degree = DOMINANT
        elif before[1] >= DEGREES and key == before[0]:
            degree = before[1] - DEGREES  # what its dominant led to
        else:
            steps = self.steps[key >= 12]
            # A new key begins as if its tonic had been heard.
            log = steps[before[1] % DEGREES if key == before[0] else 0].copy()
            log += OPENING * (bar < OPENING_BARS)
            log[before[1] % DEGREES] -= STAYS * max(0, self.held[row] - BARS_HELD)
            log -= self._against(state, row, key, int(state.ticks[row]) - since, unit)
            chances = np.exp(log - log.max())
            rng = self.rngs[row]
            degree = int(rng.choice(DEGREES, p=chances / chances.sum()))
            if degree in APPLIED[key >= 12] and bar >= OPENING_BARS and rng.random() < SHARE:
                degree += DEGREES  # first its dominant
        stays = (key, degree) == before
        self.held[row] = self.held[row] + unit / state.bar_ticks[row] if stays else 0.0
        self.keys[row], self.degrees[row] = key, degree

    def _against(self, state: State, row: int, key: int, begin: int, unit: int) -> np.ndarray:
        """Nats against each degree, `(7,)`, for the notes that sound on and those that will be stated."""
        foreign = _FOREIGN[key, :DEGREES]
        sounds = (state.end[row] > state.ticks[row]) & (state.pitch[row] != NO_PITCH)
        if self.pedals:  # over a pedal there may be any chord
            sounds &= np.arange(len(sounds)) != self.pedals()[row]
        price = HELD * foreign[:, state.pitch[row, sounds] - PITCH_MIN].sum(axis=1)
        for note in self.stated()[row] if self.stated else ():
            overlap = min(note.onset + note.duration, begin + unit) - max(note.onset, begin)
            if overlap > 0:
                price = price + STATED * overlap / 24 * foreign[:, note.pitch - PITCH_MIN]
        return price


__all__ = ["Harmony", "harmonic_unit"]
