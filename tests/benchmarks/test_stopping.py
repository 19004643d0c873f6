"""What is looked at of a run that was stopped by ear."""

from __future__ import annotations

import pytest

from benchmarks.stopping import Row, chosen, look_at, text
from training.errors import TrainingError


def test_first_best_and_last_are_looked_at_once_each():
    losses, combined = [6.0, 4.0, 5.0, 5.5], [10.0, 20.0, 30.0, 25.0]
    entries = [{"nats_per_note": a, "combined": b} for a, b in zip(losses, combined, strict=True)]
    assert chosen(entries) == {0: ["first"], 1: ["loss"], 2: ["combined"], 3: ["last"]}
    assert chosen(entries[:2]) == {0: ["first"], 1: ["loss", "combined", "last"]}


def test_a_run_that_was_not_heard_is_refused(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"kind": "eval", "nats_per_note": 4.0}\n')
    with pytest.raises(TrainingError, match="--musical_every"):
        look_at(tmp_path, lambda model: (0.0, 0.0, 0.0))


def test_the_table_has_a_line_a_checkpoint():
    lines = text([Row("quick", 2, "loss, last", 6.5, 3.0, 10.0, 2.5, 5.5, 40.0)]).splitlines()
    unknown = (float("nan"),) * 3
    assert text([Row("shipped", 0, "", *unknown, 50.0, 1.5, 60.0)]).splitlines()[2] == (
        "| shipped |  |  |  |  |  | 50.0 | 1.50 | 60 % |"
    )
    assert lines[2] == "| quick | 2 | loss, last | 6.50 | 3.0 | 10.0 | 2.5 | 5.50 | 40 % |"
