"""Which voice will take a note whose voice is not known yet: the model writes the pitch before the voice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tokenization.score import ONSET, PITCH, VOICE
from tokenization.vocabulary import MAX_VOICES, NOTE_TYPE, OFFSET, PITCH_MAX, PITCH_MIN, TIME_TYPE

from ..state import NO_PITCH, State
from .base import BLOCK, PITCHES, Brief, Rule

# Semitones for each nat against a voice, and nats against one whose note still sounds, or one that has not
# begun.
NEAR, BUSY, NEW = 3.0, 3.0, 6.0
# Nats against a note that must come (a plan's, a pedal's, a melody's) while a voice above it is silent, which
# would be passed over.
PASSED_OVER = 2.5
# The largest step, in semitones; and the rest, in ticks, after which a voice begins anew.
STEP, REST = 2, 24
# Whether each pitch is at most a step away from each MIDI pitch of a voice's last note, `NO_PITCH` from none.
BY_STEP = np.abs(PITCHES - np.arange(PITCH_MAX + 2)[:, None]) <= STEP
BY_STEP[NO_PITCH] = False
# A row for each MIDI pitch of the voice's last note; the last row, `NO_PITCH`, is that of a voice without
# one.
_NEAR = np.exp(-np.abs(PITCHES - np.arange(PITCH_MAX + 2)[:, None]) / NEAR)
_NEAR[NO_PITCH] = np.exp(-NEW)
_BUSY = np.exp(-BUSY)


class Taken(NamedTuple):
    """Of `n` rows where a note may come; arrays of `(n, voices)` are of each voice's last note.

    Attributes:
        now (array of shape `(n, 1)`): ticks.
        pitch, end (`(n, voices)`): of the voices, to be read only.
        sounds (bool of that shape): whether the note sounds on.
        near (`(n, voices)`): its pitch where it has been over for less than `REST`, else `NO_PITCH`.
        by_step (bool of shape `(n, voices, pitches)`): whether the voice comes to a pitch by a step.
        impossible (bool of that shape): whether a note could not come next.
        weight (array of that shape): how likely each voice takes it; it sums to 1 over the voices, or to 0
            where none may.
        by_some (bool of shape `(n, pitches)`): whether any may.
        rows, due (`(k,)` and `(k, 3)`): where a note must come, and its pitch, voice and duration.
        heard (five arrays of shape `(n, voices)`): pitch, onset and end of each voice's last note, pitch and
            end of the one before, as they will be when the notes that must come have been struck.
    """

    now: np.ndarray
    pitch: np.ndarray
    end: np.ndarray
    sounds: np.ndarray
    near: np.ndarray
    by_step: np.ndarray
    impossible: np.ndarray
    weight: np.ndarray
    by_some: np.ndarray
    rows: np.ndarray
    due: np.ndarray
    heard: tuple[np.ndarray, ...]

    def excuse(self, price: np.ndarray) -> None:
        """Takes away what was said of notes that must come, from prices of shape `(n, pitches)`."""
        if len(self.rows):
            price[self.rows, self.due[:, 0] - PITCH_MIN] = 0


def is_out_of_order(state: State, at: np.ndarray, voices: int) -> np.ndarray:
    """Which notes could not come next: notes that begin together are written from the highest voice down, and
    those of one voice from the highest pitch down.

    Args:
        state (`State`): of all rows; `at` (array of shape `(n,)`): the rows that are asked about.
        voices (`int`): how many there are.

    Returns:
        bool of shape `(n, voices, pitches)`.
    """
    last = state.last_note()[at]
    struck = (state.num_notes[at] > 0) & (last[:, ONSET] == state.ticks[at])
    if not struck.any():
        return np.zeros((len(at), voices, len(PITCHES)), dtype=bool)
    voice, order = last[:, VOICE, None], np.arange(voices)
    passed = (order < voice) & struck[:, None]
    same = (order == voice) & struck[:, None]
    return passed[..., None] | (same[..., None] & (last[:, PITCH, None, None] <= PITCHES))


def recent(pitch: np.ndarray, end: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The pitches of notes that sound or have been over for less than `REST`, else `NO_PITCH`."""
    return np.where(end > now - REST, pitch, NO_PITCH)


