"""What musical early stopping chose, and whether the choice holds on measures that it did not use.

    python -m benchmarks.stopping --train FOLDER
    python -m benchmarks.stopping RUN [RUN ...] [--pieces 24] [--tokens 600] [--first-seed 5000]

The first trains the runs of `RUNS` into a folder (a quarter of an hour of one core; what is there is gone on with):
two small ones on the corpus, one of which overfits, and the recipe `quick`, which has chorales to learn from and must
lose. The second looks at them.

The runs are folders of `training` with `--musical_every` and `--keep_last` so high that every checkpoint that was
judged is there. Each of these composes anew, without the composer's rules, from seeds that the run did not use. Beside
the musical score of these pieces stand measures that the stopping rule never sees: what a note of theirs costs the
shipped model; how typical of Bach they are by the original's six metrics, which no score of ours holds (mean of
`2^(-d^2)`, in percent); and how much of them stands in the train split (`passage_similarity`), for a copy of Bach has
a good score. The shipped weights stand beside them. Every mean has its standard error over the pieces.

Below the table: how much better the checkpoint of the best combined score is than that of the lowest loss, by
each of them, and how well either orders all checkpoints (Spearman's rank correlation).
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tokenization import markdown

from .measures import nats_of_opening

ROOT = Path(__file__).resolve().parent.parent
# What is measured of new pieces: its name, digits behind the point, and whether more is better (1) or worse (-1).
MEASURES = (
    ("new pieces' score", 1, 1),
    ("nats a note", 2, -1),
    ("typical of the six, %", 1, 1),
    ("likeness to the train split", 3, -1),
)


_HEARD = (
    "--cpu true --threads 1 --mixed_precision no --keep_last 99 --stop_on combined"
    " --musical_pieces 16 --musical_tokens 600"
)
_SMALL = (
    f"{_HEARD} --length 256 --optimizer muon --learning_rate 2e-3 --matrix_learning_rate 6e-3 --schedule constant"
    " --config_overrides '{hidden_size: 64, intermediate_size: 192, num_hidden_layers: 2, num_attention_heads: 2}'"
)
# The arguments of `python -m training` of each run.
RUNS = {
    "ten": f"{_SMALL} --max_pieces 10 --dropout 0 --epochs 16 --eval_every 4 --save_every 4 --musical_every 4",
    "thirty": f"{_SMALL} --max_pieces 30 --dropout 0.05 --epochs 4 --musical_every 1",
    "quick": f"--config {ROOT / 'training/configs/quick.yaml'} {_HEARD} --musical_every 1",
}


class Mean(NamedTuple):
    """A mean over pieces and its standard error; NaN where there are too few."""

    value: float
    error: float


class Row(NamedTuple):
    """A checkpoint: what its run knew of it, what chose it, and what its new pieces are.

    Attributes:
        run (`str`), epoch (`int`), chosen (`str`): where it stands, and by what it was chosen.
        loss, combined (`float`): nats a note of validation, and what is stopped on; NaN when unknown.
        musical (`Mean`): musical score in the run.
        fresh (sequence of `Mean`): of new pieces, in the order of `MEASURES`.
    """

    run: str
    epoch: int
    chosen: str
    loss: float
    musical: Mean
    combined: float
    fresh: Sequence[Mean]


def mean_of(values: Sequence[float]) -> Mean:
    """Mean and standard error of the values that are numbers."""
    known = np.array([value for value in values if not np.isnan(value)])
    error = float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else float("nan")
    return Mean(float(known.mean()) if len(known) else float("nan"), error)


def chosen(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """By what each validation of a run's log is chosen; empty for the others.

    Args:
        entries (sequence of `dict`): the log's validations that have a combined score, in order.
    """
    losses, combined = ([e[key] for e in entries] for key in ("nats_per_note", "combined"))
    why: list[list[str]] = [[] for _ in entries]
    why[int(np.argmin(losses))].append("loss")
    why[int(np.argmax(combined))].append("combined")
    return [", ".join(words) for words in why]


def typicality_of_unscored(piece: Any) -> float:
    """Mean typicality, in percent, of the original's six metrics of a judged piece (`MusicalScore`)."""
    from musical_metrics.catalogue import BY_NAME

    found = [
        one.typicality
        for name, one in piece.metrics.items()
        if BY_NAME[name].family == "original" and one.typicality is not None
    ]
    return 100 * float(np.mean(found)) if found else float("nan")


