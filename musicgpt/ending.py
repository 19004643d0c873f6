"""How a piece ends: with a cadence, dominant and tonic, in its last bar but one and its last.

The model has read some two hundred ends and predicts `<eos>` too faintly to end by it: left alone, pieces run
on until they are stopped, in the middle of a phrase. So the composer decides when it is time, at a bar line,
and then says what a close is made of; which notes of it sound where is left to the model. Pitches are those
of the tokens: C major or A minor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import LogitsProcessor

from modeling_musicgpt.bar_end_musicgpt import BARS_LOOKED_AT, SHORTEST_BAR
from tokenization.vocabulary import (
    EOS_ID,
    NEAREST_DURATION,
    OFFSET,
    TYPE_INDEX,
    TYPE_OF_ID,
    VALUE_OF_ID,
    VOCAB_SIZE,
)

from .progress import Progress, Rows

# A piece of no asked length is closed when it has at least as many bars and notes as the first pair says, and
# as many bars or as many notes as the second; in a continuation only the new ones count. The bar of the final
# chord comes on top.
SHORTEST = (16, 200)
ENOUGH = (23, 400)
# With fewer new tokens than this there is no room for a close: the piece just ends at a bar line.
LEAST_TOKENS = 256
# Tokens of a final chord, and a few to spare.
CHORD_TOKENS = 24
# Semitones above C: the dominant seventh chord before the end and the tonic triad at it. Minor: the leading
# note is raised, and the last third may be.
DOMINANT = {"major": (7, 11, 2, 5), "minor": (4, 8, 11, 2)}
TRIAD = {"major": (0, 4, 7), "minor": (9, 0, 1, 4)}
TONIC = {"major": 0, "minor": 9}
# No voice leaps further into the final chord, in semitones.
_LEAP = 12
# What the dominant lacks is not asked for any more in the last ticks before the bar line, where it would only
# be a cluster.
_LATEST = 6
# Notes that may sound in the last beat.
_LOOKED_AT = 32
# Notes up to so many semitones above the bass are likely to become the bass.
_NEAR = 4
_NOTE, _VOICE, _DUR, _TIME, _METER = (TYPE_INDEX[name] for name in ("NOTE", "VOICE", "DUR", "TIME", "METER"))
_TYPES, _VALUES = TYPE_OF_ID.tolist(), VALUE_OF_ID.tolist()
_IS = {name: np.equal(TYPE_OF_ID, TYPE_INDEX[name]) for name in ("NOTE", "VOICE", "DUR", "TIME")}
_PITCH = np.where(_IS["NOTE"], VALUE_OF_ID, 0)
_TICKS = np.where(_IS["TIME"] | _IS["DUR"], VALUE_OF_ID, 0)
_EVERYTHING = np.ones(VOCAB_SIZE, dtype=bool)


def _only(token: int) -> np.ndarray:
    return np.arange(VOCAB_SIZE) == token


_NOT_THE_END = ~_only(EOS_ID)


def _of_classes(classes: Sequence[int]) -> np.ndarray:
    """True for the notes of these pitch classes, and for all that are no notes."""
    return ~_IS["NOTE"] | np.isin(_PITCH % 12, classes)


def stands_on_tonic(piece: Progress, mode: str) -> bool:
    """Whether the notes that sound at the last onset are those of the tonic triad, over the tonic: where
    a piece may end of itself.
    """
    notes = [note for note in piece.last if note]
    onset = max((note[0] for note in notes), default=0)
    pitches = [note[2] for note in notes if note[1] > onset]
    return (
        bool(pitches)
        and min(pitches) % 12 == TONIC[mode]
        and all(pitch % 12 in TRIAD[mode] for pitch in pitches)
    )


class Close:
    """The cadence of one piece: what may come next from the bar before the final chord on.

    Args:
        piece (`Progress`): at the beginning of a bar: the dominant comes at its end, the final chord with the
        next bar. mode (`str`): `"major"` or `"minor"`.
    """

    def __init__(self, piece: Progress, mode: str):
        self.piece, self.mode = piece, mode
        self.line = piece.begun + piece.bar
        self.dominant_from = self.line - (24 if piece.bar >= 72 else 12)
        self.prepared = False  # whether a note begins under the dominant
        self.root = False  # whether the bass has the dominant's root
        self.voices: list[int] | None = None  # of the final chord, once it is reached
        self.written: list[int] = []  # pitches of the final chord

    def allowed(self) -> list[np.ndarray]:
        """Masks of the next token, `(vocab_size,)`, the most important first; a later one counts where it
        leaves something.
        """
        piece = self.piece
        if self.voices is None and piece.now >= self.line:
            self.line = piece.now
            self.voices = [v for v in piece.active_voices() if not self._goes_on(v)]
        if self.voices is not None:
            return self._in_chord()
        if piece.kind == _NOTE:
            self.prepared |= piece.now >= self.dominant_from
            return [_EVERYTHING]
        if piece.kind == _VOICE:
            ends = self.line if piece.pitch % 12 in DOMINANT[self.mode] else self.dominant_from
            return [piece.now + _TICKS <= self.line, piece.now + _TICKS <= ends]
        return self._before_chord()

    def _before_chord(self) -> list[np.ndarray]:
        """A step, not beyond the bar line and not past the dominant; a note of the dominant, and low ones
        its root until it was there.
        """
        piece, root = self.piece, DOMINANT[self.mode][0]
        voices = piece.active_voices()
        if piece.kind == _DUR:
            self.root |= (
                piece.now >= self.dominant_from and piece.pitch % 12 == root and piece.voice == max(voices)
            )
        missing = self._missing() if piece.now < self.line - _LATEST and self._can_strike(voices) else []
        reach = piece.now + _TICKS * _IS["TIME"]
        masks = [_NOT_THE_END, reach <= self.line]
        if not self.prepared or missing:
            masks.append(reach < self.line)
        if piece.now >= self.dominant_from:
            wanted = _of_classes(missing or DOMINANT[self.mode])
            bass = piece.last[max(voices)] if voices else None
            if bass and not self.root:
                wanted = np.where(bass[2] + _NEAR < _PITCH, wanted, _of_classes([root]))
            masks += [_of_classes(DOMINANT[self.mode]), wanted]
        return masks

    def _can_strike(self, voices: list[int]) -> bool:
        """Whether some voice does not sound until the final chord."""
        return any(note[1] < self.line for voice in voices if (note := self.piece.last[voice]))

    def _missing(self) -> list[int]:
        """Pitch classes of which one is still to sound under the dominant: its root; the leading note or
        the note above the tonic.
        """
        heard = {
            note.pitch % 12
            for note in self.piece.written[-_LOOKED_AT:]
            if note.onset + note.duration > self.dominant_from
        }
        root, third, fifth, _ = DOMINANT[self.mode]
        return [c for part in ((root,), (third, fifth)) if heard.isdisjoint(part) for c in part]

    def _goes_on(self, voice: int) -> bool:
        """Whether a voice sounds on into the final chord, and may."""
        note = self.piece.last[voice]
        bass = voice == max(self.piece.active_voices())
        return (
            note is not None
            and note[1] > self.line
            and note[2] % 12 in ((TONIC[self.mode],) if bass else TRIAD[self.mode])
        )

    def _in_chord(self) -> list[np.ndarray]:
        piece, left = self.piece, self.voices or []
        if piece.kind == _NOTE:
            return [_only(OFFSET["VOICE"] + left[0])]
        if piece.kind == _VOICE:
            return [_only(OFFSET["DUR"] + int(NEAREST_DURATION[piece.bar]))]
        if piece.kind == _DUR:
            self.written.append(piece.pitch)
            left.pop(0)
            return [_only(OFFSET["TIME"])]
        if not left:
            return [_only(EOS_ID)]
        return self._chord_note(left)

    def _chord_note(self, left: list[int]) -> list[np.ndarray]:
        """A note of the triad, in the bass the tonic, below the voice above and with room for those
        below, not far from where the voice was.
        """
        lowest, below = 33 if self.mode == "minor" else 36, len(left) - 1
        # Of the triad there is a note at least every five semitones.
        room: np.ndarray = (lowest + 5 * below <= _PITCH) & (
            (self.written[-1] > _PITCH) if self.written else True
        )
        masks: list[np.ndarray] = [
            _IS["NOTE"],
            _of_classes(TRIAD[self.mode] if below else (TONIC[self.mode],)),
            room,
        ]
        thirds = {0, 1} & {pitch % 12 for pitch in self.written} if self.mode == "minor" else set()
        if thirds:
            masks.append(_of_classes([c for c in range(12) if c not in {0, 1} - thirds]))
        last = self.piece.last[left[0]]
        if last:
            masks.append(np.abs(_PITCH - last[2]) <= _LEAP)
        return masks


class FullClose(LogitsProcessor):
    """Ends pieces with a cadence: those of no asked length when they are long enough, the others before their
    tokens are used up. The model may end one before only where it stands on the tonic.

    Args:
        rows (`Rows`): the pieces; in a continuation only what is new counts as length.
        modes (sequence of `str`): `"major"` or `"minor"`, one a row.
        max_new_tokens (`int`): how many there can be.
        min_bars, min_notes (`int`): what the piece must have before, unless its tokens are used up.
        ends (`bool`): whether the piece is of no asked length.
    """

    def __init__(
        self,
        rows: Rows,
        modes: Sequence[str],
        max_new_tokens: int,
        min_bars: int = 0,
        min_notes: int = 0,
        ends: bool = True,
    ):
        self.modes, self.ends, self.least = modes, ends, (min_bars, min_notes)
        self.max_length = rows.prompt_length + max_new_tokens
        self.has_room = max_new_tokens >= LEAST_TOKENS
        self.rows = rows
        self.bars = [piece.bars for piece in rows.pieces]  # when last looked at
        self.read = (rows.pieces[0].bars, rows.pieces[0].notes) if rows.pieces else (0, 0)
        self.closes: list[Close | None] = [None] * len(rows.pieces)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        if not self.has_room:
            return scores
        length = input_ids.shape[1]
        pieces = self.rows.follow(input_ids)
        for i, row in enumerate(pieces):
            if (
                self.closes[i] is None
                and row.bars > self.bars[i]
                and self._is_time(row, self.max_length - length)
            ):
                self.closes[i] = Close(row, self.modes[i])
            self.bars[i] = row.bars
        masks = [
            close.allowed() if close else [] if stands_on_tonic(row, mode) else [_NOT_THE_END]
            for close, row, mode in zip(self.closes, pieces, self.modes, strict=True)
        ]
        scores = scores.clone()
        for i, row_masks in enumerate(masks):
            _apply(scores[i], row_masks)
        return scores

    def _is_time(self, row: Progress, left: int) -> bool:
        """Whether the bar that begins is to be the last before the final chord."""
        # As the model's own rule measures bars, which ends a piece that has no room for another one.
        if left < 3 * max(SHORTEST_BAR, *row.bar_tokens[-BARS_LOOKED_AT:]) + CHORD_TOKENS:
            return True
        bars, notes = row.bars + 1, row.notes
        if not self.ends or bars < self.least[0] or notes < self.least[1]:
            return False
        bars, notes = bars - self.read[0], notes - self.read[1]
        return bars >= SHORTEST[0] and notes >= SHORTEST[1] and (bars >= ENOUGH[0] or notes >= ENOUGH[1])


def _apply(scores: torch.Tensor, masks: list[np.ndarray]) -> None:
    """-inf where a mask says no, mask by mask in place, as long as something is left. The first mask may
    allow `<eos>` alone, whatever stood there.
    """
    if len(masks) == 1 and masks[0][EOS_ID] and masks[0].sum() == 1:
        scores.fill_(-torch.inf)
        scores[EOS_ID] = 0.0
        return
    for mask in masks:
        allowed = torch.from_numpy(mask).to(scores.device)
        if bool((scores[allowed] > -torch.inf).any()):
            scores[~allowed] = -torch.inf


__all__ = ["Close", "FullClose"]
