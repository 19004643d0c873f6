"""The average of several models' weights, as a run that can be validated and shipped.

python -m training.average OUT RUN_OR_FOLDER RUN_OR_FOLDER ... [--prefix-scale 1.5]

Models that were trained on from the same weights often lie in one basin, and their mean is better than each
(Wortsman et al. 2022, "Model soups").
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import TrainingError
from .models import load_model, resolve
from .run_log import read_log
from .units import Report
from .validate import add_data_arguments, data_arguments, write_json

_PREFIX = "model.musical_embedding.wish.weight"


def average(out: Path, sources: Sequence[str], prefix_scale: float = 1.0) -> Path:
    """Write the mean of the sources' weights to `out/best-loss`, with the last source's log and arguments
    beside it, so that `out` is a run.

    Args:
        out: a new folder.
        sources (sequence of `str`): runs (their best model by loss) or folders of models; the last one must
            be a run.
        prefix_scale (`float`): multiplies the embeddings of what the prefix asks for, so that pieces obey it
            more; the loss says what that costs.

    Raises:
        TrainingError: for fewer than two sources, other shapes, or a folder that is there.
    """
    if len(sources) < 2:
        raise TrainingError(f"An average takes two models at least, not {len(sources)}.")
    if out.exists():
        raise TrainingError(f"{out} is there already: give a new folder.")
    run = Path(sources[-1])
    read_log(run)  # an error where there is none
    folders = [
        Path(s) / "best-loss" if (Path(s) / "best-loss").is_dir() else Path(resolve(s)) for s in sources
    ]
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
    if prefix_scale != 1:
        if _PREFIX not in mean:
            raise TrainingError(
                f"A prefix_scale of {prefix_scale} needs models with prefix_encoding: {folders[0]} has no"
                f" {_PREFIX}."
            )
        mean[_PREFIX] = mean[_PREFIX] * prefix_scale
    models[0].load_state_dict(mean)
    models[0].save_pretrained(out / "best-loss")
    for name in ("log.jsonl", "training_arguments.json", "data.json"):
        if (run / name).is_file():
            shutil.copy(run / name, out / name)
    return out / "best-loss"


def add_figures(folder: Path, report: Report) -> None:
    """Put a validation beside an averaged model, as a run does."""
    own = report.unmasked
    values = {
        "nats_per_note": own.nats_per_note,
        "masked_nats_per_note": report.masked.nats_per_note,
        "bits_per_note": own.bits_per_note,
        **own.terms,
    }
    write_json(folder / "figures.json", values)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    from tokenization.errors import MusicGPTError

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
    try:
        folder = average(given.out, given.sources, given.prefix_scale)
        pieces = load_pieces(data_arguments(given), (given.split,))[given.split]
        report = evaluate_report(load_model(str(folder)), pieces, {}, progress=True)
    except MusicGPTError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    add_figures(folder, report)
    print(f"{folder}: {report.nats_per_note:.4f} nats a note")
    return 0


if __name__ == "__main__":
    sys.exit(main())
