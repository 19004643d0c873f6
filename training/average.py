"""The average of several models' weights, as a run that can be validated and shipped.

python -m training.average OUT RUN_OR_FOLDER RUN_OR_FOLDER ... [--prefix-scale 1.5]

Models that were trained on from the same weights often lie in one basin, and their mean is better than each
(Wortsman et al. 2022, "Model soups").
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenization.interruption import errors_in_one_line

from .checkpoints import write_folder
from .errors import TrainingError
from .models import load_model, resolve
from .run_log import read_log
from .units import Report
from .validate import add_data_arguments, data_arguments, write_json

_PREFIX = "model.musical_embedding.wish.weight"


def average(
    out: Path,
    sources: Sequence[str],
    prefix_scale: float = 1.0,
    fields: dict[str, Any] | None = None,
    run: str | os.PathLike | None = None,
) -> Path:
    """Write the mean of the sources' weights to `out/best-loss`, with a run's log and arguments beside it, so
    that `out` is a run.

    Args:
        out: a new folder.
        sources (sequence of `str`): runs (their best model by loss) or folders of models.
        prefix_scale (`float`): multiplies the embeddings of what the prefix asks for, so that pieces obey it
            more; the loss says what that costs.
        fields (`dict`, *optional*): of the config, in place of the sources'. Weights that this adds begin at
            zero.
        run (*optional*): the run whose log and arguments are taken; the last source when not given.

    Raises:
        TrainingError: for fewer than two sources, other shapes, a folder that is there, or a field of the
            config that adds weights which do not begin at zero.
    """
    if len(sources) < 2:
        raise TrainingError(f"An average takes two models at least, not {len(sources)}.")
    if out.exists():
        raise TrainingError(f"{out} is there already: give a new folder.")
    run = Path(run or sources[-1])
    read_log(run)  # an error where there is none
    folders = [
        Path(s) / "best-loss" if (Path(s) / "best-loss").is_dir() else Path(resolve(s)) for s in sources
    ]
    model = _mean_of(folders)
    if prefix_scale != 1:
        _scale_prefix(model, prefix_scale, folders[0])
    if fields:
        model = _with_fields(model, fields)

    def fill(folder: Path) -> None:
        model.save_pretrained(folder / "best-loss")
        for name in ("log.jsonl", "training_arguments.json", "data.json"):
            if (run / name).is_file():
                shutil.copy(run / name, folder / name)

    write_folder(out, fill)
    return out / "best-loss"


def _mean_of(folders: Sequence[Path]) -> Any:
    models = [load_model(str(folder)) for folder in folders]
    weights = [model.state_dict() for model in models]
    for folder, other in zip(folders, weights, strict=True):
        if {k: w.shape for k, w in other.items()} != {k: w.shape for k, w in weights[0].items()}:
            raise TrainingError(
                f"{folder} has other weights than {folders[0]}: only models of one configuration can be"
                " averaged."
            )
    mean = {
        k: sum(w[k] for w in weights) / len(weights) if weights[0][k].is_floating_point() else weights[0][k]
        for k in weights[0]
    }
    models[0].load_state_dict(mean)
    return models[0]


def _scale_prefix(model: Any, scale: float, folder: Path) -> None:
    import torch

    weights = dict(model.named_parameters())
    if _PREFIX not in weights:
        raise TrainingError(
            f"A prefix_scale of {scale} needs models with prefix_encoding: {folder} has no {_PREFIX}."
        )
    with torch.no_grad():
        weights[_PREFIX].mul_(scale)


def _with_fields(model: Any, fields: dict[str, Any]) -> Any:
    """The model under a config with other fields."""
    config = type(model.config).from_dict({**model.config.to_dict(), **fields})
    grown = type(model)(config)
    missing, strange = grown.load_state_dict(model.state_dict(), strict=False)
    values = grown.state_dict()
    if wrong := strange or [name for name in missing if bool(values[name].any())]:
        raise TrainingError(
            f"The fields {fields} change more than weights that begin at zero: {wrong[0]} is not among those."
        )
    return grown


def add_figures(folder: Path, report: Report) -> None:
    """Put a validation beside an averaged model, as a run does."""
    write_json(folder / "figures.json", report.figures())


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    from .evaluation import evaluate_report
    from .sources import load_pieces

    parser = argparse.ArgumentParser(
        prog="python -m training.average", description="Average the weights of models and validate the mean."
    )
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument(
        "--prefix-scale",
        type=float,
        default=1.0,
        help="multiply the embeddings of what the prefix asks for (default: 1)",
    )
    parser.add_argument("sources", nargs="+", help="runs, or folders of models; the last one a run")
    add_data_arguments(parser)
    given = parser.parse_args(argv)
    folder = average(given.out, given.sources, given.prefix_scale)
    pieces = load_pieces(data_arguments(given), (given.split,))[given.split]
    report = evaluate_report(load_model(str(folder)), pieces, {}, progress=True)
    add_figures(folder, report)
    print(f"{folder}: {report.nats_per_note:.4f} nats a note")
    return 0


if __name__ == "__main__":
    sys.exit(main())
