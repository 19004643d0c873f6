"""How voices enter: one that was asked for and has been silent for long takes the next note that suits it.

Asked for three voices or more, the model alone often stays with two: the VOICES token is one in a prefix, and
what has just sounded says more. `Entries` makes a VOICE token likelier, never a note: the pitches remain the
model's, and it hears the voice from then on.
"""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import OFFSET, TYPE_INDEX

from .progress import Progress, Rows

# Bars from one entry to the next at the beginning, as in a fugue, and bars for which a voice may rest later.
BETWEEN_ENTRIES, REST = 2, 4
# Added to the logit of a VOICE token: then no other one is likely.
BIAS = 20.0
# A voice comes back not further than this from where it was, in semitones.
LEAP = 12
_NOTE = TYPE_INDEX["NOTE"]


class Entries(LogitsProcessor):
    """Lets voices that are missing enter.

    Args:
        rows (`Rows`): the pieces.
        voices (`int`): how many were asked for.
    """

    def __init__(self, rows: Rows, voices: int):
        self.rows, self.voices = rows, voices

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        bias = torch.zeros(scores.shape)
        for i, row in enumerate(self.rows.follow(input_ids)):
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
            if (
                other != voice
                and note
                and note[1] > piece.now
                and (note[2] - piece.pitch) * (voice - other) <= 0
            ):
                return False
        return True


__all__ = ["BETWEEN_ENTRIES", "REST", "Entries"]
