"""Rows that wait on disk come back as they were, and are nowhere else."""

from __future__ import annotations

import pickle

import pytest

from dataset_builder.features import row_of
from dataset_builder.pieces import Collection, Piece
from dataset_builder.processing import Known, process_all
from dataset_builder.store import RowStore, packed
from tokenization import write_midi


@pytest.fixture
def collection(tmp_path, new_score):
    """Three pieces of nearly a thousand notes and one that cannot be read."""
    paths = [tmp_path / f"{name}.mid" for name in ("a", "b", "c", "broken")]
    for seed, path in enumerate(paths[:3]):
        write_midi(new_score(seed, bars=60), path)
    paths[3].write_bytes(b"MThd")
    return Collection("scores", [Piece(path.stem, path) for path in paths])


def rows_of(done):
    return {split: [row for t in done.tables(split, 2) for row in t.to_pylist()] for split in done.kept}


def test_rows_come_back_in_their_order(collection, new_score):
    from dataset_builder.cleaning import clean
    from dataset_builder.corrections import read_piece

    store, places, expected = RowStore(), [], []
    for piece in collection.pieces[:3]:
        row = row_of(piece, clean(read_piece(piece), piece))
        places.append(store.add(packed(row)))
        expected.append((piece.id, row["notes"]["pitch"].tolist(), row["input_ids"].tolist(), row["changes"]))
    tables = list(store.read([places[2], places[0], places[1]], 2))
    assert [len(table) for table in tables] == [2, 1]
    found = [row for table in tables for row in table.to_pylist()]
    assert [(r["id"], r["notes"]["pitch"], r["input_ids"], r["changes"]) for r in found] == [
        expected[2],
        expected[0],
        expected[1],
    ]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_stays_in_memory_does_not_grow_with_the_notes(collection, processes):
    known = Known()
    done = process_all(collection, processes, known=known)
    rows = [row for part in rows_of(done).values() for row in part]
    assert {row["id"] for row in rows} == {"a", "b", "c"} and min(row["num_notes"] for row in rows) > 800
    assert [name for name, _ in done.skipped] == ["broken"]
    assert all(len(pickle.dumps(outcome)) < 3000 for outcome in known.outcomes.values())


def test_a_second_config_reads_nothing_again(collection):
    known = Known()
    first = rows_of(process_all(collection, known=known))
    for piece in collection.pieces:
        piece.path.unlink()
    assert rows_of(process_all(collection, known=known)) == first
