"""How a fugue goes: one voice alone makes the subject, the others answer it one after another, and it comes
back in other keys.

The subject is the model's, and so is everything that sounds against it. When the subject is over and who
states it where is decided here, as a teacher's plan of a fugue has it; its notes then are those that the
model may choose. Left alone, the model begins most fugues with several voices at once and states the subject
once (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import (
    MAX_VOICES,
    NEAREST_DURATION,
    OFFSET,
    PITCH_MAX,
    PITCH_MIN,
    TYPE_INDEX,
    TYPE_OF_ID,
    VALUE_OF_ID,
)

from .ending import FullClose
from .progress import Progress, Rows, Written
from .subject import HIGHEST, LOWEST, Subject, dominant, relative, subdominant, tonic

# Notes that a subject of one, two, three, ... bars must have; with fewer it goes on.
LEAST_NOTES = (14, 10, 8, 6)
# Bars between the first answer and the third voice, if there is one (the codetta), and between the statements
# of the middle (episodes), and the keys of these, in turn.
CODETTA = 1
EPISODES = (7, 6, 9, 8)
MIDDLE_KEYS = (relative, subdominant, tonic, dominant)
# A voice rests so many ticks before it states the subject again, and begins no note for which less than so
# many are left: an eighth's rest would end its phrase, and less than a sixteenth is no note of the piece's
# rhythm.
BREATH, ROOM = 6, 6
# Voices of a fugue for which no number was asked.
VOICES = 3
# The first voice alone leaps no further, in semitones, and has no wider range: left alone, the model may run
# up a scale to the end of the keyboard.
LEAP, RANGE = 12, 14
# Divides the logits of the subject's NOTE tokens, which will be heard many times.
SUBJECT_TEMPERATURE = 0.8
# A subject's duration loses so many nats where it has been that of so many notes running.
MONOTONY, ALIKE = 3.0, 6
# Semitones within which a note suits a voice, wherever the others are.
NEAR = 5
# A step loses so many nats for each voice that it leaves silent: voices go on without rests, until they rest
# for long.
RESTING = 2.0
# ... and to a time at which all voices that could strike still sound.
UNTIMELY = 6.0
# Added to the logit of what the plan does not want; a cadence, which forbids altogether, goes before the
# plan.
AGAINST = -40.0
_NOTE, _VOICE, _DUR, _TIME = (TYPE_INDEX[name] for name in ("NOTE", "VOICE", "DUR", "TIME"))
_PITCHES = np.arange(PITCH_MIN, PITCH_MAX + 1)
_IS_STEP = np.equal(TYPE_OF_ID, _TIME)
_STEPS = np.where(_IS_STEP, VALUE_OF_ID, 0)
_SHORTEST = int(VALUE_OF_ID[TYPE_OF_ID == _DUR].min())
# What may not be left until a note of the plan: no TIME token is as long, or no note as short.
_AWKWARD = np.setdiff1d(np.arange(12), VALUE_OF_ID[TYPE_OF_ID == _TIME].tolist() + [0]).tolist() + [1]
_DURATIONS = np.where(TYPE_OF_ID == _DUR, VALUE_OF_ID, 0)
_COUNTS = {"NOTE": PITCH_MAX - PITCH_MIN + 1, "VOICE": MAX_VOICES, "DUR": int((TYPE_OF_ID == _DUR).sum())}


class Entry(NamedTuple):
    """A statement that is to come, and the notes that it will have."""

    at: int
    voice: int
    notes: list[Written]


class Plan:
    """The plan of one fugue.

    Args:
        piece (`Progress`): without notes so far.
        voices (`int`): how many it will have.
        mode (`str`): `"major"` or `"minor"`.
    """

    def __init__(self, piece: Progress, voices: int, mode: str):
        self.piece, self.voices, self.mode = piece, voices, mode
        self.subject: Subject | None = None
        self.now: list[Written] = []  # what is left of the statement that goes on
        self.next: Entry | None = None
        self.registers: dict[int, float] = {}  # mean pitch of each voice's statement, the latest last
        self.middle = self._read = 0

    def bias(self) -> np.ndarray:
        """What is added to the logits of the next token, `(vocab_size,)`."""
        self._follow()
        self.piece.planned = self.now[0] if self.now else None
        bias, piece = np.zeros(len(TYPE_OF_ID), dtype=np.float32), self.piece
        if piece.kind == _DUR:
            self._step(bias)
        elif piece.kind == _TIME:
            self._pitch(bias)
        elif piece.kind == _NOTE:
            self._voice(bias)
        elif piece.kind == _VOICE:
            self._duration(bias)
        return bias

    def temperature(self) -> float:
        """By what the logits of the next token are divided."""
        return SUBJECT_TEMPERATURE if self.subject is None and self.piece.kind == _TIME else 1.0

    def stop(self) -> None:
        """No more statements: the piece is about to end."""
        self.now, self.next = [], None

    # What happened

    def _follow(self) -> None:
        """Take note of what was written since, and begin what is due."""
        piece = self.piece
        for note in piece.written[self._read :]:
            if self.now and (note.onset, note.voice) == (self.now[0].onset, self.now[0].voice):
                self.now.pop(0)
        self._read = len(piece.written)
        if self.now and piece.now > self.now[0].onset:
            self.now = []  # it was missed
        if piece.kind != _TIME:
            return
        if self.subject is None and piece.first is not None and piece.now == self._boundary():
            self._end_subject()
        if self.next and piece.now >= self.next.at:
            entry, self.next = self.next, None
            if entry.at == piece.now:
                self.now = list(entry.notes)
            self._schedule(entry.at)

    def _boundary(self) -> int:
        """The tick, whole bars after the first note, at which the subject may end next: when its last
        note has ended.
        """
        piece = self.piece
        assert piece.first is not None
        last = piece.written[-1] if piece.written else Written(piece.first, 1, 0, 0)
        return piece.first - (piece.first - last.onset - last.duration) // piece.bar * piece.bar  # rounded up

    def _room(self) -> int:
        """Ticks that a note of the subject may last: one that may be its last one not beyond the bar line."""
        piece = self.piece
        assert piece.first is not None
        bars = (piece.now - piece.first) // piece.bar + 1
        is_enough = piece.notes >= _least_notes(bars)
        longest = int(_STEPS.max())  # a longer one would overlap the next
        return (
            min(longest, max(_SHORTEST, piece.first + bars * piece.bar - piece.now)) if is_enough else longest
        )

    def _end_subject(self) -> None:
        piece, notes = self.piece, self.piece.written
        assert piece.first is not None
        bars = (piece.now - piece.first) // piece.bar
        if len(notes) < _least_notes(bars):
            return
        self.subject = Subject(notes, piece.first, piece.now - piece.first, self.mode)
        self.registers[notes[0].voice] = self.subject.mean
        self._schedule(piece.now - self.subject.length)

    # What is to come

    def _schedule(self, last: int) -> None:
        """Decide on the statement after the one at the tick `last`."""
        assert self.subject is not None
        at = last + self.subject.length
        if len(self.registers) < self.voices:
            at += CODETTA * self.piece.bar * (len(self.registers) == 2)
            found = self._answer()
        else:
            at += EPISODES[self.middle % len(EPISODES)] * self.piece.bar
            found = self._return()
        if found:
            voice, pitches = found
            self.registers.pop(voice, None)  # the latest stands last
            self.registers[voice] = sum(pitches) / len(pitches)
            self.next = Entry(at, voice, self.subject.statement(at, voice, pitches))

    def _answer(self) -> tuple[int, list[int]] | None:
        """The next voice of the exposition, above or below those that have entered, and its pitches: by
        turns dominant and tonic.
        """
        assert self.subject is not None
        transposed = dominant if len(self.registers) % 2 else tonic
        top, bottom = min(self.registers), max(self.registers)
        ways = [(top - 1, self.registers[top] + 6), (bottom + 1, self.registers[bottom] - 6)]
        if sum(self.subject.pitches) % 2:
            ways.reverse()
        found = [
            (v, pitches)
            for v, mean in ways
            if 0 <= v < self.voices and (pitches := self.subject.near(transposed, mean))
        ]
        # Where the keyboard ends, rather a voice in another's place than none.
        apart = [one for one in found if self._is_between(one[0], sum(one[1]) / len(one[1]))]
        return next(iter(apart or found), None)

    def _is_between(self, voice: int, mean: float) -> bool:
        """Whether the statements of higher voices are higher and those of lower ones lower."""
        return all(
            (other < voice) == (theirs > mean) and theirs != mean for other, theirs in self.registers.items()
        )

    def _return(self) -> tuple[int, list[int]] | None:
        """A statement of the middle, in the voice that has waited longest."""
        assert self.subject is not None
        voice = next(iter(self.registers))
        pitches = self.subject.near(MIDDLE_KEYS[self.middle % len(MIDDLE_KEYS)], self.registers[voice])
        self.middle += 1
        return (voice, pitches) if pitches else None

    # What may come next

    def _step(self, bias: np.ndarray) -> None:
        """No step beyond a note of the plan; the notes of the subject come one after another."""
        self._limit(bias)
        if self.subject is None:
            last = self.piece.written[-1]
            early = _IS_STEP & (last.duration > _STEPS)
            bias[early if (bias[_IS_STEP & ~early] == 0).any() else OFFSET["TIME"]] = (
                AGAINST  # if need be all but TIME_0
            )
        elif not self.piece.due:
            below = [v for v in self._free() if v > self.piece.voice]
            if not below:
                bias[OFFSET["TIME"]] = AGAINST  # no voice is left below
            self._go_on(bias, below)

    def _go_on(self, bias: np.ndarray, below: list[int]) -> None:
        """Steps to where no voice is free yet are less likely, and steps that leave one silent; `below`
        are the voices that may still strike now.
        """
        now = self.piece.now
        ends = {voice: note[1] - now for voice in self._free() if (note := self.piece.last[voice])}
        heard = [end for voice, end in ends.items() if end > 0 or (end == 0 and voice in below)]
        bias -= (
            RESTING * _IS_STEP * np.less.outer(heard, _STEPS).sum(axis=0)
        )  # (voices, vocab_size) -> (vocab_size,)
        planned = self.now[0].onset - now if self.now else -1
        if ends:
            bias[_IS_STEP & (_STEPS > 0) & (min(ends.values()) > _STEPS) & (planned != _STEPS)] -= UNTIMELY
        if below and min((ends[voice] for voice in below if voice in ends), default=0) > 0:
            bias[OFFSET["TIME"]] -= UNTIMELY

    def _limit(self, bias: np.ndarray) -> None:
        piece = self.piece
        limits = [self.now[0].onset] if self.now else []
        limits += [self.next.at] if self.next else []
        if self.subject is None and piece.first is not None:
            limits.append(self._boundary())
        if limits:
            left = min(limits) - piece.now - _STEPS  # (vocab_size,)
            # So near to the note that no TIME token leads to it the model would rather add notes for ever
            # than take two steps.
            bias[_IS_STEP & ((left < 0) | np.isin(left, _AWKWARD))] = AGAINST

    def _pitch(self, bias: np.ndarray) -> None:
        """The note of the plan, or first one of a voice above it; or a further step, where the first one
        was not enough.
        """
        piece, due = self.piece, self.piece.due
        self._limit(bias)
        if self.subject is None:
            if piece.written:
                pitches = [note.pitch for note in piece.written]
                low = max(piece.pitch - LEAP, max(pitches) - RANGE, LOWEST)
                high = min(piece.pitch + LEAP, min(pitches) + RANGE, HIGHEST)
                _only(bias, "NOTE", min(low, high) - PITCH_MIN, max(low, high) - PITCH_MIN)
        elif due:
            _only(
                bias,
                "NOTE",
                due.pitch - PITCH_MIN,
                PITCH_MAX - PITCH_MIN if self._above(due) else due.pitch - PITCH_MIN,
            )
        elif (reserved := self._reserved()) is not None and (own := piece.last[reserved]):
            # A note that only this voice would take must not be given to another one.
            others = [note[2] for v, note in enumerate(piece.last) if note and v != reserved]
            apart = np.abs(_PITCHES[:, None] - others).min(axis=1) if others else np.zeros(len(_PITCHES))
            first = OFFSET["NOTE"]
            bias[first : first + len(_PITCHES)][(apart > NEAR) & (apart > np.abs(_PITCHES - own[2]))] = (
                AGAINST
            )

    def _above(self, due: Written) -> list[int]:
        """The voices above that of a note of the plan that may still strike with it; notes are written
        from the highest voice down.
        """
        struck = [note.voice for note in self.piece.written[-MAX_VOICES:] if note.onset == self.piece.now]
        return [v for v in range(max(struck, default=-1) + 1, due.voice) if self.piece.last[v]]

    def _voice(self, bias: np.ndarray) -> None:
        """The plan's note for the plan's voice, all others for others; no voice enters without the
        subject.
        """
        piece, due = self.piece, self.piece.due
        if due and piece.pitch == due.pitch:
            allowed = [due.voice]
        elif due:
            allowed = self._above(due)
        else:
            allowed = self._free() or list(range(self.voices))
        _only(bias, "VOICE", 0, -1)
        bias[[OFFSET["VOICE"] + v for v in allowed]] = 0.0

    def _free(self) -> list[int]:
        """The voices that may strike what they like; those that have not entered wait for their turn, if
        they will get one.
        """
        entered = [v for v, note in enumerate(self.piece.last) if note]
        is_planned = self.subject is None or self.next or len(self.registers) == self.voices
        return [v for v in (entered if is_planned else range(self.voices)) if v != self._reserved()]

    def _reserved(self) -> int | None:
        """The voice that states the subject, or rests a moment before it does."""
        if self.now:
            return self.now[0].voice
        return self.next.voice if self.next and self.next.at - BREATH - ROOM < self.piece.now else None

    def _duration(self, bias: np.ndarray) -> None:
        """That of the plan's note; a voice that is to state the subject has ended before."""
        piece, due = self.piece, self.piece.due
        if due and (piece.pitch, piece.voice) == (due.pitch, due.voice):
            place = int(NEAREST_DURATION[due.duration])
            _only(bias, "DUR", place, place)
        elif self.next and self.next.voice == piece.voice:
            bias[piece.now + _DURATIONS > self.next.at - BREATH] = AGAINST
        elif self.subject is None:
            bias[self._room() < _DURATIONS] = AGAINST
            latest = {note.duration for note in piece.written[-ALIKE:]}
            if len(piece.written) >= ALIKE and len(latest) == 1:
                bias[OFFSET["DUR"] + int(NEAREST_DURATION[latest.pop()])] = -MONOTONY


