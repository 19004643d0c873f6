"""No long quotation: a voice does not go on as a movement of the train split does.

A small model that has read 79 movements knows some passages by heart, preludes' above all. A dozen notes in a
row are Bach's idiom, and his own movements share them with each other; a longer run is a quotation. It is
found as `musical_metrics.originality` finds it, by the shipped index of the train split, at any pitch and
speed.
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import LogitsProcessor

from musical_metrics.originality import STEPS, Index, window_hashes
from musical_metrics.reference import originality_index
from tokenization.vocabulary import OFFSET, PITCH_MAX, PITCH_MIN, TYPE_INDEX

from .progress import Rows, Written

# Notes that a voice may share with one movement, as far as the index shows; it keeps one window in five, so
# that longer runs escape it (docs/results.md). A filter of all windows would see them, but hold enough to
# rebuild the scores from (docs/LOG.md).
LONGEST = 9
# Nats against the note that makes it one more.
AGAINST = 20.0
_TIME = TYPE_INDEX["TIME"]
_PITCHES = np.arange(PITCH_MIN, PITCH_MAX + 1)


class Line:
    """One voice, and the runs of the train split that it is in the middle of.

    Args:
        index (`Index`): of the train split.
        notes (list of `Written`): of the voice; it grows. Those that are there already are not counted.
    """

    def __init__(self, index: Index, notes: list[Written]):
        self.index, self.notes, self.first = index, notes, len(notes)
        self.read = self.first
        self.began: dict[
            int, int
        ] = {}  # place in the index -> number of the note with which the run that has come so far began

    def follow(self) -> None:
        """Hear the notes that are new."""
        for end in range(self.read + 1, len(self.notes) + 1):
            begin = end - STEPS - 1
            if begin >= self.first:
                window = self.notes[begin:end]
                hashes, kept = window_hashes(
                    np.array([n.pitch for n in window]), np.array([n.onset for n in window])
                )
                if kept:
                    self.began = self._runs(int(hashes), begin)
        self.read = len(self.notes)

    def _runs(self, hashed: int, begin: int) -> dict[int, int]:
        """The runs that a kept window goes on with or begins; `begin` is the number of its first note. A
        place is a bar: the next one may have begun.
        """
        _, places = self.index.hits(np.array([hashed], dtype=np.uint32))
        return {
            place: min(self.began.get(place, begin), self.began.get(place - 1, begin))
            for place in places.tolist()
        }

    def too_long(self, onset: int) -> np.ndarray:
        """The pitches that would make a run longer than `LONGEST` at a tick, bool of shape `(pitches,)`."""
        found, end = np.zeros(len(_PITCHES), dtype=bool), len(self.notes)
        if not self.began or end - min(self.began.values()) < LONGEST or onset == self.notes[-1].onset:
            return found
        latest = self.notes[-STEPS:]
        pitches = np.column_stack(
            [np.tile([n.pitch for n in latest], (len(_PITCHES), 1)), _PITCHES]
        )  # (pitches, STEPS + 1)
        hashes, kept = window_hashes(
            pitches, np.broadcast_to([*(n.onset for n in latest), onset], pitches.shape)
        )
        for i in np.flatnonzero(kept):
            runs = self._runs(int(hashes[i]), end - STEPS)
            found[i] = bool(runs) and end + 1 - min(runs.values()) > LONGEST
        return found


class Quotation(LogitsProcessor):
    """Lowers the scores of notes with which a voice would quote too much.

    Args:
        rows (`Rows`): the pieces; a prompt's notes are not counted.
        index (`Index`, *optional*): of the pieces not to be quoted; the shipped one, of the train split, when
        not given.
    """

    def __init__(self, rows: Rows, index: Index | None = None):
        index = index or originality_index()
        self.rows = rows
        self.lines = [[Line(index, line) for line in piece.lines] for piece in rows.pieces]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        bias = np.zeros(scores.shape, dtype=np.float32)
        for i, piece in enumerate(self.rows.follow(input_ids)):
            if piece.kind == _TIME and not piece.due:  # a statement of the subject is no choice
                for line in self.lines[i]:
                    line.follow()
                quoted = np.any(
                    [line.too_long(piece.now) for line in self.lines[i]], axis=0
                )  # (voices, pitches) -> (pitches,)
                bias[i, OFFSET["NOTE"] : OFFSET["NOTE"] + len(_PITCHES)] = -AGAINST * quoted
        return scores + torch.from_numpy(bias).to(scores.device, scores.dtype)


__all__ = ["LONGEST", "Quotation"]
