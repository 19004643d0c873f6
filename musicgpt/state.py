"""What rules see of the model's `MusicalState`, which is the only one (`stepping_musicgpt.py` derives it from
the tokens). It is named here and not imported, so that the rules stand without the model's code, as they do
on the Hub.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from tokenization.score import DURATION, ONSET, PITCH, VOICE, Note

# Where a voice has not sounded yet: its pitch, and the tick of its onset and end.
NO_PITCH, NEVER = -1, -1_000_000


class State(Protocol):
    """Where the pieces of a batch stand after their last token; all of it is to be read only.

    Attributes:
        tokens (`int`): how many each row has read.
        kind (array of shape `(rows,)`): type of the last token, a place in `vocabulary.TYPES`; -1 before the
            first.
        ticks (`(rows,)`): of the last onset, or of the next note where a step was read.
        bar, bar_position, bar_ticks (`(rows,)`): bars that have passed, ticks since the bar line, ticks of a
            bar.
        bar_tokens (`(rows, 4)`): tokens of the last bars that have passed, the latest first.
        first_onset (`(rows,)`): tick of the first note, -1 before there is one.
        note_pitch, note_voice (`(rows,)`): of the last NOTE and VOICE tokens.
        pitch, onset, end (`(rows, voices)`): of the last whole note of each voice; `NO_PITCH`, `NEVER` before
            it.
        pitch_before, end_before (`(rows, voices)`): of the voice's last note with an earlier onset.
        line (`(rows, voices, 9, 3)`): the last notes of each voice, the latest last, as onset, duration,
            pitch; of those that it strikes together the first, which is the highest. Pitch `NO_PITCH` where
            there are fewer.
        line_length (`(rows, voices)`): how many notes each line has had.
        notes (`(rows, capacity, 4)`): onset, duration, pitch, voice of all notes, as in `Score.array`.
        num_notes (`(rows,)`): how many of them there are.
    """

    tokens: int
    kind: np.ndarray
    ticks: np.ndarray
    bar: np.ndarray
    bar_position: np.ndarray
    bar_ticks: np.ndarray
    bar_tokens: np.ndarray
    first_onset: np.ndarray
    note_pitch: np.ndarray
    note_voice: np.ndarray
    pitch: np.ndarray
    onset: np.ndarray
    end: np.ndarray
    pitch_before: np.ndarray
    end_before: np.ndarray
    line: np.ndarray
    line_length: np.ndarray
    notes: np.ndarray
    num_notes: np.ndarray

    @property
    def rows(self) -> int:
        """How many pieces."""

    def last_note(self) -> np.ndarray:
        """The note that was written last, `(rows, 4)`; of a row without notes it is no note."""

    def after(self, kind: int) -> np.ndarray:
        """The rows whose last token is of a type, `(n,)`; not to be changed."""

    def is_active(self) -> np.ndarray:
        """Which voices have sounded within the last four bars, `(rows, voices)`."""

    def read(self, token: int) -> list[int] | None:
        """Read a token; the note that it finishes in the first row."""

    def feed(self, tokens: np.ndarray) -> set[int]:
        """Read a token of each row, `(rows,)`; their types."""

    def follow(self, ids: np.ndarray) -> None:
        """Read what is new of ids, `(rows, length)`."""

    def repeated(self, times: int) -> State:
        """A state of its own that has each row so many times."""

    def select(self, index: np.ndarray) -> None:
        """Make the rows with these numbers the rows."""


def read_notes(state: State, tokens: Iterable[int]) -> list[Note]:
    """Read tokens into all rows; the notes that they complete in the first one, as `notes_of` has them."""
    found = []
    for token in tokens:
        if state.read(token):
            found += notes_of(state, 0, int(state.num_notes[0]) - 1)
    return found


def notes_of(state: State, row: int, first: int = 0) -> list[Note]:
    """The notes of a row from one on.

    A note that a voice strikes twice at one onset, which the grammar does not forbid, is named once: no
    notation could show it. Nor is there a note where a VOICE had no DUR behind it.
    """
    notes, begin, found, seen = state.notes[row, : state.num_notes[row]], first, [], set()
    while 0 < begin < len(notes) and notes[begin - 1, ONSET] == notes[first, ONSET]:
        begin -= 1
    for place, note in enumerate(notes[begin:].tolist(), begin):
        name = note[ONSET], note[PITCH], note[VOICE]
        if place >= first and name not in seen and note[DURATION]:
            found.append(Note(*note))
        seen.add(name)
    return found
