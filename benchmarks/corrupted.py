"""Corrupted contexts: does a model drift less on its own text if it has heard wrong notes while it learnt?

    python -m benchmarks.corrupted --share 0.1 --config shipped/3 --init_from shipped --teacher_share none

and any other argument of `python -m training`.

Trains as `python -m training` does, but that so many of the notes that the model hears are wrong: their pitch is
one or two semitones off. What it is to predict stays right (scheduled sampling with noise in place of its own
draws: Bengio et al. 2015, arXiv 1506.03099). `python -m training.validate` and `python -m benchmarks.alone`
measure what comes of it, beside the same run with `--share 0`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch

from tokenization.interruption import errors_in_one_line, interruptible
from tokenization.vocabulary import OFFSET, PITCH_MAX, PITCH_MIN
from training.arguments import parse_arguments
from training.trainer import Trainer

# How far off a wrong note is, in semitones.
OFF = (-2, -1, 1, 2)


def corrupted(ids: torch.Tensor, share: float) -> torch.Tensor:
    """Token ids of which so many NOTE tokens have a pitch that is off; by torch's own generator.

    Args:
        ids (`int64`): of any shape.
        share (`float`): of the notes, 0 to 1.
    """
    first, last = OFFSET["NOTE"], OFFSET["NOTE"] + PITCH_MAX - PITCH_MIN
    off = torch.tensor(OFF)[torch.randint(len(OFF), ids.shape)].to(ids.device)
    is_wrong = (torch.rand(ids.shape) < share).to(ids.device) & (ids >= first) & (ids <= last)
    return torch.where(is_wrong, (ids + off).clamp(first, last), ids)


class Corrupted(Trainer):
    """A run whose model hears wrong notes while it is trained; validation hears none."""

    share = 0.0

    def _inputs(self, tensors: dict[str, Any]) -> dict[str, Any]:
        inputs = super()._inputs(tensors)
        if self.model.training:
            inputs["input_ids"] = corrupted(inputs["input_ids"], self.share)
        return inputs


def main(argv: Sequence[str] | None = None) -> int:
    """Train; returns the exit code, as `python -m training` does."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--share", type=float, required=True, help="of the notes that are heard, 0 to 1")
    given, rest = parser.parse_known_args(argv)
    if not 0 <= given.share <= 1:
        parser.error(f"--share is {given.share}; it must be 0 to 1.")
    return interruptible(lambda: _train(given.share, rest))


@errors_in_one_line
def _train(share: float, words: list[str]) -> int:
    run = Corrupted(parse_arguments(words))
    run.share = share
    run.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
