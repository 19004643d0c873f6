"""The pedal at the end: the bass holds the dominant before the last cadence, or the tonic under it.

Over a pedal the upper voices make chords and dissonances of their own (Prout, *Harmony*, 1903). In the last
eight bars of the train split 7 of 39 preludes have the dominant in the bass for a bar and a half or more, and
3 of 40 fugues; the tonic, into the final chord, 7 and 8 (`closing_pedal` in `musical_metrics/structure.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tokenization.score import Note
from tokenization.vocabulary import (
    DUR_TYPE,
    DURATIONS,
    MAX_VOICES,
    NEAREST_DURATION,
    NOTE_TYPE,
    OFFSET,
    PITCH_MIN,
    TIME_TYPE,
    VOICE_TYPE,
)

from ..state import NO_PITCH, State
from .base import BLOCK, FORBIDDEN, PITCHES, TIME_TICKS, VOCAB_SIZE, Brief
from .harmony import harmonic_unit
from .keys import DOMINANT, HOME, TONIC, triad
from .replay import limit_durations, limit_steps, only
from .takers import PASSED_OVER
from .tonal_plan import UNASKED, Planned

# Bars of each of these pedals, on the dominant and on the tonic, and of how many movements.
PEDALS = {
    "prelude": ((2, 2, 2, 2, 2, 4, 4), (2, 2, 2, 3, 3, 3, 4), 39),
    "fugue": ((2, 2, 3), (2, 2, 2, 3, 3, 4, 4, 4), 40),
}
# A bar shorter than this, in ticks, counts as half a bar.
SHORT = 60
# A bass that has struck so many notes in a bar goes on so over the dominant: it strikes the pedal with each
# beat. Else it holds the pedal, for two bars at most.
FIGURED, HELD_BARS = 5, 2
# The pedal's octave is the nearest to a place so many semitones below the bass, and it sounds below C4.
DEEPER, MIDDLE = 4, 60
OCTAVE = 12


class PedalPlan(NamedTuple):
    """A pedal that is to come: pitch class, bars before the final chord."""

    pitch_class: int
    bars: int


class Point:
    """A pedal (an organ point).

    Args:
        voice (`int`): that has it, the lowest.
        next (`int`): tick at which it is struck first.
        every (`int`): ticks after which a figured bass strikes it again; 0 for one that holds it.
    """

    def __init__(self, voice: int, next: int, every: int):
        self.voice, self.next, self.every = voice, next, every
        self.end = next
        self.pitch = NO_PITCH  # until it is struck
        self.has_begun = False

    def follow(self, state: State, row: int, unit: int) -> None:
        """Take note of what was written: whether it was struck, or passed by."""
        now = int(state.ticks[row])
        if state.kind[row] == DUR_TYPE and now == self.next:
            onset, _, pitch, voice = state.notes[row, state.num_notes[row] - 1].tolist()
            if (onset, pitch, voice) == (now, self.pitch, self.voice):
                self.has_begun = True
                self.next = now + (self.every or self._ticks(now, int(state.bar_ticks[row])))
        while self.next < now:
            self.next += unit

    def add(self, state: State, row: int, added: np.ndarray, stated: Sequence[Note] | None = None) -> None:
        """Adds to the logits of the row's next token, `(vocab_size,)`, after `follow`. In a fugue, `stated`
        are the notes of its plan.
        """
        now, kind = int(state.ticks[row]), state.kind[row]
        strikes = now == self.next < self.end
        if kind == DUR_TYPE:
            if strikes:
                added[BLOCK["TIME"]][TIME_TICKS > 0] = FORBIDDEN
            elif now < self.next:
                limit_steps(added, now, self.next)
        elif kind == TIME_TYPE:
            self._pitch(state, row, strikes, added, stated)
        elif kind == NOTE_TYPE:
            is_pedal = strikes and state.note_pitch[row] == self.pitch
            if is_pedal:
                only(added, "VOICE", self.voice)
            elif strikes or (self.has_begun and not self.every):
                added[OFFSET["VOICE"] + self.voice] = FORBIDDEN
        elif kind == VOICE_TYPE and state.note_voice[row] == self.voice:
            if strikes and not self.every:
                only(added, "DUR", int(NEAREST_DURATION[self._ticks(now, int(state.bar_ticks[row]))]))
            else:
                limit_durations(added, now, self.next + self.every * strikes)

    def _ticks(self, now: int, bar: int) -> int:
        """How long the note lasts that is struck now: the last one two bars, if there are such notes, or what
        is left.
        """
        left, longest = self.end - now, bar * (HELD_BARS if HELD_BARS * bar <= DURATIONS[-1] else 1)
        return left if left <= longest else left % longest or longest

    def _pitch(
        self, state: State, row: int, strikes: bool, added: np.ndarray, stated: Sequence[Note] | None
    ) -> None:
        """No note below the pedal; it is struck after the notes of the voices above it. Of a fugue these are
        voices that have nothing else to do, and the plan's own notes: another one would find no voice.
        """
        notes, place = added[BLOCK["NOTE"]], self.pitch - PITCH_MIN
        if not strikes:
            limit_steps(added, int(state.ticks[row]), self.next)
            if self.has_begun:
                notes[: place + 1 - bool(self.every)] = FORBIDDEN
            return
        added[BLOCK["TIME"]] = FORBIDDEN
        notes[:place] = FORBIDDEN
        now, last = state.ticks[row], state.last_note()[row]
        voices = list(range(int(last[3]) + 1 if last[0] == now else 0, self.voice))
        due = [note.pitch for note in stated or () if note.onset == now and note.voice in voices]
        if stated is not None:
            planned = {note.voice for note in stated}
            voices = [v for v in voices if v not in planned and state.end[row, v] <= now]
        if not voices:
            notes[~np.isin(PITCHES, [self.pitch, *due])] = FORBIDDEN
        elif any(now - state.bar_ticks[row] < state.end[row, v] <= now for v in voices):
            notes[place] -= PASSED_OVER


class Pedal(Planned):
    """Draws whether a piece has a pedal, and lets the bass have it."""

    memory = ("plans", "points", "looked", "now")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.plans = [self._draw(seed) for seed in brief.seeds]
        self.points: list[Point | None] = [None] * brief.rows
        self.looked = np.full(brief.rows, -1)
        self.now = np.zeros(brief.rows, dtype=np.int64)  # ticks

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where a rule before has a plan; two voices of a fugue have no bass to spare."""
        return super().applies(brief) and (brief.form != "fugue" or brief.voices != 2)

    def _draw(self, seed: int) -> PedalPlan | None:
        dominants, tonics, of = PEDALS[self.brief.form or UNASKED]
        home = HOME[self.brief.mode]
        found = [PedalPlan(triad(home, DOMINANT)[0], bars) for bars in dominants]
        found += [PedalPlan(TONIC[self.brief.mode], bars) for bars in tonics]
        drawn = int(np.random.default_rng((seed, 7)).integers(of))
        return found[drawn] if drawn < len(found) else None

    def pedals(self) -> np.ndarray:
        """The voice that holds a pedal in each row, `(rows,)`; -1 for none."""
        return np.array([p.voice if p and p.has_begun and not p.every else -1 for p in self.points])

    def may_strike(self) -> np.ndarray:
        """Which voices may strike a note now, bool of shape `(rows, voices)`: none that holds a pedal."""
        strikes = np.array([tick for tick, _, _ in self.pedals_struck()]) == self.now
        return (self.pedals()[:, None] != np.arange(MAX_VOICES)) | strikes[:, None]

    def pedals_struck(self) -> list[tuple[int, int, int]]:
        """Of each row tick, pitch and voice of the pedal's next note; `NO_PITCH` for the pitch where there is
        none.
        """
        return [
            (p.next, p.pitch, p.voice) if p and p.next < p.end else (-1, NO_PITCH, 0) for p in self.points
        ]

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        added, self.now = None, state.ticks.copy()
        for row, wanted in enumerate(self.plans):
            if wanted is None:
                continue
            if state.bar[row] != self.looked[row] and state.kind[row] == TIME_TYPE:
                self.looked[row] = state.bar[row]
                self._look(state, row, wanted)
            point, unit = self.points[row], harmonic_unit(int(state.bar_ticks[row]))
            if point is None:
                continue
            point.follow(state, row, unit)
            if point.pitch == NO_PITCH and state.ticks[row] >= point.next and not self._settle(state, row):
                self.points[row] = None
                continue
            if state.ticks[row] < point.end:
                added = np.zeros((state.rows, VOCAB_SIZE), dtype=np.float32) if added is None else added
                point.add(state, row, added[row], self._stated(row))
        return added

    def _stated(self, row: int) -> list[Note] | None:
        """The notes that a fugue's plan has for a row; `None` elsewhere."""
        stated = self.brief.ask("stated") if self.brief.form == "fugue" else None  # of a later rule
        return stated()[row] if stated else None

    def _look(self, state: State, row: int, wanted: PedalPlan) -> None:
        """Whether the pedal begins with the next bar, and when it ends."""
        plan, bar, ticks = self.plan(row), int(state.bar[row]), int(state.bar_ticks[row])
        line = int(state.ticks[row] - state.bar_position[row])
        left = max(1, plan.bars - 1 - bar)  # bars until the final chord
        point = self.points[row]
        if self.is_closing(state)[row]:
            if point:
                point.end = min(point.end, line + ticks)
            return
        if point is None:
            bars = wanted.bars * (2 if ticks < SHORT else 1)
            is_home = plan.at(bar).key == plan.at(bar + 1).key == plan.home
            voices = np.flatnonzero(state.is_active()[row])
            if not HELD_BARS < left <= bars + 1 or not is_home or len(voices) < 2:
                return
            if self.brief.form == "fugue" and voices[-1] + 1 < (self.brief.voices or 0):
                return  # the bass is still to enter
            begin = self._when_free(row, int(voices[-1]), line + ticks, harmonic_unit(ticks))
            if begin > line + (left - HELD_BARS) * ticks:
                return
            point = self.points[row] = Point(int(voices[-1]), begin, self._every(state, row, wanted))
            begins = {bar + 1} if wanted.pitch_class == TONIC[self.brief.mode] else set()
            plan.cadences = sorted({c for c in plan.cadences if c <= bar or c >= plan.bars - 1} | begins)
        point.end = line + left * ticks

    def _when_free(self, row: int, voice: int, begin: int, unit: int) -> int:
        """The tick, from `begin` on by units, from which on no statement of the subject is the voice's."""
        stated = self.brief.ask("stated")  # of a later rule
        ends = [note.onset + note.duration for note in stated()[row] if note.voice == voice] if stated else []
        return begin + max(0, -((begin - max(ends, default=begin)) // unit)) * unit

    def _every(self, state: State, row: int, wanted: PedalPlan) -> int:
        """Ticks after which the bass strikes the pedal again, 0 where it holds it."""
        ticks = int(state.bar_ticks[row])
        bass = int(np.flatnonzero(state.is_active()[row])[-1])
        latest = state.line[row, bass, -FIGURED:, 0]
        moves = latest[0] > state.ticks[row] - ticks and state.line_length[row, bass] >= FIGURED
        is_figured = moves and self.brief.form != "fugue" and wanted.pitch_class != TONIC[self.brief.mode]
        return self.brief.beat if is_figured else 0

    def _settle(self, state: State, row: int) -> bool:
        """Choose the octave, below what sounds; whether there is one."""
        point, wanted = self.points[row], self.plans[row]
        assert point is not None and wanted is not None
        others = np.arange(state.end.shape[1]) != point.voice
        sounding = state.pitch[row, others & (state.end[row] > state.ticks[row])]
        low, top = self.brief.keyboard[0], min([MIDDLE - self.brief.transposition, *sounding]) - 1
        found = range(low + (wanted.pitch_class - low) % OCTAVE, top + 1, OCTAVE)
        aim = int(state.pitch[row, point.voice]) - DEEPER
        point.pitch = min(found, key=lambda pitch: abs(pitch - aim), default=NO_PITCH)
        return point.pitch != NO_PITCH
