"""Which pieces a recipe takes, how often, and what it says of names that mean none."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from tokenization import write_midi
from training.arguments import DataArguments
from training.augmentation import Stage
from training.batches import plan_epoch
from training.errors import TrainingError
from training.sources import load_pieces, times_of

from .conftest import make_pieces, random_score

WORKS = {
    "wtc1p01": "WTC",
    "wtc1f02": "WTC",
    "wtc1p11": "WTC",
    "inv01": "invention",
    "bwv599": "Orgelbuechlein",
    "bwv651": "Leipzig chorales",
    "bwv2": "chorale",
    "bwv988": "BWV988",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A built data set of the WTC and one piece of each kind of further work."""
    from dataset_builder import BuildOptions, build_dataset

    folder = tmp_path_factory.mktemp("works")
    rng = np.random.default_rng(3)
    with (folder / "catalogue.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "work", "file"))
        for name, work in WORKS.items():
            write_midi(random_score(rng, 50, form=None), folder / f"{name}.mid")
            writer.writerow((name, work, f"{name}.mid"))
    out = tmp_path_factory.mktemp("built") / "data"
    build_dataset(BuildOptions(out=out, source=(str(folder),)))
    return str(out)


@pytest.mark.parametrize(
    "extra, further",
    [
        (None, set()),
        ([], set()),
        (["core"], {"inv01"}),
        (["core", "organ"], {"inv01", "bwv599", "bwv651"}),
        (["Orgelbuechlein", "chorales"], {"bwv599", "bwv2"}),
        (["keyboard"], {"bwv988"}),
        (["all"], set(WORKS) - {"wtc1p01", "wtc1f02", "wtc1p11"}),
    ],
)
def test_further_pieces_are_taken_by_name(data, extra, further):
    pieces = load_pieces(DataArguments(data=data, extra=extra))
    assert {piece.name for piece in pieces["train"]} == {"wtc1p01", "wtc1f02"} | further
    assert [piece.name for piece in pieces["validation"]] == ["wtc1p11"]


def test_how_often_a_piece_comes(data):
    asked = {"WTC": 2.0, "organ": 0.5, "Orgelbuechlein": 3.0, "chorales": 0.0}
    pieces = load_pieces(DataArguments(data=data, extra=["all"], times=asked))
    times = {piece.name: piece.times for piece in pieces["train"]}
    assert times == {"wtc1p01": 2, "wtc1f02": 2, "inv01": 1, "bwv599": 3, "bwv651": 0.5, "bwv988": 1}
    assert times_of({"work": "sinfonia"}, DataArguments(times={"all": 4.0, "core": 2.0})) == 2
    assert times_of({"work": "BWV903"}, DataArguments(times={"all": 4.0, "core": 2.0})) == 4


def test_pieces_are_held_out_where_the_data_has_no_validation(tmp_path):
    from datasets import load_dataset

    from dataset_builder import BuildOptions, build_dataset

    scores = tmp_path / "scores"
    scores.mkdir()
    for number in range(6):
        write_midi(random_score(np.random.default_rng(number), 40, form=None), scores / f"p{number}.mid")
    out = tmp_path / "built"
    build_dataset(BuildOptions(out=out, source=(str(scores),), validation_share=0.0))
    pieces = load_pieces(DataArguments(data=str(out), validation_share=0.4))
    assert [len(pieces[split]) for split in ("train", "validation")] == [4, 2]
    notes = {row["id"]: row["num_notes"] for row in load_dataset(str(out), split="train")}
    found = {piece.name: piece.num_notes for part in pieces.values() for piece in part}
    assert found == notes


@pytest.mark.parametrize("arguments", [{"extra": ["organs"]}, {"extra": [], "times": {"organs": 2.0}}])
def test_a_name_that_means_no_piece_is_refused(data, arguments):
    with pytest.raises(TrainingError, match=r"'organs'.*Leipzig chorales.*organ"):
        load_pieces(DataArguments(data=data, **arguments))


def test_an_epoch_takes_a_piece_as_often_as_asked():
    from dataclasses import replace

    plain = make_pieces(6)
    arguments = DataArguments(length=256, context_notes=0)
    stage = Stage(transpose=3, transpose_share=1.0)

    def segments(pieces):
        return [
            s.ids.tolist()
            for step in plan_epoch(pieces, arguments, stage, 0, 0, 4)
            for row in step
            for s in row
        ]

    once = len(segments(plain))
    twice = segments([replace(piece, times=2.0) for piece in plain])
    assert len(twice) > 1.5 * once
    assert sorted(segments(plain)) != sorted(twice[::2])  # the second time is augmented anew
    assert {tuple(s) for s in segments(plain)} <= {tuple(s) for s in twice}
    # Half: each piece in exactly one of two epochs that follow each other.
    whole = DataArguments(length=1024, context_notes=0, condition_dropout=0.0)
    for first in (0, 5):
        both = []
        for epoch in (first, first + 1):
            steps = plan_epoch([replace(piece, times=0.5) for piece in plain], whole, Stage(), 0, epoch, 4)
            both += [segment.ids.tolist() for step in steps for row in step for segment in row]
        assert sorted(both) == sorted(
            s.ids.tolist() for step in plan_epoch(plain, whole, Stage(), 0, 0, 4) for row in step for s in row
        )
    with pytest.raises(TrainingError, match="takes none of the pieces"):
        plan_epoch([replace(piece, times=0.0) for piece in plain], arguments, stage, 0, 0, 4)
