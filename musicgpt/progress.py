"""Pieces followed token by token while they are made, for the processors that decide by bars and voices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from tokenization.vocabulary import MAX_VOICES, METER_TICKS, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID, bar_ticks

_NOTE, _VOICE, _DUR, _TIME, _METER = (TYPE_INDEX[name] for name in ("NOTE", "VOICE", "DUR", "TIME", "METER"))
_TYPES, _VALUES = TYPE_OF_ID.tolist(), VALUE_OF_ID.tolist()
# A note of a voice: onset, end, MIDI pitch.
Heard = tuple[int, int, int]


class Written(NamedTuple):
    """A note of a piece: onset and duration in ticks, MIDI pitch, voice."""

    onset: int
    duration: int
    pitch: int
    voice: int


class Progress:
    """A piece so far, followed token by token.

    Attributes:
        now (`int`): tick of the last onset, or of the next note where a step was read.
        bar (`int`): ticks of a bar; `begun` is the tick of the last bar line up to now, `bars` how many bars
        have passed. notes, tokens (`int`): how many there are; `bar_tokens` of each bar that has passed.
        first (`int` or `None`): tick of the first note. kind, pitch, voice (`int`): type of the last token;
        of the last note what is known. last (`list`): of each voice its last note as (onset, end, pitch), or
        `None`; `before` the one before it, with an earlier onset. written (`list` of `Written`): all notes.
        lines (`list`): of each voice its notes, a list of `Written`; of those that it strikes together the
        first one, which is the highest. planned (`Written` or `None`): the next note of a statement that goes
        on (`musicgpt.fugue`), whatever the model would like.
    """

    def __init__(self) -> None:
        self.now = self.begun = self.bars = self.notes = self.tokens = self.pitch = self.voice = 0
        self.bar, self.kind = bar_ticks(4, 4), -1
        self.first: int | None = None
        self.bar_tokens: list[int] = []
        self.last: list[Heard | None] = [None] * MAX_VOICES
        self.before: list[Heard | None] = [None] * MAX_VOICES
        self.written: list[Written] = []
        self.lines: list[list[Written]] = [[] for _ in range(MAX_VOICES)]
        self.planned: Written | None = None
        self._bar_began = 0

    def feed(self, token: int) -> None:
        """Read one token."""
        self.kind, value = _TYPES[token], _VALUES[token]
        self.tokens += 1
        if self.kind == _TIME:
            self.now += value
            passed = (self.now - self.begun) // self.bar
            if passed:
                self._new_bar(self.begun + passed * self.bar, passed)
        elif self.kind == _NOTE:
            self.pitch, self.notes = value, self.notes + 1
            self.first = self.now if self.first is None else self.first
        elif self.kind == _VOICE:
            self.voice = value
        elif self.kind == _DUR:
            last = self.last[self.voice]
            self.before[self.voice] = last if last and last[0] < self.now else self.before[self.voice]
            self.last[self.voice] = (self.now, self.now + value, self.pitch)
            note = Written(self.now, value, self.pitch, self.voice)
            self.written.append(note)
            if not last or last[0] < self.now:
                self.lines[self.voice].append(note)
        elif self.kind == _METER:
            self.bar = METER_TICKS[value]
            if self.now > self.begun:  # between notes it begins a bar
                self._new_bar(self.now, 1)

    def _new_bar(self, begun: int, passed: int) -> None:
        self.begun, self.bars = begun, self.bars + passed
        self.bar_tokens.append(self.tokens - self._bar_began)
        self._bar_began = self.tokens

    @property
    def due(self) -> Written | None:
        """The planned note, if it is to be struck now."""
        return self.planned if self.planned and self.planned.onset == self.now else None

    def heard(self) -> tuple[list[Heard | None], list[Heard | None]]:
        """`last` and `before` as they will be when the note that is due has been struck."""
        note = self.due
        if note is None:
            return self.last, self.before
        last, before = list(self.last), list(self.before)
        if (own := last[note.voice]) and own[0] < self.now:
            before[note.voice] = own
        last[note.voice] = (note.onset, note.onset + note.duration, note.pitch)
        return last, before

    def active_voices(self) -> list[int]:
        """The voices that have sounded within the last four bars, the highest first."""
        return [v for v, note in enumerate(self.last) if note and note[1] > self.begun - 4 * self.bar]


class Rows:
    """The pieces of a batch; several processors share one, so that each token is read once.

    Args:
        prompt (sequence of `int`): what the model read, the same in every row.
        number (`int`): of rows.

    Attributes:
        pieces (list of `Progress`): one a row; prompt_length (`int`): tokens of the prompt.
    """

    def __init__(self, prompt: Sequence[int], number: int):
        self.pieces, self.prompt_length = [Progress() for _ in range(number)], len(prompt)
        for piece in self.pieces:
            for token in prompt:
                piece.feed(token)

    def follow(self, input_ids: torch.Tensor) -> list[Progress]:
        """Read what is new of ids `(rows, length)`, which only grow; the pieces."""
        for row, piece in enumerate(self.pieces):
            for token in input_ids[row, piece.tokens :].tolist():
                piece.feed(token)
        return self.pieces


__all__ = ["Heard", "Progress", "Rows", "Written"]