class Taking:
    """Which voice takes a note of each pitch: the nearer and the longer silent, the likelier; the voice of a
    note that must come takes no other. In a fugue no voice takes one while its last note sounds, or that the
    plan has not left free. It is worked out once a token for all rules that ask.
    """

    def __init__(self, brief: Brief):
        self.voices, self.is_fugue = brief.voices or MAX_VOICES, brief.form == "fugue"
        self.due: Callable[[], np.ndarray] | None = brief.ask("due")
        self.may_strike: list[Callable[[], np.ndarray]] = brief.ask_all("may_strike")
        self._asked: tuple[int, list[int]] = (-1, [])

    @classmethod
    def of(cls, brief: Brief) -> Taking:
        """That of an earlier rule, where one has it."""
        found: Any = brief.ask("taking")
        return found or cls(brief)

    def __call__(self, state: State, at: np.ndarray) -> Taken:
        """What there is to say of the rows `at`, `(n,)`."""
        if self._asked != (asked := (state.tokens, at.tolist())):
            self._asked, self._found = asked, self._work_out(state, at)
        return self._found

    def _work_out(self, state: State, at: np.ndarray) -> Taken:
        impossible = is_out_of_order(state, at, self.voices)
        every = slice(None) if len(at) == state.rows else at
        now, pitch, end = state.ticks[every, None], state.pitch[every], state.end[every]
        pitch, end = pitch[:, : self.voices], end[:, : self.voices]
        sounds, near = end > now, recent(pitch, end, now)
        if self.is_fugue:
            impossible |= sounds[..., None]
        for may_strike in self.may_strike:
            impossible |= ~may_strike()[at, : self.voices, None]
        weight = _NEAR[pitch] * np.where(sounds, _BUSY, 1.0)[..., None]
        rows, due = self._must(at)
        if len(rows):
            weight[rows, due[:, 1]] = 0
            # A given note comes though its voice sounds.
            impossible[rows, due[:, 1], due[:, 0] - PITCH_MIN] = False
        weight *= ~impossible
        total = np.add.reduce(weight, axis=1, keepdims=True)
        some = total > 0
        weight /= np.where(some, total, 1)
        heard = self._heard(state, at, now, pitch, end, rows, due)
        by_step = BY_STEP[near]
        return Taken(now, pitch, end, sounds, near, by_step, impossible, weight, some[:, 0], rows, due, heard)

    def _heard(self, state, at, now, pitch, end, rows, due) -> tuple[np.ndarray, ...]:
        """`Taken.heard`, of the fields of the same names."""
        names = ("onset", "pitch_before", "end_before")
        onset, before, before_end = (getattr(state, name)[at, : self.voices] for name in names)
        if len(rows):
            pitch, end = pitch.copy(), end.copy()
            place, time = (rows, due[:, 1]), now[rows, 0]
            earlier = onset[place] < time
            before[place] = np.where(earlier, pitch[place], before[place])
            before_end[place] = np.where(earlier, end[place], before_end[place])
            pitch[place], onset[place], end[place] = due[:, 0], time, time + due[:, 2]
        return pitch, onset, end, before, before_end

    def _must(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where in the rows `at` a note must come, and which."""
        if self.due is None:
            return _NOWHERE, _NO_NOTES
        due = self.due()[at]
        rows = (due[:, 0] != NO_PITCH).nonzero()[0]
        return rows, due[rows]


class ByVoice(Rule):
    """The base of rules that say of each voice what it gains by a note: for a note it counts by the voices
    that may take it, and then for the voice.
    """

    after: tuple[str, ...] = ("TIME", "NOTE")
    memory: tuple[str, ...] = ("known",)

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.voices, self.taking = brief.voices or MAX_VOICES, Taking.of(brief)
        # Of each row what there was to say after its last TIME.
        self.known = np.zeros((brief.rows, self.voices, len(PITCHES)))

    def gains(self, state: State, at: np.ndarray, taken: Taken) -> np.ndarray | None:
        """What each voice gains by each pitch as the next in the rows `at`, `(n,)`, after a TIME: `(n,
        voices, pitches)`, in nats; `None` for nothing.
        """
        raise NotImplementedError

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        added = np.zeros(scores.shape, dtype=np.float32)
        at = state.after(TIME_TYPE)
        if len(at):
            taken = self.taking(state, at)
            known = self.gains(state, at, taken)
            self.known[at] = 0 if known is None else known
            if known is not None:
                gain = np.add.reduce(taken.weight * known, axis=1)
                taken.excuse(gain)
                added[at, BLOCK["NOTE"]] = gain
        at = state.after(NOTE_TYPE)
        if len(at):
            gain = self.known[at, :, state.note_pitch[at] - PITCH_MIN]
            added[at, OFFSET["VOICE"] : OFFSET["VOICE"] + self.voices] = gain
        return added


_NOWHERE, _NO_NOTES = np.empty(0, dtype=np.int64), np.empty((0, 3), dtype=np.int64)
