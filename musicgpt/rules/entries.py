"""How voices enter: one that was asked for and has been silent for long takes the next note that suits it.

Asked for three voices or more, the model alone often stays with two: the VOICES token is one in a prefix, and
what has just sounded says more. The rule chooses among VOICE tokens, never a note: the pitches remain the
model's, and it hears the voice from then on.
"""

from __future__ import annotations

import numpy as np

from ..state import NO_PITCH, State
from .base import BLOCK, FORBIDDEN, Brief, Rule

# Bars from one entry to the next at the beginning, as in a fugue, and bars for which a voice may rest later.
BETWEEN_ENTRIES, REST = 2, 4
# A voice comes back not further than this from where it was, in semitones.
LEAP = 12


class Entries(Rule):
    """Gives a note to a voice that is missing, if it suits it."""

    after = ("NOTE",)

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Only where a number of voices was asked for."""
        return bool(brief.voices)

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        missing = self.missing(state)
        found = missing.any(axis=1)
        if not found.any():
            return None
        added = np.zeros(scores.shape, dtype=np.float32)
        others = added[:, BLOCK["VOICE"]]
        others[found] = FORBIDDEN
        others[:, : missing.shape[1]][missing] = 0.0
        return added

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
        return (new | late) & ~crossed.any(axis=2)


__all__ = ["BETWEEN_ENTRIES", "REST", "Entries"]
