"""What is given comes exactly, and nothing beside it where nothing may be written.

Which tokens may come next so that every given note can still be written where it stands: no step leads past
one, or to a tick from which no step leads to it; notes that begin together stand in the order of the tokens;
new notes keep to the room of their voice. Within that the model and the other rules are free.
"""

from __future__ import annotations

import numpy as np

from tokenization.note import DURATION, ONSET, PITCH, VOICE
from tokenization.vocabulary import (
    DUR_TYPE,
    DURATIONS,
    EOS_ID,
    MAX_STEP,
    MAX_TIME_TOKENS,
    MAX_VOICES,
    METER_TYPE,
    NOTE_TYPE,
    PAD_ID,
    PITCH_MIN,
    SPECIAL_TYPE,
    STEP_SPELLING,
    TIME_TYPE,
    VOICE_TYPE,
)

from ..frame import NEVER
from ..state import NO_PITCH, State
from .base import BLOCK, DUR_TICKS, FORBIDDEN, PITCHES, TIME_TICKS, VOCAB_SIZE, Brief, Rule

# How many TIME tokens a step takes; the last one stands for steps that cannot be written.
_TOKENS_OF = np.array([len(STEP_SPELLING.get(step, range(99))) for step in range(MAX_STEP + 2)])
# Tokens of a note, and of the end with a few to spare.
_A_NOTE, _AN_END = 4, 12


