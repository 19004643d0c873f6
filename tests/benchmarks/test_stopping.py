"""What is looked at of a run that was stopped by ear."""

from __future__ import annotations

import math
import shlex

import pytest

from benchmarks.stopping import RUNS, Mean, Row, chosen, look_at, mean_of, table, verdict
from training.arguments import parse_arguments
from training.errors import TrainingError

UNKNOWN = float("nan")


def row(epoch: int, why: str, loss: float, combined: float, score: float, nats: float) -> Row:
    """A row whose means have an error of 3 and 0.4."""
    fresh = (Mean(score, 3.0), Mean(nats, 0.4), Mean(50.0, UNKNOWN), Mean(0.01, 0.002))
    return Row("run", epoch, why, loss, Mean(combined, 2.0), combined, fresh)


def test_the_best_by_loss_and_by_ear_are_named():
    losses, combined = [6.0, 4.0, 5.0, 5.5], [10.0, 20.0, 30.0, 25.0]
    entries = [{"nats_per_note": a, "combined": b} for a, b in zip(losses, combined, strict=True)]
    assert chosen(entries) == ["", "loss", "combined", ""]
    assert chosen(entries[:2]) == ["", "loss, combined"]


def test_means_have_their_errors():
    mean = mean_of([1.0, 3.0, UNKNOWN, 5.0])
    assert (mean.value, mean.error) == (3.0, pytest.approx(2 / math.sqrt(3)))
    assert math.isnan(mean_of([1.0]).error)


@pytest.mark.parametrize("run", RUNS)
def test_every_run_is_one_that_the_training_takes(run):
    heard = parse_arguments([*shlex.split(RUNS[run]), "--output_dir", run]).evaluation
    assert heard.stop_on == "combined" and heard.musical_every == heard.save_every
    assert heard.keep_last > 50 and heard.musical_pieces == 16


def test_a_run_that_was_not_heard_is_refused(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"kind": "eval", "nats_per_note": 4.0}\n')
    with pytest.raises(TrainingError, match="--musical_every"):
        look_at(tmp_path, lambda model: ())


def test_the_table_has_a_line_a_checkpoint():
    shipped = Row("shipped", 0, "", UNKNOWN, Mean(UNKNOWN, UNKNOWN), UNKNOWN, (Mean(50.0, 2.5),) * 4)
    lines = table([row(2, "loss", 6.5, 10.0, 2.5, 5.5), shipped]).splitlines()
    assert (
        lines[2]
        == "| run | 2 | loss | 6.50 | 10.0 ± 2.0 | 10.0 | 2.5 ± 3.0 | 5.50 ± 0.40 | 50.0 ± nan | 0.010 ± 0.002 |"
    )
    assert lines[3] == "| shipped |  |  |  |  |  | 50.0 ± 2.5 | 50.00 ± 2.50 | 50.0 ± 2.5 | 50.000 ± 2.500 |"


def test_the_verdict_counts_what_was_gained():
    """The rule's epoch has 5 points more and costs 1 nat less; its order is that of both measures."""
    rows = [
        row(1, "", 5.0, 10.0, 10.0, 6.0),
        row(2, "loss", 4.0, 20.0, 15.0, 5.0),
        row(3, "combined", 4.5, 30.0, 20.0, 4.0),
    ]
    lines = verdict(rows).splitlines()
    assert lines[2] == "| run | new pieces' score | +5.0 ± 4.2 | 1.00 | 0.50 |"
    assert lines[3] == "| run | nats a note | +1.00 ± 0.57 | 1.00 | 0.50 |"
    assert "the same epoch" in verdict([row(1, "loss, combined", 5.0, 10.0, 10.0, 6.0)])
