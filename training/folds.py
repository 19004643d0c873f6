"""The loss of a recipe over cross-validated key numbers: one run a fold, each measured on key numbers that it
did not see.

python -m training.folds --folds 6 --out runs/folds --config RECIPE [--key value ...]

The weights that are measured are those at the end of each run: what is held out chooses nothing. The same
command goes on after an end of any kind.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from .arguments import Arguments, parse_arguments
from .checkpoints import list_checkpoints
from .crops import Piece
from .errors import ArgumentsError, TrainingError
from .record import data_fingerprint, fingerprint
from .units import PieceLoss, Report, report
from .validate import show_report, write_json

LOSSES = "losses.json"
_KEY_NUMBER = re.compile(r"\d\d")


def units_of(pieces: Sequence[Piece]) -> list[str]:
    """What folds are made of: the key numbers, or all units where no piece has one."""
    units = sorted({piece.unit for piece in pieces})
    return [unit for unit in units if _KEY_NUMBER.fullmatch(unit)] or units


def split(pieces: Sequence[Piece], folds: int) -> list[tuple[list[Piece], list[Piece]]]:
    """Train and held-out pieces of each fold. Key numbers are dealt out in turn, so that each is held out
    once; pieces without one always train.

    Raises:
        TrainingError: if there are fewer key numbers than folds.
    """
    units = units_of(pieces)
    if len(units) < folds:
        raise TrainingError(f"{folds} folds need as many key numbers; these pieces have {len(units)}.")
    parts = []
    for number in range(folds):
        held = set(units[number::folds])
        parts.append(
            ([p for p in pieces if p.unit not in held], [p for p in pieces if p.unit in held and p.times])
        )
    return parts


def run_folds(arguments: Arguments, pieces: Sequence[Piece], folds: int, out: Path) -> Report:
    """Train and measure every fold that is not measured yet.

    Args:
        arguments (`Arguments`): of each run but for its folder.
        pieces: those of train and validation together.
        folds (`int`): how many. out: the folder, with one of each run inside.

    Raises:
        TrainingError: if a fold was measured with other arguments or pieces, or a run fails.
    """
    losses: list[PieceLoss] = []
    for number, (train, held) in enumerate(split(pieces, folds), start=1):
        folder = out / f"fold-{number}"
        own = replace(arguments, run=replace(arguments.run, output_dir=str(folder)))
        about = {**own.to_dict(), "run": {"seed": own.run.seed}}
        made_of = fingerprint(about, data_fingerprint({"train": train, "held": held}))
        if (folder / LOSSES).is_file():
            losses += _read(folder / LOSSES, made_of)
        else:
            measured = _fold(own, train, held)
            write_json(folder / LOSSES, {"made_of": made_of, "pieces": [_plain(one) for one in measured]})
            losses += measured
    return report(losses, {"folds": folds})


def _fold(arguments: Arguments, train: list[Piece], held: list[Piece]) -> list[PieceLoss]:
    from .evaluation import evaluate
    from .models import load_model
    from .trainer import Trainer

    Trainer(arguments, {"train": train, "validation": held}).run()
    last = list_checkpoints(Path(arguments.run.output_dir) / "checkpoints")[0]
    model = load_model(str(last))
    context = arguments.evaluation.context or int(model.config.max_position_embeddings)
    return evaluate(model, held, context, progress=True)


def _plain(loss: PieceLoss) -> dict[str, Any]:
    return {**asdict(loss), "nats": loss.nats.tolist(), "masked": loss.masked.tolist()}


def _read(path: Path, made_of: str) -> list[PieceLoss]:
    """What a fold cost, if it was made of the same.

    Raises:
        TrainingError: if not, or if it cannot be read.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known, rows = values["made_of"], values["pieces"]
        losses = [
            PieceLoss(**{**row, "nats": np.array(row["nats"]), "masked": np.array(row["masked"])})
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path} cannot be read: {' '.join(str(error).split())}; delete it to measure the fold again."
        ) from error
    if known != made_of:
        raise TrainingError(
            f"{path} is of other arguments or pieces: bring them back, or take another --out."
        )
    return losses


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    from tokenization.interruption import interruptible

    parser = argparse.ArgumentParser(
        prog="python -m training.folds",
        description=(
            "The loss of a recipe over cross-validated key numbers. All further arguments are those of"
            " training (python -m training --help)."
        ),
        allow_abbrev=False,
    )
    parser.add_argument("--folds", type=int, default=6, help="how many runs, at least 2 (default: 6)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/folds"), help="folder of the runs (default: runs/folds)"
    )
    parser.add_argument("--json", help="also write all figures to this file")
    given, words = parser.parse_known_args(argv)

    def work() -> Any:
        from .sources import load_pieces

        if given.folds < 2:
            raise ArgumentsError(f"--folds is {given.folds}; it must be at least 2.")
        arguments = parse_arguments(words, prog="python -m training.folds")
        parts = load_pieces(arguments.data)
        return run_folds(arguments, [*parts["train"], *parts["validation"]], given.folds, given.out)

    return interruptible(lambda: show_report(work, given.json))


if __name__ == "__main__":
    sys.exit(main())
