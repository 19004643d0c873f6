"""What the phases of a training run share: where it stands, its log, its words."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from .arguments import Arguments
from .augmentation import read_stages
from .crops import TERMS, Piece
from .loader import Loader
from .run_log import RunLog

TOTALS = len(TERMS) + 3  # loss, targets, four terms, notes


class Run:
    """The base of the phases.

    Args:
        arguments (`Arguments`): what the run is told.
        pieces (`dict`, *optional*): pieces of `train` and `validation`; loaded as the arguments say when not
            given.

    Attributes:
        step, epoch, batch (`int`): steps done, epochs done, steps done of the present epoch.
        best (`dict`): best validation loss and best combined score so far.
        accelerator, model, optimizers, average, teachers: what `Setup` made.
    """

    accelerator: Any
    model: Any
    optimizers: list[Any]
    average: Any
    teachers: Any
    log: RunLog
    train_pieces: list[Piece]
    validation_pieces: list[Piece]
    loader: Loader
    context: int
    unigram: float | None
    is_main: bool
    rank: int
    world: int

    def __init__(self, arguments: Arguments, pieces: dict[str, list[Piece]] | None = None):
        self.arguments = arguments
        self.folder = Path(arguments.run.output_dir)
        self.stages = read_stages(arguments.augmentation.stages)
        self.step = self.epoch = self.batch = 0
        self.best: dict[str, Any] = {"loss": None, "combined": None, "since": 0}
        self.stopping = 0  # the signal that asked for the end
        self.totals = np.zeros(TOTALS)
        self.given = pieces

    def say(self, text: str) -> None:
        """A line for people, from the main process only."""
        if self.is_main:
            tqdm.write(text, file=sys.stderr)

    def _log(self, kind: str, values: dict[str, Any]) -> None:
        if self.is_main:
            self.log.add(kind, step=self.step, epoch=self.epoch, **values)
        numbers = {
            f"{kind}/{name}": value for name, value in values.items() if isinstance(value, (int, float))
        }
        self.accelerator.log(numbers, step=self.step)

    def _reduced(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes."""
        if self.world == 1:
            return values
        # NCCL has no float64 on some devices; these sums are far below 2^53, and Gloo and NCCL both add
        # float64.
        tensor = torch.from_numpy(values).to(self.accelerator.device)
        return self.accelerator.reduce(tensor, reduction="sum").cpu().numpy()

    @property
    def plain(self) -> Any:
        """The model without what accelerate wrapped around it."""
        return self.accelerator.unwrap_model(self.model)

    def _weights(self) -> contextlib.AbstractContextManager:
        """A context in which the model has the weights that are validated and saved."""
        return self.average.swapped(self.plain) if self.average else contextlib.nullcontext()
