# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Where the pieces of a batch stand, moved on by one token at a time: a step costs the same however long the
pieces are.

There is one such state. The cache of a decoding model keeps it (with what the model embeds of it,
`features_musicgpt.py`), the logits processors of `generate()` share it, and so do streaming and the rules of
the composer. All rows at once, in numpy: the arrays are far too small for torch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from .configuration_musicgpt import MusicGPTConfig
from .musical_state_musicgpt import token_tables

# Columns of a note.
ONSET, DURATION, PITCH, VOICE = range(4)
# Where a voice has not sounded yet: its pitch, and the tick of its onset and end.
NO_PITCH, NEVER = -1, -1_000_000
# Notes of a voice that `line` keeps, and bars of which the size is known.
LINE, BARS_LOOKED_AT = 9, 4
# So many steps can be taken back at once; for more the tokens are read again.
STEPS_BACK = 32
# What a token can be: the blocks of the vocabulary, and `SPECIAL` for all others.
KINDS = ("SPECIAL", "MODE", "FORM", "METER", "VOICES", "TEMPO", "NOTE", "VOICE", "DUR", "TIME")
KIND = {name: i for i, name in enumerate(KINDS)}
_SPECIAL, _METER, _NOTE, _VOICE, _TIME = (
    KIND[name] for name in ("SPECIAL", "METER", "NOTE", "VOICE", "TIME")
)


class StepTables:
    """What the tokens mean, as numpy arrays of shape `(vocab_size + 1,)`: the last place stands for ids
    beyond the vocabulary.

    Args:
        config (`MusicGPTConfig`): of the model.
        next_state (array of shape `(states, vocab_size + 1)`, *optional*): the state of the grammar after
            each state and token; without it there is no grammar.
    """

    def __init__(self, config: MusicGPTConfig, next_state: np.ndarray | None = None):
        for name, table in token_tables(config).items():
            setattr(self, name, table.numpy())
        self.config, self.vocab_size, self.voices = config, config.vocab_size, config.max_voices
        self.bar_ticks, self.lowest_pitch = config.default_bar_ticks, config.lowest_pitch
        self.bos = -1 if config.bos_token_id is None else config.bos_token_id
        self.kind = np.full(config.vocab_size + 1, _SPECIAL)
        if config.is_musical:
            for name in KINDS[1:]:
                first, count = config.token_blocks[name]
                self.kind[first : first + count] = KIND[name]
        self.next_state = (
            np.zeros((1, config.vocab_size + 1), dtype=np.int64) if next_state is None else next_state
        )


# A value of a row: its shape, and what it is before the first token.
Value = tuple[tuple[int, ...], int]


def of_row() -> dict[str, Value]:
    """The values of a row by name, those of its piece (`of_piece`) left out."""
    names = ("grammar", "bar_begin", "note_pitch", "note_voice", "pending", "num_notes", "num_struck")
    return {
        "kind": ((), -1),
        "bar_tokens": ((BARS_LOOKED_AT,), 0),
        "piece_note": ((), 0),
        **dict.fromkeys(names, ((), 0)),
    }


def of_piece(voices: int) -> dict[str, Value]:
    """Those that a `<bos>` begins anew."""
    return {
        **dict.fromkeys(("ticks", "bar_position", "bar_ticks", "bar", "meter_bar"), ((), 0)),
        "first_onset": ((), -1),
        "of_voices": ((voices, len(_OF_VOICES)), 0),  # these say what
        "line": ((voices, LINE, 3), NEVER),
    }


# What stands together for each voice, by name, and what it is before its first note.
_OF_VOICES = {
    "pitch": NO_PITCH,
    "onset": NEVER,
    "end": NEVER,
    "pitch_before": NO_PITCH,
    "end_before": NEVER,
    "line_length": 0,
}