def look_at(run: Path, of_new_pieces: Callable[[Any], Sequence[Mean]]) -> list[Row]:
    """The rows of a run.

    Args:
        of_new_pieces (callable): from a model to the last field of a row.

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
    for entry, why in zip(entries, chosen(entries), strict=True):
        found = of_new_pieces(load_model(str(run / "checkpoints" / f"step-{entry['step']:08d}")))
        musical = mean_of(entry["scores"])
        rows.append(
            Row(run.name, entry["epoch"], why, entry["nats_per_note"], musical, entry["combined"], found)
        )
        print(rows[-1], flush=True)
    return rows


def new_pieces(model: Any, pieces: int, tokens: int, first_seed: int, judge: Any) -> list[Mean]:
    """New pieces of a model by `MEASURES`; `judge` is the model that says what a note of their openings costs."""
    from musical_metrics.score import musical_score
    from training.musical import compose

    nan = float("nan")
    scores = [one.score for one in compose(model, pieces, tokens, first_seed=first_seed)]
    judged = [musical_score(score) for score in scores]
    return [
        mean_of([one.value or 0.0 for one in judged]),
        mean_of([nats_of_opening(judge, score)[0] for score in scores]),
        mean_of([typicality_of_unscored(one) for one in judged]),
        mean_of(
            [nan if (like := one.metrics["passage_similarity"].value) is None else like for one in judged]
        ),
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = ["run", "epoch", "chosen by", "loss", "musical score", "combined", *(m[0] for m in MEASURES)]
    cells = []
    for row in rows:
        fresh = [_cell(mean, digits) for mean, (_, digits, _) in zip(row.fresh, MEASURES, strict=True)]
        known = ["" if np.isnan(row.loss) else f"{row.loss:.2f}", _cell(row.musical, 1)]
        known.append("" if np.isnan(row.combined) else f"{row.combined:.1f}")
        cells.append([row.run, str(row.epoch or ""), row.chosen, *known, *fresh])
    return markdown.table(head, cells, right_from=3)


def _cell(mean: Mean, digits: int) -> str:
    return "" if np.isnan(mean.value) else f"{mean.value:.{digits}f} ± {mean.error:.{digits}f}"


def verdict(rows: Sequence[Row]) -> str:
    """Of the rows of one run: what the rule's choice gained over that of the loss, and how well either orders the
    checkpoints, by each of `MEASURES`. Positive is better throughout.
    """
    from scipy.stats import spearmanr

    by_loss, by_rule = (next(r for r in rows if word in r.chosen) for word in ("loss", "combined"))
    lines = []
    for k, (name, digits, sign) in enumerate(MEASURES):
        gain = sign * (by_rule.fresh[k].value - by_loss.fresh[k].value)
        error = float(np.hypot(by_rule.fresh[k].error, by_loss.fresh[k].error))
        fresh = [sign * row.fresh[k].value for row in rows]
        ranks = [
            spearmanr(fresh, known).statistic if len(rows) > 2 else float("nan")
            for known in ([row.combined for row in rows], [-row.loss for row in rows])
        ]
        gained = "the same epoch" if by_rule is by_loss else f"{gain:+.{digits}f} ± {error:.{digits}f}"
        lines.append([rows[0].run, name, gained, *(f"{rank:.2f}" for rank in ranks)])
    head = ["run", "by", "epoch of the rule against that of the loss", "order by the rule", "by the loss"]
    return markdown.table(head, lines, right_from=2)


def train(folder: Path) -> None:
    """Train the runs of `RUNS` into `folder`; what is there is gone on with."""
    from training.arguments import parse_arguments
    from training.trainer import Trainer

    for name, argv in RUNS.items():
        Trainer(parse_arguments([*shlex.split(argv), "--output_dir", str(folder / name)])).run()


def main() -> None:
    """The command line."""
    from training.models import load_model

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="*", help="folders of training runs")
    parser.add_argument("--train", type=Path, metavar="FOLDER", help="train the runs of `RUNS` into a folder")
    parser.add_argument("--pieces", type=int, default=24, help="new pieces of each checkpoint (default 24)")
    parser.add_argument("--tokens", type=int, default=600, help="longest piece in tokens (default 600)")
    parser.add_argument("--first-seed", type=int, default=5000, help="their first seed (default 5000)")
    given = parser.parse_args()
    if given.train:
        train(given.train)
        return
    shipped = load_model("shipped")
    look = partial(
        new_pieces, pieces=given.pieces, tokens=given.tokens, first_seed=given.first_seed, judge=shipped
    )
    runs = [look_at(run, look) for run in given.runs]  # none: the shipped weights alone
    unknown = float("nan")
    own = Row("shipped weights", 0, "", unknown, Mean(unknown, unknown), unknown, look(shipped))
    print(table([*(row for rows in runs for row in rows), own]))
    for rows in runs:
        print("\n" + verdict(rows))


if __name__ == "__main__":
    main()
