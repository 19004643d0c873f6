"""Cross-validation over key numbers: each is held out once, by a run that did not see it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training import folds
from training.arguments import Arguments
from training.crops import Piece
from training.errors import TrainingError
from training.folds import LOSSES, main, run_folds, split
from training.trainer import Trainer

from .conftest import make_pieces, run_values


@pytest.fixture(scope="module")
def pieces() -> list[Piece]:
    """Two of each of four key numbers, and two without one."""
    made = make_pieces(10, notes=25)
    return [
        Piece(p.name, p.score, f"{i // 2 + 1:02d}" if i < 8 else p.name, p.tempo) for i, p in enumerate(made)
    ]


def test_every_key_number_is_held_out_once_and_others_always_train(pieces):
    parts = split(pieces, 3)
    held = [piece.name for _, part in parts for piece in part]
    assert sorted(held) == [piece.name for piece in pieces[:8]]
    for train, part in parts:
        assert not {p.unit for p in train} & {p.unit for p in part}
        assert {p.name for p in pieces[8:]} <= {p.name for p in train}
        assert len(train) + len(part) == len(pieces)
    with pytest.raises(TrainingError, match="5 folds need as many key numbers; these pieces have 4"):
        split(pieces, 5)


def test_folds_are_trained_measured_and_kept(pieces, tmp_path, monkeypatch):
    arguments = Arguments.from_dict(run_values(tmp_path, fit__epochs=1, fit__ema_decay=None))
    trained = []
    run = Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda self: (trained.append(self.given), run(self))[1])
    result = run_folds(arguments, pieces, 2, tmp_path / "out")
    assert [len(part["validation"]) for part in trained] == [4, 4]
    assert sorted(p.name for p in result.pieces) == [p.name for p in pieces[:8]]
    assert result.about["units"] == 4 and result.about["notes"] == sum(len(p.score) for p in pieces[:8])
    again = run_folds(arguments, pieces, 2, tmp_path / "out")
    assert len(trained) == 2 and again.to_dict() == result.to_dict()
    with pytest.raises(TrainingError, match="other arguments or pieces"):
        run_folds(arguments, pieces[:-1], 2, tmp_path / "out")
    kept = tmp_path / "out" / "fold-2" / LOSSES
    values = json.loads(kept.read_text())
    assert np.sum([row["nats"] for row in values["pieces"]]) == pytest.approx(
        sum(p.nats.sum() for p in result.pieces[4:])
    )
    kept.write_text("{")
    with pytest.raises(TrainingError, match="delete it to measure the fold again"):
        run_folds(arguments, pieces, 2, tmp_path / "out")


def test_the_command_names_what_is_wrong(built, capsys):
    assert main(["--folds", "1"]) == 2
    assert main(["--folds", "50", "--data", str(built)]) == 2
    assert main(["--no_such_thing", "1"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["error"] * 3
    assert "at least 2" in told[0] and "50 folds" in told[1] and "no_such_thing" in told[2]
    assert folds.units_of([]) == []
