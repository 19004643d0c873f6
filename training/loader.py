"""Epochs cut by worker processes: while one is trained the next one is augmented, cropped and dealt out."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from .arguments import DataArguments
from .augmentation import Stage
from .batches import Row, cut_pieces, deal, plan_epoch
from .crops import Piece, Segment
from .errors import TrainingError

PIECES_A_TASK = 32

# What a worker has, from its beginning on: pieces, data arguments and seed of the run.
_has: tuple[Sequence[Piece], DataArguments, int]


class Loader:
    """The rows of one epoch after another, the same ones for any number of workers.

    Args:
        pieces: those to train on.
        data: how they are cut.
        seed, batch_size: of the run.
        workers: so many processes do it ahead; with 0 it is done when an epoch begins.
    """

    def __init__(
        self, pieces: Sequence[Piece], data: DataArguments, seed: int, batch_size: int, workers: int = 0
    ):
        self.pieces, self.data, self.seed, self.batch_size = pieces, data, seed, batch_size
        self._ahead: tuple[int, Stage, list[Future[list[Segment]]]] | None = None
        self._pool: ProcessPoolExecutor | None = None
        if workers:
            # Forked where that can be, so that all processes share the memory of the pieces.
            method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
            self._pool = ProcessPoolExecutor(
                workers, multiprocessing.get_context(method), _begin, (pieces, data, seed)
            )

    def prepare(self, epoch: int, stage: Stage) -> None:
        """Let the workers cut an epoch that `plan` will ask for; returns at once."""
        if self._pool is None or (self._ahead and self._ahead[:2] == (epoch, stage)):
            return
        self._forget()
        starts = range(0, len(self.pieces), PIECES_A_TASK)
        self._ahead = epoch, stage, [self._pool.submit(_cut, stage, epoch, start) for start in starts]

    def plan(self, epoch: int, stage: Stage) -> list[list[Row]]:
        """The rows of an epoch, step by step (`training.batches.plan_epoch`).

        Raises:
            TrainingError: if the epoch takes no piece at all, or a worker died.
        """
        self.prepare(epoch, stage)
        if self._ahead is None:
            return plan_epoch(self.pieces, self.data, stage, self.seed, epoch, self.batch_size)
        try:
            segments = [segment for future in self._ahead[2] for segment in future.result()]
        except BrokenProcessPool as error:
            raise TrainingError(
                "A worker that cuts the pieces died, probably out of memory: give fewer --workers."
            ) from error
        self._ahead = None
        return deal(segments, self.data, self.seed, epoch, self.batch_size)

    def close(self) -> None:
        """End the workers once the pieces that they are at are cut; all that waits is dropped."""
        self._forget()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _forget(self) -> None:
        for future in self._ahead[2] if self._ahead else ():
            future.cancel()
        self._ahead = None


def _begin(pieces: Sequence[Piece], data: DataArguments, seed: int) -> None:
    """A worker begins: signals are for the main process, which ends it."""
    global _has
    _has = pieces, data, seed
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _cut(stage: Stage, epoch: int, start: int) -> list[Segment]:
    pieces, data, seed = _has
    numbers = range(start, min(start + PIECES_A_TASK, len(pieces)))
    return cut_pieces(pieces, numbers, data, stage, seed, epoch)
