"""Cadences inside a piece, where the tonal plan has them: the dominant before a bar line, its tonic on it.

What makes an authentic cadence (Piston, *Harmony*, 1941): the bass steps from the dominant's root to the
tonic, the leading note sounds in the dominant, and on the strong beat the tonic triad with its third. Some
are deceptive, with the sixth degree in the bass. All of it is a matter of nats: what goes on in the other
voices, and a statement of the subject, may be stronger.
"""

from __future__ import annotations

import numpy as np

from tokenization.vocabulary import DUR_TYPE, NOTE_TYPE, OFFSET, TIME_TYPE, VOICE_TYPE

from ..state import State
from .base import BLOCK, DUR_TICKS, PITCHES, TIME_TICKS, VOCAB_SIZE, Brief
from .keys import dominant_seventh, last_beat, triad
from .tonal_plan import Planned

# Nats: against notes outside the chord, in the dominant and in the tonic, for the bass's own note and against
# others of its register, against steps past the tonic's beat and from it while the bass is missing, against
# notes that are held over into a chord to which they do not belong.
OUTSIDE_DOMINANT, OUTSIDE_TONIC, ROOT, WRONG_ROOT, PAST, MISSING, HELD = 3.0, 5.0, 3.0, 8.0, 8.0, 6.0, 4.0
THIRD = 4.0  # for the third of either chord, until it sounds
# Share of the cadences that are deceptive.
DECEPTIVE, SIXTH = 0.12, 5  # the degree, from 0
# Notes up to so many semitones above the last bass note are likely to become the bass.
NEAR = 4
# Before the final cadence, which is another rule's, and after the beginning there is none for so many bars.
EDGE = 2


class Moment:
    """A cadence that is near.

    Args:
        line (`int`): tick of the tonic's beat.
        begin (`int`): tick from which the dominant holds.
        key (`int`): in which it is.
        deceptive (`bool`): whether the bass goes to the sixth degree.
    """

    def __init__(self, line: int, begin: int, key: int, deceptive: bool):
        self.line, self.begin = line, begin
        self.dominant_chord, self.tonic_chord = dominant_seventh(key), triad(key, SIXTH if deceptive else 0)
        self.dominant, self.leading = self.dominant_chord[:2]
        self.root, self.tonic_third = self.tonic_chord[0], triad(key)[1]

    def add(self, state: State, row: int, added: np.ndarray) -> None:
        """Adds to the logits of a row, `(vocab_size,)`."""
        now, kind = int(state.ticks[row]), state.kind[row]
        active = (state.end[row] >= now - 2 * state.bar_ticks[row]).nonzero()[0]
        if not len(active):
            return
        bass = int(active[-1])
        if kind == TIME_TYPE:
            self._pitch(state, row, bass, now, added[BLOCK["NOTE"]])
        elif kind == NOTE_TYPE:
            self._voice(state, row, bass, now, added)
        elif kind == VOICE_TYPE:
            self._duration(state, row, bass, now, added[BLOCK["DUR"]])
        elif kind == DUR_TYPE:
            self._step(state, row, bass, now, added[BLOCK["TIME"]])

    def _has_root(self, state: State, row: int, bass: int) -> bool:
        """Whether the dominant's root stands in the bass now."""
        return bool(state.end[row, bass] > self.begin and state.pitch[row, bass] % 12 == self.dominant)

    @staticmethod
    def _sounds(state: State, row: int, pitch_class: int, since: int) -> bool:
        """Whether some voice has a note of this class that sounds at a tick or later."""
        return bool(((state.end[row] > since) & (state.pitch[row] % 12 == pitch_class)).any())

    def _pitch(self, state: State, row: int, bass: int, now: int, notes: np.ndarray) -> None:
        if now < self.begin:
            return
        at_end = now == self.line
        chord, outside = (
            (self.tonic_chord, OUTSIDE_TONIC) if at_end else (self.dominant_chord, OUTSIDE_DOMINANT)
        )
        notes -= outside * ~np.isin(PITCHES % 12, chord)
        third, since = (self.tonic_third, now) if at_end else (self.leading, self.begin)
        if not self._sounds(state, row, third, since):
            notes += THIRD * (third == PITCHES % 12)
        if not at_end or state.onset[row, bass] < now:
            low = state.pitch[row, bass] + NEAR >= PITCHES
            own = (self.root if at_end else self.dominant) == PITCHES % 12
            notes += low * np.where(own, ROOT, -WRONG_ROOT)

    def _voice(self, state: State, row: int, bass: int, now: int, added: np.ndarray) -> None:
        """The root that was written is the bass's."""
        root = self.root if now == self.line else self.dominant
        pitch = int(state.note_pitch[row])
        if now < self.begin:
            return
        if pitch % 12 != root:
            added[OFFSET["VOICE"] + bass] -= WRONG_ROOT
        elif pitch <= state.pitch[row, bass] + NEAR:
            added[OFFSET["VOICE"] + bass] += ROOT

    def _duration(self, state: State, row: int, bass: int, now: int, durations: np.ndarray) -> None:
        pitch = int(state.note_pitch[row]) % 12
        if now < self.line and pitch not in self.tonic_chord:
            durations -= HELD * (now + DUR_TICKS > self.line)
        if state.note_voice[row] != bass:
            return
        if now < self.begin and pitch != self.dominant:
            durations -= HELD * (now + DUR_TICKS > self.begin)  # so that the bass can strike the root
        elif now < self.line:  # the root stays until the tonic
            durations -= HELD * (now + DUR_TICKS != self.line)

    def _step(self, state: State, row: int, bass: int, now: int, steps: np.ndarray) -> None:
        if now < self.line:
            steps -= PAST * (now + TIME_TICKS > self.line)
            if not self._has_root(state, row, bass) and self.begin < self.line:
                # Not past the dominant before its root was there.
                limit = self.begin if now < self.begin else self.line - 1
                steps -= MISSING * (now + TIME_TICKS > limit)
            return
        if now == self.line and state.onset[row, bass] < now and state.note_voice[row] < bass:
            steps -= MISSING * (TIME_TICKS > 0)


