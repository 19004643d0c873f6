"""What musical early stopping chose, and whether the choice holds on measures that it did not use.

    python -m benchmarks.stopping RUN [RUN ...] [--pieces 8] [--tokens 400] [--first-seed 5000]

The runs are folders of `training` with `--musical_every` and `--keep_last` so high that every checkpoint is
there. Of each run the first checkpoint, that of the lowest loss, that of the best combined score, and the last one
compose anew, without the composer's rules, from seeds that the run did not use. Beside the musical score of these
pieces stand two measures that the stopping rule never sees: what a note of theirs costs the shipped model, and how
typical of Bach they are by the original's six metrics, which no score of ours holds (mean of `2^(-d^2)`, in percent). The
shipped weights stand beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .measures import nats_of_opening
from .measures_text import markdown


class Row(NamedTuple):
    """A checkpoint of a run: what the run knew of it, what chose it, and what its new pieces are.

    Attributes:
        run (`str`), epoch (`int`), chosen (`str`): where it stands, and by what it was chosen.
        loss, musical, combined (`float`): nats a note of validation, musical score, and what is stopped on.
        fresh (`float`): musical score of the new pieces, a mean.
        cost (`float`): nats a note of their openings under the shipped model; typical (`float`): percent.
    """

    run: str
    epoch: int
    chosen: str
    loss: float
    musical: float
    combined: float
    fresh: float
    cost: float
    typical: float


def chosen(entries: Sequence[Mapping[str, Any]]) -> dict[int, list[str]]:
    """Which validations of a run's log to look at: their places, and why.

    Args:
        entries (sequence of `dict`): the log's validations that have a combined score, in order.
    """
    places: dict[int, list[str]] = {0: ["first"]}
    losses, combined = ([e[key] for e in entries] for key in ("nats_per_note", "combined"))
    places.setdefault(int(np.argmin(losses)), []).append("loss")
    places.setdefault(int(np.argmax(combined)), []).append("combined")
    places.setdefault(len(entries) - 1, []).append("last")
    return dict(sorted(places.items()))


def typicality_of_unscored(values: Sequence[Any]) -> float:
    """Mean typicality, in percent, of the original's six metrics over judged pieces (`MusicalScore`)."""
    from musical_metrics.catalogue import BY_NAME

    found = [
        one.typicality
        for piece in values
        for name, one in piece.metrics.items()
        if BY_NAME[name].family == "original" and one.typicality is not None
    ]
    return 100 * float(np.mean(found)) if found else float("nan")


def look_at(run: Path, of_new_pieces: Callable[[Any], tuple[float, float, float]]) -> list[Row]:
    """The rows of a run.

    Args:
        of_new_pieces (callable): from a model to the last three fields of a row.

    Raises:
        TrainingError: if the run has no musical evaluation.
    """
    from training.errors import TrainingError
    from training.models import load_model
    from training.run_log import read_log

    entries = [e for e in read_log(run) if e["kind"] == "eval" and "combined" in e]
    if not entries:
        raise TrainingError(f"{run} has no musical evaluation: train with --musical_every 1.")
    rows = []
    for place, why in chosen(entries).items():
        entry = entries[place]
        found = of_new_pieces(load_model(str(run / "checkpoints" / f"step-{entry['step']:08d}")))
        figures = (entry["nats_per_note"], entry["musical_score"], entry["combined"])
        rows.append(Row(run.name, entry["epoch"], ", ".join(why), *figures, *found))
        print(rows[-1], flush=True)
    return rows


def new_pieces(
    model: Any, pieces: int, tokens: int, first_seed: int, judge: Any
) -> tuple[float, float, float]:
    """Of new pieces of a model: mean musical score, median nats a note of their openings under the model
    `judge`, and how typical they are by the original's six.
    """
    from musical_metrics.score import musical_score
    from training.musical import compose

    scores = [one.score for one in compose(model, pieces, tokens, first_seed=first_seed)]
    judged = [musical_score(score) for score in scores]
    cost = float(np.median([nats_of_opening(judge, score)[0] for score in scores]))
    return float(np.mean([one.value or 0.0 for one in judged])), cost, typicality_of_unscored(judged)


def text(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = ["run", "epoch", "chosen by", "loss", "musical score", "combined", "new pieces", "nats a note"]
    cells = [[*head, "typical of the six"]]
    for row in rows:
        known = (row.loss, row.musical, row.combined)
        figures = ["" if np.isnan(x) else f"{x:.{d}f}" for x, d in zip(known, (2, 1, 1), strict=True)]
        new = [f"{row.fresh:.1f}", f"{row.cost:.2f}", f"{row.typical:.0f} %"]
        cells.append([row.run, str(row.epoch or ""), row.chosen, *figures, *new])
    return markdown(cells, right_from=3)


def main() -> None:
    """The command line."""
    from training.models import load_model

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of training runs")
    parser.add_argument("--pieces", type=int, default=8, help="new pieces of each checkpoint (default 8)")
    parser.add_argument("--tokens", type=int, default=400, help="longest piece in tokens (default 400)")
    parser.add_argument("--first-seed", type=int, default=5000, help="their first seed (default 5000)")
    given = parser.parse_args()
    shipped = load_model("shipped")
    look = partial(
        new_pieces, pieces=given.pieces, tokens=given.tokens, first_seed=given.first_seed, judge=shipped
    )
    rows = [row for run in given.runs for row in look_at(run, look)]
    unknown = (float("nan"),) * 3
    rows.append(Row("shipped weights", 0, "", *unknown, *look(shipped)))
    print(text(rows))


if __name__ == "__main__":
    main()
