"""Voices that were asked for do sound: one that has been silent for long takes the next note that suits it.

Asked for three voices or more, the model alone often stays with two: the VOICES token is one in a prefix, and what has just sounded says more. Here
a VOICE token is made likelier, never a note: the pitches remain the model's, and it hears the voice from then on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import MAX_VOICES, OFFSET, PITCH_MAX, PITCH_MIN, TYPE_INDEX

from .ending import Progress

# Bars from one entry to the next at the beginning, as in a fugue, and bars for which a voice may rest later.
BETWEEN_ENTRIES, REST = 2, 4
# Added to the logit of a VOICE token: then no other one is likely.
BIAS = 20.0
# A voice comes back not further than this from where it was, in semitones.
LEAP = 12
# A fugue's first voice has so many notes for itself at least, and a bar.
LEAST_ALONE = 6
_NOTE, _DUR, _TIME = (TYPE_INDEX[name] for name in ("NOTE", "DUR", "TIME"))


class Entries(LogitsProcessor):
    """Lets voices that are missing enter.

    Called once a token, with rows that only grow: it follows them.

    Args:
        prompt (sequence of `int`): what the model read.
        num_rows (`int`): of the batch.
        voices (`int`): how many were asked for.
    """

    def __init__(self, prompt: Sequence[int], num_rows: int, voices: int):
        self.voices = voices
        self.rows = [Progress() for _ in range(num_rows)]
        for row in self.rows:
            for token in prompt:
                row.feed(token)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        bias = torch.zeros(scores.shape)
        for i, row in enumerate(self.rows):
            for token in input_ids[i, row.tokens :].tolist():
                row.feed(token)
            if row.kind == _NOTE:
                for voice in self.missing(row):
                    bias[i, OFFSET["VOICE"] + voice] = BIAS
        return scores + bias.to(scores.device, scores.dtype)

    def missing(self, piece: Progress) -> list[int]:
        """The voices that have been silent too long and that the note just read suits; after a NOTE token."""
        entered = sum(note is not None for note in piece.last[: self.voices])
        found = []
        for voice in range(self.voices):
            note = piece.last[voice]
            if note is None:
                late = piece.now >= entered * BETWEEN_ENTRIES * piece.bar and piece.notes > 1
            else:
                late = piece.now - note[1] >= REST * piece.bar and abs(piece.pitch - note[2]) <= LEAP
            if late and self._fits(piece, voice):
                found.append(voice)
        return found

    def _fits(self, piece: Progress, voice: int) -> bool:
        """Whether the note lies between the voices that sound on, so that none crosses."""
        for other, note in enumerate(piece.last[: self.voices]):
            if other != voice and note and note[1] > piece.now and (note[2] - piece.pitch) * (voice - other) <= 0:
                return False
        return True


class Solo(LogitsProcessor):
    """Lets a fugue begin with one voice alone: for a bar and a few notes no other voice may be struck, and it leaps no further than an octave.

    Left alone the model begins three fugues in five with several voices at once: of two hundred pieces in training, 43 are fugues of this kind.

    Args:
        prompt (sequence of `int`): what the model read, without notes.
        num_rows (`int`): of the batch.
    """

    def __init__(self, prompt: Sequence[int], num_rows: int):
        self.rows = [Progress() for _ in range(num_rows)]
        self.begun: list[int | None] = [None] * num_rows  # tick of the first note
        for row in self.rows:
            for token in prompt:
                row.feed(token)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        bias = torch.zeros(scores.shape)
        for i, row in enumerate(self.rows):
            for token in input_ids[i, row.tokens :].tolist():
                row.feed(token)
                if row.kind == _NOTE and self.begun[i] is None:
                    self.begun[i] = row.now
            begun = self.begun[i]
            if begun is None or (row.now - begun >= row.bar and row.notes > LEAST_ALONE):
                continue
            if row.kind == _TIME:
                far = [pitch for pitch in range(PITCH_MIN, PITCH_MAX + 1) if abs(pitch - row.pitch) > LEAP]
                bias[i, [OFFSET["NOTE"] + pitch - PITCH_MIN for pitch in far]] = -2 * BIAS  # what another voice would have struck
            elif row.kind == _DUR:
                bias[i, OFFSET["TIME"]] = -2 * BIAS  # TIME_0: nothing sounds together; and `Entries` does not call others in
            elif row.kind == _NOTE and row.notes > 1:
                first = next(voice for voice, note in enumerate(row.last) if note)
                bias[i, OFFSET["VOICE"] : OFFSET["VOICE"] + MAX_VOICES] = -2 * BIAS
                bias[i, OFFSET["VOICE"] + first] = 0.0
        return scores + bias.to(scores.device, scores.dtype)


__all__ = ["BETWEEN_ENTRIES", "REST", "Entries", "Solo"]