class Cadences(Planned):
    """Says what a cadence is made of in the bars before the lines of the plan (`tonal_plan.py`)."""

    memory = ("bars", "moments", "rngs")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.bars = np.full(brief.rows, -1)
        self.moments: list[Moment | None] = [None] * brief.rows
        self.rngs = [np.random.default_rng((seed, 2)) for seed in brief.seeds]

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        for row in (state.bar != self.bars).nonzero()[0].tolist():
            self._look_ahead(state, row)
        self.bars = state.bar.copy()
        closing = self.is_closing(state)
        near = [
            row
            for row, moment in enumerate(self.moments)
            if moment and not closing[row] and moment.begin - 48 <= state.ticks[row] <= moment.line
        ]
        if not near:
            return None
        added = np.zeros((state.rows, VOCAB_SIZE), dtype=np.float32)
        for row in near:
            self.moments[row].add(state, row, added[row])  # type: ignore[union-attr]
        return added

    def _look_ahead(self, state: State, row: int) -> None:
        """The cadence with the first beat of the next bar, if the plan has one there."""
        moment = self.moments[row]
        if moment and state.ticks[row] <= moment.line:
            return
        self.moments[row] = None
        plan, bar = self.plan(row), int(state.bar[row]) + 1
        section = plan.at(bar - 1)
        if bar not in plan.cadences or not EDGE <= bar <= plan.bars - EDGE - 1:
            return
        ticks = int(state.bar_ticks[row])
        line = int(state.ticks[row] - state.bar_position[row]) + ticks
        deceptive = bool(self.rngs[row].random() < DECEPTIVE)
        self.moments[row] = Moment(line, line - last_beat(ticks), section.key, deceptive)