class KeepGiven(Rule):
    """Allows what keeps the given notes of `brief.frame`."""

    memory = ("at", "run", "meter", "_due")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        assert brief.frame is not None
        self.frame = brief.frame
        self.at = np.zeros(brief.rows, dtype=np.int64)  # the next given note
        self.run = np.zeros(brief.rows, dtype=np.int64)  # TIME tokens of the step that goes on
        self.meter = np.zeros(brief.rows, dtype=np.int64)  # the next change of meter
        self._due = np.full((brief.rows, 3), NO_PITCH)
        if self.frame.is_bounded:  # else the note that is due is the fugue's to say
            self.due = self._due_now
        low, high = self.frame.lowest[:, None], self.frame.highest[:, None]
        self.in_range = (low <= PITCHES) & (high >= PITCHES)  # (voices, pitches)
        self.voices = len(self.in_range)

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where something is given."""
        return brief.frame is not None

    def _due_now(self) -> np.ndarray:
        """Of each row pitch, voice and duration of the given note that is to be struck now, `(rows, 3)`;
        `NO_PITCH` where there is none.
        """
        return self._due

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        return np.where(self.allowed(state), 0.0, FORBIDDEN)

    def allowed(self, state: State) -> np.ndarray:
        """The tokens that may come next, bool of shape `(rows, vocab_size)`; to be asked once a token. Behind
        all that is given, in a piece without a given end, everything may.
        """
        self._follow(state)
        self._look(state)
        allowed = np.ones((state.rows, VOCAB_SIZE), dtype=bool)
        ended = (state.kind == SPECIAL_TYPE) & (state.num_notes > 0)
        is_open = (self.next == NEVER) & (state.ticks >= len(self.frame.room) - 1)
        if is_open.all():
            return allowed
        allowed[ended] = np.arange(VOCAB_SIZE) == PAD_ID
        kinds = set(state.kind[~ended].tolist())
        for kind, write in ((NOTE_TYPE, self._voice), (VOICE_TYPE, self._duration)):
            if kind in kinds:
                write(state, state.after(kind), allowed)
        waits = np.flatnonzero(
            (state.kind == TIME_TYPE) | ((state.kind == METER_TYPE) & (state.num_notes > 0))
        )
        if waits.size:
            self._pitch(state, waits, allowed)
        others = (state.kind != NOTE_TYPE) & (state.kind != VOICE_TYPE) & (state.kind != TIME_TYPE) & ~ended
        others[waits] = False
        if others.any():
            self._step(state, np.flatnonzero(others), allowed)
        allowed[is_open & ~ended] = True
        return allowed

    def _follow(self, state: State) -> None:
        """Takes the last token into account."""
        struck = state.after(DUR_TYPE)
        if struck.size:
            note, due = state.last_note()[struck], self.frame.notes[self.at[struck]]
            same = (note[:, [ONSET, PITCH, VOICE]] == due[:, [ONSET, PITCH, VOICE]]).all(axis=1)
            self.at[struck] += same
        self.run = np.where(state.kind == TIME_TYPE, self.run + 1, 0)
        self.meter += (state.kind == METER_TYPE) & (state.num_notes > 0)

    def _look(self, state: State) -> None:
        """What is due now, and which voices may strike of their own accord; arrays of all rows."""
        now, due = state.ticks, self.frame.notes[self.at]
        self.next, self.is_due = due[:, ONSET], due[:, ONSET] == now
        self.pitch, self.voice = due[:, PITCH], due[:, VOICE]  # -1 and a voice below all: the end
        self.is_end = self.is_due & (self.at == len(self.frame.notes) - 1)
        to_come = len(self.frame.notes) - 1 - self.at
        self.in_haste = self.brief.left(state) <= _A_NOTE * to_come + _AN_END
        last, order = state.last_note(), np.arange(self.voices)
        self.struck = (state.num_notes > 0) & (last[:, ONSET] == now)
        self.last = last
        above_due = ~self.is_due[:, None] | (order < self.voice[:, None])
        can = self._can_strike(state, np.arange(state.rows), now[:, None])[:, 0] & ~self.is_end[:, None]
        later = ~self.struck[:, None] | (order > last[:, VOICE, None])
        self.free = can & above_due & later  # (rows, voices)
        again = self.struck[:, None] & (order == last[:, VOICE, None])
        chord = can & above_due & again & (not self.frame.one_by_one)
        self.chord = chord & (last[:, PITCH] > PITCH_MIN)[:, None]
        self._due = np.where(
            (self.is_due & ~self.is_end)[:, None], due[:, [PITCH, VOICE, DURATION]], NO_PITCH
        )

    def _can_strike(self, state: State, at: np.ndarray, ticks: np.ndarray) -> np.ndarray:
        """Whether each voice of the rows `at` has room for a note at each of some ticks, `(n, k)`: `(n, k,
        voices)`.
        """
        room = self.frame.room
        can = room[np.clip(ticks, 0, len(room) - 1)] >= DURATIONS[0]
        if self.frame.one_by_one:
            can &= state.end[at, None, : self.voices] <= ticks[..., None]
        return can & ~self.in_haste[at, None, None]

    def _step(self, state: State, at: np.ndarray, allowed: np.ndarray) -> None:
        """A step to where a note is due or may come; 0 if that is now."""
        steps = self._steps(state, at)
        steps[:, 0] = self.is_due[at] | self.free[at].any(axis=1) | self.chord[at].any(axis=1)
        steps[self.is_due[at], 1:] = False
        _write(allowed, at, "TIME", steps)

    def _steps(self, state: State, at: np.ndarray) -> np.ndarray:
        """Steps above 0 that lead to a note, or to where further tokens lead to it, `(n, steps)`."""
        targets = state.ticks[at, None] + TIME_TICKS
        left = self.next[at, None] - targets
        used = self.run[at, None] + 1
        can = self._can_strike(state, at, targets).any(axis=2)
        further = _TOKENS_OF[np.clip(left, 0, MAX_STEP + 1)] <= MAX_TIME_TOKENS - used
        steps = (left == 0) | ((left > 0) & (can | further))
        steps &= TIME_TICKS > 0
        for place, (tick, _) in enumerate(self.frame.meters):
            # Not past a change of meter at which a note can begin.
            waits = (self.meter[at] == place) & (state.ticks[at] < tick)
            within = steps & (targets <= tick)
            begins = (self.frame.room[min(tick, len(self.frame.room) - 1)] > 0).any()
            begins |= (self.frame.notes[:, ONSET] == tick).any()
            waits &= begins & within.any(axis=1)
            steps[waits] = within[waits]
        return steps

    def _pitch(self, state: State, at: np.ndarray, allowed: np.ndarray) -> None:
        """A note that is due or that a voice has room for, a further step, a change of meter, or the end."""
        due = self.is_due[at] & ~self.is_end[at]
        free, chord = self.free[at], self.chord[at]
        notes = (free[:, :, None] & self.in_range).any(axis=1)
        notes |= (chord[:, :, None] & self.in_range).any(axis=1) & (self.last[at, PITCH, None] > PITCHES)
        notes[due, self.pitch[at][due] - PITCH_MIN] = True
        _write(allowed, at, "NOTE", notes)
        steps = self._steps(state, at) & ~self.is_due[at, None] & (self.run[at, None] < MAX_TIME_TOKENS)
        _write(allowed, at, "TIME", steps)
        allowed[at, EOS_ID] = self.is_end[at]
        allowed[at, BLOCK["METER"]] = False
        for place, (tick, token) in enumerate(self.frame.meters):
            now = (self.meter[at] == place) & (state.ticks[at] >= tick) & (state.kind[at] == TIME_TYPE)
            now &= notes.any(axis=1) & ~self.struck[at]
            allowed[at[now]] = np.arange(VOCAB_SIZE) == token

    def _voice(self, state: State, at: np.ndarray, allowed: np.ndarray) -> None:
        """A voice that has room for the pitch, or the given note's own."""
        pitch = state.note_pitch[at]
        fits = self.in_range[:, pitch - PITCH_MIN].T  # (n, voices)
        voices = np.zeros((len(at), MAX_VOICES), dtype=bool)
        lower = (pitch < self.last[at, PITCH])[:, None]
        voices[:, : self.voices] = (self.free[at] | (self.chord[at] & lower)) & fits
        due = self.is_due[at] & (self.pitch[at] == pitch)
        voices[due, self.voice[at][due]] = True
        _write(allowed, at, "VOICE", voices)

    def _duration(self, state: State, at: np.ndarray, allowed: np.ndarray) -> None:
        """That of the given note, or one for which there is room."""
        room, voice = self.frame.room, state.note_voice[at]
        own = room[np.minimum(state.ticks[at], len(room) - 1), np.minimum(voice, self.voices - 1)]
        durations = own[:, None] >= DUR_TICKS
        due = self.is_due[at] & (self.pitch[at] == state.note_pitch[at]) & (self.voice[at] == voice)
        durations[due] = self.frame.notes[self.at[at], DURATION][due, None] == DUR_TICKS
        _write(allowed, at, "DUR", durations)


def _write(allowed: np.ndarray, at: np.ndarray, kind: str, values: np.ndarray) -> None:
    """Of the tokens of a type those that `values`, `(n, tokens)`, says, in the rows `at`."""
    allowed[at, BLOCK[kind]] = values
