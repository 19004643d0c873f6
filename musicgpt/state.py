"""Where the pieces of a batch stand after each token: notes, bars, and what every voice is doing.

One definition for everything in this package that follows a piece while it is being made: rules, streaming
and the reading of a finished piece. Arrays have a row for each piece; a token costs the same however long it
is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tokenization.score import DURATION, ONSET, PITCH, VOICE, Note
from tokenization.vocabulary import MAX_VOICES, METER_TICKS, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID, bar_ticks

NOTE, DUR, TIME, METER = (TYPE_INDEX[name] for name in ("NOTE", "DUR", "TIME", "METER"))
VOICE_KIND = TYPE_INDEX["VOICE"]
# Where a voice has not sounded yet: its pitch, and the tick of its onset and end.
NO_PITCH, NEVER = -1, -1_000_000
# Notes of a voice that `line` keeps, and bars of which `bar_tokens` knows the size.
LINE, BARS = 9, 4
_VALUES = VALUE_OF_ID.astype(np.int64)


class State:
    """Pieces followed token by token.

    Args:
        rows (`int`): how many.

    Attributes:
        tokens (`int`): how many each row has read.
        kind (array of shape `(rows,)`): type of the last token, a place in `vocabulary.TYPES`; -1 before the
            first.
        ticks (`(rows,)`): of the last onset, or of the next note where a step was read.
        bar, bar_position, bar_ticks (`(rows,)`): bars that have passed, ticks since the bar line, ticks of a
            bar.
        bar_tokens (`(rows, BARS)`): tokens of the last bars that have passed, the latest last.
        first_onset (`(rows,)`): tick of the first note, -1 before there is one.
        note_pitch, note_voice (`(rows,)`): of the last NOTE and VOICE tokens.
        pitch, onset, end (`(rows, voices)`): of the last note of each voice; `NO_PITCH`, `NEVER` before it.
        pitch_before, end_before (`(rows, voices)`): of the voice's last note with an earlier onset.
        line (`(rows, voices, LINE, 3)`): the last notes of each voice, the latest last, as onset, duration,
            pitch; of those that it strikes together the first, which is the highest. Pitch `NO_PITCH` where
            there are fewer.
        line_length (`(rows, voices)`): how many notes each line has had.
        notes (`(rows, capacity, 4)`): onset, duration, pitch, voice of all notes, as in `Score.array`.
        num_notes (`(rows,)`): how many of them there are.
    """

    def __init__(self, rows: int = 1):
        def full(value: int, *shape: int) -> np.ndarray:
            return np.full((rows, *shape), value, dtype=np.int64)

        self.tokens, self.kind = 0, full(-1)
        self.ticks, self.bar, self.bar_position, self.bar_ticks = (
            full(0),
            full(0),
            full(0),
            full(bar_ticks(4, 4)),
        )
        self.bar_tokens, self._bar_began = full(0, BARS), full(0)
        self.first_onset, self.note_pitch, self.note_voice = full(-1), full(0), full(0)
        self.pitch, self.onset, self.end = (full(v, MAX_VOICES) for v in (NO_PITCH, NEVER, NEVER))
        self.pitch_before, self.end_before = full(NO_PITCH, MAX_VOICES), full(NEVER, MAX_VOICES)
        self.line = full(NEVER, MAX_VOICES, LINE, 3)
        self.line[..., PITCH] = NO_PITCH
        self.line_length = full(0, MAX_VOICES)
        self.notes, self.num_notes = full(0, 64, 4), full(0)
        self._every = np.arange(rows)

    @classmethod
    def after(cls, prompt: Sequence[int], rows: int = 1) -> State:
        """The state of several rows that have read the same prompt."""
        state = cls()
        for token in prompt:
            state.feed(np.array([token]))
        return state.repeated(rows)

    def repeated(self, rows: int) -> State:
        """A state of its own that has each row so many times."""
        state = State(0)
        vars(state).update(vars(self))
        state.select(np.repeat(np.arange(self.rows), rows))
        return state

    def select(self, rows: np.ndarray) -> None:
        """Makes these of its rows, `(n,)`, its rows: reorders, selects and repeats."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value[rows])
        self._every = np.arange(len(rows))

    @property
    def rows(self) -> int:
        """How many pieces there are."""
        return len(self.kind)

    def follow(self, ids: np.ndarray) -> None:
        """Read what is new of ids `(rows, length)`, which only grow."""
        for column in range(self.tokens, ids.shape[1]):
            self.feed(ids[:, column])

    def feed(self, tokens: np.ndarray) -> None:
        """Read one token of each row, `(rows,)`."""
        self.kind, values = TYPE_OF_ID[tokens], _VALUES[tokens]
        self.tokens += 1
        kinds = set(self.kind.tolist())
        for kind, read in _READERS.items():
            if kind in kinds:
                rows = self._every if len(kinds) == 1 else np.flatnonzero(self.kind == kind)
                read(self, rows, values[rows])

    def _read_step(self, rows: np.ndarray, ticks: np.ndarray) -> None:
        self.ticks[rows] += ticks
        position = self.bar_position[rows] + ticks
        passed, self.bar_position[rows] = np.divmod(position, self.bar_ticks[rows])
        if passed.any():
            self._begin_bar(rows[passed > 0], passed[passed > 0])

    def _begin_bar(self, rows: np.ndarray, passed: np.ndarray | int) -> None:
        self.bar[rows] += passed
        self.bar_tokens[rows, :-1] = self.bar_tokens[rows, 1:]
        self.bar_tokens[rows, -1] = self.tokens - self._bar_began[rows]
        self._bar_began[rows] = self.tokens

    def _read_meter(self, rows: np.ndarray, meters: np.ndarray) -> None:
        self.bar_ticks[rows] = np.array(METER_TICKS)[meters]
        within = rows[self.bar_position[rows] > 0]  # between notes it begins a bar
        self._begin_bar(within, 1)
        self.bar_position[within] = 0

    def _read_pitch(self, rows: np.ndarray, pitches: np.ndarray) -> None:
        self.note_pitch[rows] = pitches
        first = self.first_onset[rows]
        self.first_onset[rows] = np.where(first < 0, self.ticks[rows], first)

    def _read_voice(self, rows: np.ndarray, voices: np.ndarray) -> None:
        self.note_voice[rows] = voices

    def _read_duration(self, rows: np.ndarray, durations: np.ndarray) -> None:
        now, pitch, voice = self.ticks[rows], self.note_pitch[rows], self.note_voice[rows]
        at = (rows, voice)
        later = self.onset[at] < now
        if later.all():
            new, own = at, slice(None)
        else:
            new, own = (rows[later], voice[later]), later
        self.pitch_before[new], self.end_before[new] = self.pitch[new], self.end[new]
        line = self.line[new]
        line[:, :-1] = line[:, 1:]
        line[:, -1, ONSET], line[:, -1, DURATION], line[:, -1, PITCH] = now[own], durations[own], pitch[own]
        self.line[new] = line
        self.line_length[new] += 1
        self.pitch[at], self.onset[at], self.end[at] = pitch, now, now + durations
        self._write(rows, now, durations, pitch, voice)

    def _write(self, rows: np.ndarray, *columns: np.ndarray) -> None:
        place = self.num_notes[rows]
        if place.max() >= self.notes.shape[1]:
            self.notes = np.concatenate([self.notes, np.zeros_like(self.notes)], axis=1)
        for column, values in zip((ONSET, DURATION, PITCH, VOICE), columns, strict=True):
            self.notes[rows, place, column] = values
        self.num_notes[rows] = place + 1

    def last_note(self) -> np.ndarray:
        """The note that was written last, `(rows, 4)`; of a row without notes it is no note."""
        return self.notes[self._every, self.num_notes - 1]

    def is_active(self) -> np.ndarray:
        """Which voices have sounded within the last four bars, `(rows, voices)`."""
        line = self.ticks - self.bar_position
        return self.end > (line - 4 * self.bar_ticks)[:, None]

    def read(self, tokens: Iterable[int]) -> list[Note]:
        """Read tokens into the first of the rows; the notes that they complete.

        A note that a voice strikes twice at one onset, which the grammar does not forbid, is named once: no
        notation could show it.
        """
        found = []
        for token in tokens:
            self.feed(np.full(self.rows, token))
            if self.kind[0] == DUR:
                notes = self.notes[0, : self.num_notes[0]]
                note, before = notes[-1], notes[:-1]
                same = before[before[:, ONSET] == note[ONSET]][:, [PITCH, VOICE]] == note[[PITCH, VOICE]]
                if not same.all(axis=1).any():
                    found.append(Note(*note.tolist()))
        return found


_READERS = {
    TIME: State._read_step,
    NOTE: State._read_pitch,
    VOICE_KIND: State._read_voice,
    DUR: State._read_duration,
    METER: State._read_meter,
}

__all__ = ["NEVER", "NO_PITCH", "State"]