class MusicalState:
    """The state of a batch of pieces after their last token.

    A note begins with its VOICE token, behind a NOTE; the token behind says how long it is, 0 where that is
    no DUR, and only then it counts in `pitch`, `onset`, `end`, `line` and `num_notes`.

    Args:
        tables (`StepTables`): of the model's vocabulary.
        rows (`int`): number of pieces.

    Attributes:
        tokens (`int`): how many each row has read.
        ids (array of shape `(rows, tokens)`): these tokens.
        kind (`(rows,)`): what the last token is, a place in `KINDS`; -1 before the first.
        grammar (`(rows,)`): the state of the `Grammar`.
        ticks (`(rows,)`): since the beginning of the piece: of the last onset, or of the next note where a
            step was read.
        bar, bar_position, bar_ticks (`(rows,)`): bars that have passed, ticks since the bar line, ticks of a
            bar. A METER within a bar begins another one.
        meter_bar (`(rows,)`): bars that had passed at the last METER.
        bar_begin, bar_tokens (`(rows,)`, `(rows, BARS_LOOKED_AT)`): the place at which the bar began, and how
            many tokens the bars before it had, the latest first.
        first_onset (`(rows,)`): tick of the first note, -1 before there is one.
        note_pitch, note_voice (`(rows,)`): of the last NOTE and VOICE tokens.
        pending (`(rows,)`): the voice, plus 1, whose note has begun with the last token; else 0.
        pitch, onset, end (`(rows, voices)`): of the last note of each voice; `NO_PITCH`, `NEVER` before it.
        pitch_before, end_before (`(rows, voices)`): of the voice's last note with an earlier onset.
        line (`(rows, voices, LINE, 3)`): the last notes of each voice, the latest last, as onset, duration,
            pitch; of those that it strikes together the first, which is the highest. Pitch `NO_PITCH` where
            there are fewer.
        line_length (`(rows, voices)`): how many notes each line has had.
        notes (`(rows, capacity, 4)`): onset, duration, MIDI pitch and voice of all notes; a row has
            `num_notes`, the present piece those from `piece_note` on.
        struck (`(rows, capacity)`): places of all NOTE tokens in their block; a row has `num_struck`.
    """

    # Arrays with a place for each row beside the table of values.
    _logs: tuple[str, ...] = ("_ids", "notes", "struck")

    def __init__(self, tables: StepTables, rows: int = 1):
        self.tables = tables
        self.fields, self._of_piece = self.values(tables.voices)
        self._begin_all(rows)

    @staticmethod
    def values(voices: int) -> tuple[dict[str, Value], dict[str, Value]]:
        """The values of a row, and those of them that a `<bos>` begins anew."""
        own = of_piece(voices)
        return {**own, **of_row()}, own

    def _begin_all(self, rows: int) -> None:
        """So many rows without tokens."""
        width = sum(int(np.prod(shape)) for shape, _ in self.fields.values())
        self.tokens = 0
        self._ids = np.zeros((rows, 64), dtype=np.int64)
        self.notes = np.zeros((rows, 16, 4), dtype=np.int64)
        self.struck = np.zeros((rows, 16), dtype=np.int64)
        self._hold(np.zeros((rows, width), dtype=np.int64))
        self._past = np.zeros((STEPS_BACK, *self._table.shape), dtype=np.int64)
        self._oldest = 0  # the smallest number of tokens to which steps can be taken back
        for name, (_, value) in self.fields.items():
            getattr(self, name)[:] = value
        self._begin_pieces(slice(None))

    def _hold(self, table: np.ndarray) -> None:
        """Makes `table` of shape `(rows, width)` the values of the rows, and its columns the attributes."""
        self._table, self._every, self._after = table, np.arange(len(table)), {}
        at = 0
        for name, (shape, _) in self.fields.items():
            size = int(np.prod(shape))
            setattr(self, name, table[:, at] if shape == () else table[:, at : at + size].reshape(-1, *shape))
            at += size
        for place, name in enumerate(_OF_VOICES):
            setattr(self, name, self.of_voices[..., place])

    def __getstate__(self) -> dict:
        views = {*self.fields, *_OF_VOICES}
        return {name: value for name, value in vars(self).items() if name not in views}

    def __setstate__(self, values: dict) -> None:
        vars(self).update(values)
        self._hold(self._table)  # a copy's attributes are views of its own table

    @property
    def rows(self) -> int:
        """Number of pieces."""
        return len(self._table)

    @property
    def ids(self) -> np.ndarray:
        """The tokens so far, `(rows, tokens)`."""
        return self._ids[:, : self.tokens]

    def select(self, index: Sequence[int] | np.ndarray) -> None:
        """Makes the rows with these numbers the rows: reorders, repeats and selects."""
        index = np.asarray(index)
        for name in self._logs:
            setattr(self, name, getattr(self, name)[index])
        self._past = self._past[:, index]
        self._hold(self._table[index])

    def repeated(self, times: int) -> MusicalState:
        """A state of its own that has each row so many times."""
        other = copy.copy(self)
        other.select(np.repeat(self._every, times))
        return other

    def follow(self, ids: np.ndarray) -> None:
        """Reads `ids` of shape `(rows, length)`, which begin as those before, or not."""
        if len(ids) != self.rows:
            self._begin_all(len(ids))
        kept = min(self.tokens, ids.shape[1])
        same = self._ids[:, :kept] == ids[:, :kept]
        self.rewind(kept if same.all() else int(same.all(axis=0).argmin()))
        for column in range(self.tokens, ids.shape[1]):
            self.feed(ids[:, column])

    def rewind(self, tokens: int) -> None:
        """Takes the last tokens back, so that so many stay."""
        if tokens >= self.tokens:
            return
        if tokens >= self._oldest:
            self._table[:] = self._past[tokens % STEPS_BACK]
            self.tokens, self._after = tokens, {}
            return
        ids = self._ids[:, :tokens].copy()
        self._begin_all(len(ids))
        self.follow(ids)

    def feed(self, tokens: np.ndarray) -> set[int]:
        """Reads one token of each row, `(rows,)`; `<pad>` and unknown ones change nothing but the
        sizes of bars. Returns the kinds of these tokens.
        """
        tables = self.tables
        self._keep(tokens)
        given = tokens.tolist()
        if min(given) < 0 or max(given) >= tables.vocab_size:
            tokens = np.where((tokens >= 0) & (tokens < tables.vocab_size), tokens, tables.vocab_size)
        kind = tables.kind[tokens]
        kinds = set(kind.tolist())
        rows = self.pending.nonzero()[0]
        if len(rows):
            self._finish_notes(rows, self.pending[rows] - 1, tables.duration[tokens[rows]])
        if not kinds.isdisjoint((_TIME, _METER, _SPECIAL)):
            self._pass_time(tokens, kind, kinds)
        if _NOTE in kinds:
            rows = self._every if len(kinds) == 1 else (kind == _NOTE).nonzero()[0]
            self._strike(rows, tables.pitch[tokens[rows]] - 1)
        if _VOICE in kinds:
            rows = self._every if len(kinds) == 1 else (kind == _VOICE).nonzero()[0]
            self.note_voice[rows] = tables.voice[tokens[rows]] - 1
            rows = rows[self.kind[rows] == _NOTE]  # a VOICE without a NOTE before it says nothing
            if rows.size:
                self._begin_notes(rows, self.note_voice[rows])
        self.kind[:], self._after = kind, {}
        self.grammar[:] = tables.next_state[self.grammar, tokens]
        return kinds

    def read(self, token: int) -> list[int] | None:
        """Reads a token of all rows; of the first the note that it finishes, as onset, duration, MIDI pitch
        and voice.
        """
        waits = self.pending[0]
        self.feed(np.full(self.rows, token))
        note = self.notes[0, self.num_notes[0] - 1].tolist() if waits else None
        return note if note and note[DURATION] else None  # else the token behind a VOICE was no DUR

    def _keep(self, tokens: np.ndarray) -> None:
        """Remembers the state before a step, and the token."""
        self._past[self.tokens % STEPS_BACK] = self._table
        self._oldest = max(self._oldest, self.tokens + 1 - STEPS_BACK)
        if self.tokens == self._ids.shape[1]:
            self._ids = doubled(self._ids, 1)
        self._ids[:, self.tokens] = tokens
        self.tokens += 1

    def _pass_time(self, tokens: np.ndarray, kind: np.ndarray, kinds: set[int]) -> None:
        """Ticks and bars after TIME, METER and `<bos>` tokens."""
        steps = self.tables.step[tokens]
        self.ticks += steps
        self.bar_position += steps
        begins = self.bar_position >= self.bar_ticks
        if begins.any():
            passed, self.bar_position[:] = np.divmod(self.bar_position, self.bar_ticks)
            self.bar += passed
        if _SPECIAL in kinds and (rows := (tokens == self.tables.bos).nonzero()[0]).size:
            begins[rows] = self._has_another_bar(rows, self.tables.bar_ticks)
            self._begin_pieces(rows)
        if _METER in kinds:
            rows = (kind == _METER).nonzero()[0]
            length = self.tables.bar_length[tokens[rows]]
            begins[rows] = self._has_another_bar(rows, length)
            self.bar[rows] += self.bar_position[rows] > 0
            self.bar_position[rows], self.bar_ticks[rows] = 0, length
            self.meter_bar[rows] = self.bar[rows]
        if self.tokens > 1 and begins.any():
            rows, place = begins.nonzero()[0], self.tokens - 1
            self.bar_tokens[rows, 1:] = self.bar_tokens[rows, :-1]
            self.bar_tokens[rows, 0] = place - self.bar_begin[rows]
            self.bar_begin[rows] = place

    def _has_another_bar(self, rows: np.ndarray, length: np.ndarray | int) -> np.ndarray:
        """Where a bar has passed since the last METER, or has another length, `(n,)`."""
        return (self.bar[rows] != self.meter_bar[rows]) | (self.bar_ticks[rows] != length)

    def _begin_pieces(self, rows: np.ndarray | slice) -> None:
        """A new piece, which knows nothing of the one before."""
        for name, (_, value) in self._of_piece.items():
            getattr(self, name)[rows] = value
        self.of_voices[rows] = list(_OF_VOICES.values())
        self.line[rows, ..., PITCH] = NO_PITCH
        self.bar_ticks[rows] = self.tables.bar_ticks
        self.piece_note[rows] = self.num_notes[rows]

    def _strike(self, rows: np.ndarray, place: np.ndarray) -> None:
        self.note_pitch[rows] = place + self.tables.lowest_pitch
        first = self.first_onset[rows]
        self.first_onset[rows] = np.where(first < 0, self.ticks[rows], first)
        number = self.num_struck[rows]
        if number.max() >= self.struck.shape[1]:
            self.struck = doubled(self.struck, 1)
        self.struck[rows, number] = place
        self.num_struck[rows] = number + 1

    def _begin_notes(self, rows: np.ndarray, voice: np.ndarray) -> np.ndarray:
        """Notes that NOTE and VOICE tokens begin, and that do not count yet; their numbers, `(n,)`."""
        number = self.num_notes[rows]
        if number.max() >= self.notes.shape[1]:
            self._make_room()
        note = np.empty((len(rows), 4), dtype=np.int64)
        note[:, ONSET], note[:, DURATION] = self.ticks[rows], 0
        note[:, PITCH], note[:, VOICE] = self.note_pitch[rows], voice
        self.notes[rows, number] = note
        self.pending[rows] = voice + 1
        return number

    def _make_room(self) -> None:
        """For twice as many notes."""
        self.notes = doubled(self.notes, 1)

    def _finish_notes(self, rows: np.ndarray, voice: np.ndarray, durations: np.ndarray) -> None:
        """The tokens behind VOICE tokens say how long the notes are; `(n,)` each."""
        self.pending[rows] = 0
        self.notes[rows, self.num_notes[rows], DURATION] = durations
        self.num_notes[rows] += 1
        now, pitch, at = self.ticks[rows], self.note_pitch[rows], (rows, voice)
        own = self.of_voices[at]  # (n, values), in the order of `_OF_VOICES`
        later = own[:, 1] < now
        if later.all():
            new, which = at, slice(None)
        else:  # the others are struck together with the voice's last note
            new, which = (rows[later], voice[later]), later
        own[which, 3:5] = own[which, 0:3:2]
        own[which, 5] += 1
        own[:, 0], own[:, 1], own[:, 2] = pitch, now, now + durations
        self.of_voices[at] = own
        line = self.line[new]
        line[:, :-1] = line[:, 1:]
        for column, value in ((ONSET, now), (DURATION, durations), (PITCH, pitch)):
            line[:, -1, column] = value[which]
        self.line[new] = line

    def last_note(self) -> np.ndarray:
        """The note that was written last, `(rows, 4)`; of a row without notes it is no note."""
        return self.notes[self._every, self.num_notes - 1]

    def after(self, kind: int) -> np.ndarray:
        """The rows whose last token is of a type, `(n,)`; not to be changed."""
        if kind not in self._after:
            self._after[kind] = (self.kind == kind).nonzero()[0]
        return self._after[kind]

    def is_active(self) -> np.ndarray:
        """Which voices have sounded within the last four bars, `(rows, voices)`."""
        line = self.ticks - self.bar_position
        return self.end > (line - 4 * self.bar_ticks)[:, None]


def doubled(log: np.ndarray, axis: int) -> np.ndarray:
    """With room for as many entries again."""
    return np.concatenate((log, np.zeros_like(log)), axis=axis)


__all__ = [
    "BARS_LOOKED_AT",
    "DURATION",
    "KIND",
    "KINDS",
    "NEVER",
    "NO_PITCH",
    "ONSET",
    "PITCH",
    "STEPS_BACK",
    "VOICE",
    "MusicalState",
    "StepTables",
]
