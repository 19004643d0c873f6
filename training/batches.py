"""One epoch as a list of batches: which stretch of which piece in which row, decided by the seed and the
epoch alone.

Every process of a distributed run computes the same plan and takes its own rows, so no process has to tell
another how many tokens a step holds, and the gradient is the same for any number of processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tokenization.score import Score
from tokenization.vocabulary import MAX_TIME_TOKENS, PAD_ID, TYPE_INDEX, TYPE_OF_ID

from .arguments import DataArguments
from .augmentation import Stage, augment
from .crops import (
    PREFIX_ROOM,
    Piece,
    Segment,
    cut_body,
    cut_prefix,
    cut_segment,
    drop_conditions,
    notes_in,
    tokens_by_note,
    type_of_positions,
)
from .errors import TrainingError

Row = list[Segment]  # what stands in one row: one segment, or several when packing
_SHUFFLE = 2**31 - 1  # stands where a piece's number would, for the draw that mixes the whole epoch


@dataclass(frozen=True)
class Batch:
    """Rows as arrays of shape `(rows, length)`.

    Attributes:
        input_ids (`int64`): padded at the right.
        position_ids (`int64`): position within the segment; begins again at 0 with every segment of a packed
            row.
        targets (`int64`): the token itself where it is to be predicted, else -100. Not shifted.
        terms (`int64`): 0 NOTE, 1 VOICE, 2 DUR, 3 TIME for tokens of the published loss, else -1.
    """

    input_ids: np.ndarray
    position_ids: np.ndarray
    targets: np.ndarray
    terms: np.ndarray

    @property
    def num_targets(self) -> int:
        """How many tokens are to be predicted."""
        return int((self.targets >= 0).sum())

    def without_targets(self) -> Batch:
        """The same rows with nothing to predict: what a process gets for which a step has no row."""
        return replace(self, targets=np.full_like(self.targets, -100), terms=np.full_like(self.terms, -1))


def plan_epoch(
    pieces: Sequence[Piece], data: DataArguments, stage: Stage, seed: int, epoch: int, batch_size: int
) -> list[list[Row]]:
    """The rows of an epoch, step by step.

    Each piece gives as many crops as it needs to be covered once, at random places spread over its length, or
    itself as a whole where it fits, and that `Piece.times` times, augmented anew each time. All steps have
    `batch_size` rows or one more or less.

    Raises:
        TrainingError: if the epoch takes no piece at all.
    """
    segments = cut_pieces(pieces, range(len(pieces)), data, stage, seed, epoch)
    return deal(segments, data, seed, epoch, batch_size)


def cut_pieces(
    pieces: Sequence[Piece], numbers: Iterable[int], data: DataArguments, stage: Stage, seed: int, epoch: int
) -> list[Segment]:
    """What an epoch takes of the pieces with these numbers; a piece's part depends on no other piece."""
    segments: list[Segment] = []
    for number in numbers:
        piece = pieces[number]
        for again in range(_times(piece, seed, epoch, number)):
            rng = np.random.default_rng([seed, epoch, number, again] if again else [seed, epoch, number])
            score, semitones = augment(piece, stage, rng)
            segments += crops(score, data, rng, has_mode=not semitones or data.mode_of_transposed == "kept")
    return segments


def deal(
    segments: Sequence[Segment], data: DataArguments, seed: int, epoch: int, batch_size: int
) -> list[list[Row]]:
    """All segments of an epoch, mixed, as rows, step by step.

    Raises:
        TrainingError: if there is none.
    """
    if not segments:
        raise TrainingError(f"Epoch {epoch} takes none of the pieces: raise the numbers of --times.")
    mixed = np.random.default_rng([seed, epoch, _SHUFFLE])
    segments = [segments[i] for i in mixed.permutation(len(segments))]
    rows = pack(segments, data.length) if data.packing else [[segment] for segment in segments]
    steps = max(1, round(len(rows) / batch_size))
    return [[rows[i] for i in part] for part in np.array_split(np.arange(len(rows)), steps)]


def _times(piece: Piece, seed: int, epoch: int, number: int) -> int:
    """How often this epoch takes a piece, so that over the epochs it comes to `Piece.times` each; where they
    begin to count is drawn.
    """
    begin = np.random.default_rng([seed, number, _SHUFFLE]).random()
    return int(begin + (epoch + 1) * piece.times) - int(begin + epoch * piece.times)


def crops(
    score: Score, data: DataArguments, rng: np.random.Generator, has_mode: bool = True
) -> list[Segment]:
    """The crops of one (augmented) piece in one epoch: itself where it fits, else as many as cover it once.

    `has_mode=False` leaves the MODE token out of their prefixes.
    """
    tokens = tokens_by_note(score)
    # beside the longest prefix and first step, and `<eos>`
    room = data.length - PREFIX_ROOM - MAX_TIME_TOKENS - 1
    whole = len(cut_prefix(score, 0)) + len(cut_body(score, 0, len(score))) <= data.length
    if whole:
        starts = np.zeros(1, dtype=int)
    else:
        count = -(-int(tokens.sum()) // room)
        # The first place from which all that is left fits.
        last = int((np.cumsum(tokens[::-1])[::-1] > room).sum())
        # One crop from each of `count` equal parts of the places where a crop may begin; a quarter of a crop
        # is added at both ends, so that the beginning and the end of a piece are seen more often than chance
        # would have it.
        margin = notes_in(data.length) / 4
        edges = np.linspace(-margin, last + margin, count + 1)
        starts = np.clip(np.floor(rng.uniform(edges[:-1], edges[1:])), 0, last).astype(int)
        if rng.random() < data.begin_share:
            starts[0] = 0
    return [
        cut_segment(
            score,
            start,
            data.length,
            drop_conditions(prefix_of(score, start, has_mode), data.condition_dropout, rng),
            data.predict_prefix,
            data.context_notes,
        )
        for start in starts.tolist()
    ]


def prefix_of(score: Score, start: int, has_mode: bool) -> list[int]:
    """The prefix of a crop, with its MODE or without."""
    return [i for i in cut_prefix(score, start) if has_mode or TYPE_OF_ID[i] != TYPE_INDEX["MODE"]]


def pack(segments: Sequence[Segment], length: int) -> list[Row]:
    """Segments put together into rows of at most `length` tokens: each goes into the first of the 32 newest
    rows that has room.
    """
    rows: list[Row] = []
    room: list[int] = []
    for segment in segments:
        newest = range(max(0, len(rows) - 32), len(rows))
        place = next((i for i in newest if room[i] >= len(segment)), None)
        if place is None:
            rows.append([segment])
            room.append(length - len(segment))
        else:
            rows[place].append(segment)
            room[place] -= len(segment)
    return rows


def collate(rows: Sequence[Row]) -> Batch:
    """Rows as one batch, padded to the longest."""
    width = max(sum(len(segment) for segment in row) for row in rows)
    shape = (len(rows), width)
    ids, positions, targets, terms = (np.full(shape, fill, dtype=np.int64) for fill in (PAD_ID, 0, -100, -1))
    for r, row in enumerate(rows):
        at = 0
        for segment in row:
            here = slice(at, at + len(segment))
            ids[r, here] = segment.ids
            positions[r, here] = np.arange(len(segment))
            targets[r, here] = np.where(segment.predicted, segment.ids, -100)
            # A note that is heard but not predicted counts in no figure of training.
            terms[r, here] = np.where(segment.predicted, type_of_positions(segment.ids)[1], -1)
            at += len(segment)
        positions[r, at:] = np.arange(width - at)
    return Batch(ids, positions, targets, terms)
