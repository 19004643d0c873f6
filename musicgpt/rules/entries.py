"""How voices enter: one that was asked for and has been silent for long takes the next note that suits it;
where a melody is harmonised, no voice above it is passed over.

Asked for three voices or more, the model alone often stays with two: the VOICES token is one in a prefix, and
what has just sounded says more. The rule chooses among VOICE tokens, and has something to say of a note only
where it is the melody's: the pitches remain the model's, and it hears the voice from then on.
"""

from __future__ import annotations

import numpy as np

from tokenization.vocabulary import MAX_VOICES, NOTE_TYPE, OFFSET, PITCH_MIN, TIME_TYPE

from ..state import NO_PITCH, State
from .base import BLOCK, FORBIDDEN, Brief, Rule
from .takers import PASSED_OVER, is_out_of_order

# Bars from one entry to the next at the beginning, as in a fugue, and bars for which a voice may rest later.
BETWEEN_ENTRIES, REST = 2, 4
# A voice comes back not further than this from where it was, in semitones.
LEAP = 12


class Entries(Rule):
    """Gives a note to a voice that is missing, if it suits it."""

    after: tuple[str, ...] = ("NOTE",)

    def __init__(self, brief: Brief):
        super().__init__(brief)
        is_harmonised = brief.frame is not None and bool(brief.frame.phrases)
        self.due = brief.ask("due") if is_harmonised else None
        if self.due:
            self.after = ("NOTE", "TIME")

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Only where a number of voices was asked for."""
        return bool(brief.voices)

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        missing = self.missing(state) & (state.kind == NOTE_TYPE)[:, None]
        found, at = missing.any(axis=1), state.after(TIME_TYPE)
        if not found.any() and not (self.due and len(at)):
            return None
        added = np.zeros(scores.shape, dtype=np.float32)
        if self.due and len(at):
            self._wait(state, at, self.due()[at], added)
        others = added[:, BLOCK["VOICE"]]
        others[found] = FORBIDDEN
        others[:, : missing.shape[1]][missing] = 0.0
        return added

    def _wait(self, state: State, at: np.ndarray, due: np.ndarray, added: np.ndarray) -> None:
        """Notes `due`, `(n, 3)`, of a given voice lose in the rows `at` where a voice above is silent that
        could still strike with them.
        """
        comes = due[:, 0] != NO_PITCH
        at, place, voice = at[comes], due[comes, 0] - PITCH_MIN, due[comes, 1, None]
        above = (np.arange(MAX_VOICES) < voice) & (state.end[at] <= state.ticks[at, None])
        waits = (above & ~_late(state, at, MAX_VOICES, place)).any(axis=1)
        added[at[waits], OFFSET["NOTE"] + place[waits]] = -PASSED_OVER

    def missing(self, state: State) -> np.ndarray:
        """The voices that have been silent too long and that the note just read suits, bool of shape `(rows,
        voices)`.
        """
        voices, now, note = self.brief.voices or 0, state.ticks[:, None], state.note_pitch[:, None]
        end, bar = state.end[:, :voices], state.bar_ticks[:, None]
        waits = now - end >= REST * bar  # among them those that have not entered
        if not waits.any():
            return waits
        pitch = state.pitch[:, :voices]
        entered = pitch != NO_PITCH
        number = entered.sum(axis=1, keepdims=True)
        new = ~entered & (now >= number * BETWEEN_ENTRIES * bar) & (state.num_notes > 0)[:, None]
        late = waits & entered & (np.abs(note - pitch) <= LEAP)
        if not (new | late).any():
            return late
        # Between the voices that sound on, so that none crosses.
        sounds, order = end > now, np.arange(voices)
        above = sounds & (pitch <= note)  # a voice that would have to be lower than this note's
        below = sounds & (pitch >= note)
        crossed = (above[:, None, :] & (order < order[:, None])) | (
            below[:, None, :] & (order > order[:, None])
        )
        passed = _late(state, np.arange(state.rows), voices, state.note_pitch - PITCH_MIN)
        return (new | late) & ~crossed.any(axis=2) & ~passed


def _late(state: State, at: np.ndarray, voices: int, place: np.ndarray) -> np.ndarray:
    """Which voices come too late for a pitch, given as its place among them, `(n,)`: `(n, voices)`."""
    return is_out_of_order(state, at, voices)[np.arange(len(at)), :, place]