class Fugue(LogitsProcessor):
    """Gives fugues their plan.

    Args:
        rows (`Rows`): the pieces, their prompt without notes.
        voices (`int` or `None`): how many were asked for.
        modes (sequence of `str`): `"major"` or `"minor"`, one a row.
        closing (`FullClose`): the processor that ends the pieces.
    """

    def __init__(self, rows: Rows, voices: int | None, modes: Sequence[str], closing: FullClose):
        self.rows, self.closing = rows, closing
        self.plans = [
            Plan(piece, voices or VOICES, mode) for piece, mode in zip(rows.pieces, modes, strict=True)
        ]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        self.rows.follow(input_ids)
        for plan, close in zip(self.plans, self.closing.closes, strict=True):
            if close:
                plan.stop()
        bias = torch.from_numpy(np.stack([plan.bias() for plan in self.plans]))
        heat = torch.tensor([[plan.temperature()] for plan in self.plans])  # (rows, 1)
        return scores / heat.to(scores.device, scores.dtype) + bias.to(scores.device, scores.dtype)


def _least_notes(bars: int) -> int:
    return LEAST_NOTES[min(bars, len(LEAST_NOTES)) - 1]


def _only(bias: np.ndarray, kind: str, first: int, last: int) -> None:
    """Of the tokens of a type against all but those from place `first` to `last`."""
    begin = OFFSET[kind]
    bias[begin : begin + _COUNTS[kind]] = AGAINST
    bias[begin + first : begin + last + 1] = 0.0


__all__ = ["Fugue", "Plan"]
