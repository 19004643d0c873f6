"""Epochs that workers cut ahead are those of `plan_epoch`."""

from __future__ import annotations

import os
import signal

import pytest

from training import loader as loading
from training.arguments import DataArguments
from training.augmentation import Stage
from training.batches import plan_epoch
from training.errors import TrainingError
from training.loader import Loader

from .conftest import make_pieces

DATA = DataArguments(data="x", length=96, packing=True)
STAGES = (Stage(), Stage(transpose=3, octave=0.5, drop_voice=0.5))


def tokens(plan):
    return [[[segment.ids.tolist() for segment in row] for row in step] for step in plan]


@pytest.fixture
def pieces(monkeypatch):
    monkeypatch.setattr(loading, "PIECES_A_TASK", 3)
    return make_pieces(8)


@pytest.fixture
def loader(pieces):
    loader = Loader(pieces, DATA, 7, 4, workers=2)
    yield loader
    loader.close()


def test_workers_cut_the_same_rows(pieces, loader):
    loader.prepare(1, STAGES[1])
    epochs = [(1, STAGES[1]), (0, STAGES[0]), (2, STAGES[1])]  # prepared, of another stage, not prepared
    for epoch, stage in epochs:
        assert tokens(loader.plan(epoch, stage)) == tokens(plan_epoch(pieces, DATA, stage, 7, epoch, 4))
    loader.prepare(3, STAGES[1])
    assert tokens(loader.plan(3, STAGES[0])) == tokens(plan_epoch(pieces, DATA, STAGES[0], 7, 3, 4))


def test_what_is_prepared_is_cut_before_it_is_asked_for(loader, monkeypatch):
    loader.prepare(0, STAGES[0])
    futures = loader._ahead[2]
    loader.prepare(0, STAGES[0])
    assert loader._ahead[2] is futures  # not a second time
    done = [future.result() for future in futures]
    assert len(done) == 3 and all(done)
    monkeypatch.setattr(loading, "cut_pieces", None)  # nothing is left to cut
    assert sum(len(step) for step in loader.plan(0, STAGES[0])) > 4


def test_a_worker_that_died_is_told(loader):
    loader.plan(0, STAGES[0])
    for process in loader._pool._processes.values():
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(TrainingError, match="fewer --workers"):
        loader.plan(1, STAGES[0])
