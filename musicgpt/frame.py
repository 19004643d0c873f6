"""What is given, as the tokens count it: the notes that must come, and the room between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tokenization.note import ONSET, PITCH, VOICE

# A tick that no piece reaches, and the room of a voice without end.
NEVER = FAR = 1 << 30


class Frame(NamedTuple):
    """What is given of a piece from where it is composed on. Ticks are those of the tokens, pitches too.

    Attributes:
        notes (array of shape `(n + 1, 4)`): the notes to come, in the order of the tokens, as the tokens have
            them; the last row stands for the end and has its tick as onset, `NEVER` where there is none.
        room (`(ticks, voices)`): how long a new note that begins at a tick in a voice may last, 0 where none
            may. The last row holds from there on.
        meters (list of pairs): tick and token of each change of meter to come.
        one_by_one (`bool`): whether a voice strikes one new note after another.
        lowest, highest (`(voices,)`): pitches of new notes.
        final (`int`, *optional*): tick of the last chord, where notes may be written up to the end of a piece
            whose end is given.
        phrases (tuple of `int`): ticks of the chords with which phrases end.
    """

    notes: np.ndarray
    room: np.ndarray
    meters: list[tuple[int, int]]
    one_by_one: bool
    lowest: np.ndarray
    highest: np.ndarray
    final: int | None = None
    phrases: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """Tick of the end, `NEVER` where there is none."""
        return int(self.notes[-1, ONSET])

    @property
    def is_bounded(self) -> bool:
        """Whether the piece ends where what is given says."""
        return self.end < NEVER

    def is_given(self, onset: int, pitch: int, voice: int) -> bool:
        """Whether a note of the tokens is one of those that are given."""
        notes = self.notes[:-1]
        return bool((notes[:, [ONSET, PITCH, VOICE]] == (onset, pitch, voice)).all(axis=1).any())

    def has_room(self, onset: int, duration: int, voice: int) -> bool:
        """Whether a new note may stand there."""
        return bool(self.room[min(onset, len(self.room) - 1), voice] >= duration)


__all__ = ["FAR", "NEVER", "Frame"]
