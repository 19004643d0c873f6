"""The validation loss of a checkpoint in nats a note.

python -m training.validate --checkpoint DIR|shipped [DIR ...] --split validation [--data DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tokenization.interruption import errors_in_one_line
from tokenization.midi_writer import write_whole

from .arguments import DataArguments


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """What the commands on a split have in common."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--data", help="folder that `python -m dataset_builder` wrote")
    where.add_argument(
        "--scores", help="folder of scores, built into a cache first (default: ../shared/data)"
    )
    parser.add_argument(
        "--split", default="validation", choices=("train", "validation", "test"), help="default: validation"
    )
    parser.add_argument(
        "--form",
        default="all",
        choices=("all", "prelude", "fugue"),
        help="only pieces of this form (default: all)",
    )


def data_arguments(given: argparse.Namespace, **more: Any) -> DataArguments:
    """Those arguments as `DataArguments`."""
    return DataArguments(data=given.data, scores=given.scores, form=given.form, **more)


def write_json(path: str | os.PathLike, values: Any) -> None:
    """A JSON file, whole or not at all."""
    write_whole(path, json.dumps(values, indent=1).encode())


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m training.validate",
        description=(
            "Loss in nats a note: the sum over a note's NOTE, VOICE, DUR and TIME tokens, divided by the"
            " number of notes; prefix, first TIME, METER and special tokens count in neither. Pieces longer"
            " than the context are read in windows that overlap by half, and every note counts once."
        ),
    )
    parser.add_argument(
        "--checkpoint",
        default=["shipped"],
        nargs="+",
        help=(
            "folder, a run's folder, Hub id, or `shipped` (default); of several the mean of the probabilities"
            " is measured"
        ),
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--context",
        type=int,
        help="tokens a window (default: what the checkpoint was validated with, else all it can hold)",
    )
    parser.add_argument("--device", default="cpu", help="such as cuda (default: cpu)")
    parser.add_argument(
        "--bf16", action="store_true", help="autocast to bfloat16: faster, a little different"
    )
    parser.add_argument("--json", help="also write all figures to this file")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0, or 2 with one clear line for bad input."""
    given = build_parser().parse_args(argv)
    return show_report(lambda: validate(given), given.json)


@errors_in_one_line
def show_report(work: Callable[[], Any], to: str | None) -> int:
    """The table of the report that `work` gives, its figures in the JSON file `to`, if one is named; the exit
    code: 0, or 2 with one clear line where it cannot be made.
    """
    from .units import table

    result = work()
    print(table(result))
    if to:
        write_json(to, result.to_dict())
    return 0


def validate(given: argparse.Namespace) -> Any:
    """The report that the arguments ask for.

    Raises:
        MusicGPTError: if checkpoint or data cannot be read, or the context is out of range.
    """
    import torch

    from .ensemble import Ensemble
    from .errors import TrainingError
    from .evaluation import evaluate_report
    from .models import context_of
    from .sources import load_pieces

    model = Ensemble.load(given.checkpoint)
    limit = int(model.config.max_position_embeddings)
    if given.context is not None and not 32 <= given.context <= limit:
        raise TrainingError(f"--context is {given.context}; this model can hold 32 to {limit} tokens.")
    context = given.context or context_of(given.checkpoint[0], model)
    try:
        model.to(given.device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(
            f"--device {given.device} cannot be used: {str(error).splitlines()[0]}"
        ) from error
    pieces = load_pieces(data_arguments(given), (given.split,))[given.split]
    if not pieces:
        raise TrainingError(f"The data has no piece for the split {given.split!r}.")
    about = {
        "checkpoint": " + ".join(given.checkpoint),
        "split": given.split,
        "context": context,
        "overlap": "half",
        "dtype": "bf16" if given.bf16 else "fp32",
    }
    autocast = (
        (lambda: torch.autocast(given.device.split(":")[0], dtype=torch.bfloat16)) if given.bf16 else None
    )
    return evaluate_report(model, pieces, about, context=context, progress=True, autocast=autocast)


if __name__ == "__main__":
    sys.exit(main())
