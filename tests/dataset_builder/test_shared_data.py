"""What must be true of the real corpus; skipped where it is not there."""

from __future__ import annotations

from collections import Counter

import pytest

from dataset_builder.compare import agreement, main
from dataset_builder.configs import ReadOptions, choose
from dataset_builder.corrections import TABLES, read_piece
from dataset_builder.credits import CREDITS
from dataset_builder.keys import key_on_signature
from dataset_builder.presets import SEED33_COUNT
from dataset_builder.processing import process_all
from dataset_builder.report import report_of
from dataset_builder.sources import open_source
from tokenization.codec import decode
from tokenization.key import Key

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def collection(shared_data):
    return open_source(shared_data)


@pytest.fixture(scope="module")
def processed(collection):
    return process_all(collection, num_proc=2)


@pytest.fixture(scope="module")
def rows(processed):
    return {
        split: [row for table in processed.tables(split) for row in table.to_pylist()]
        for split in processed.kept
    }


def test_all_pieces_become_rows_and_the_notes_agree_with_the_catalogue(collection, processed):
    report = report_of(collection, processed)
    assert report["skipped"] == []
    found = report["catalogue"]
    assert found["disagree"] == []
    assert found["pieces"] == len(collection.pieces) >= 440
    assert found["expected"] - found["dropped"] == found["found"]


def test_every_source_and_typesetter_is_credited(collection):
    assert {piece.source for piece in collection.pieces} == set(CREDITS) - {"music21"}
    organ = [piece for piece in collection.pieces if piece.path.parent.parent.name == "bach_organ"]
    assert {"Urs Metzger", "Gérard Gréco", "Felix Braun"} < {piece.encoder for piece in organ}
    assert all(piece.encoder and piece.licence for piece in organ)


def test_splits_are_the_catalogues(collection, rows):
    splits = {row["id"]: split for split, part in rows.items() for row in part}
    assert all(splits[piece.id] == (piece.split or "train") for piece in collection.pieces)
    wtc = Counter(splits[piece.id] for piece in collection.pieces if piece.work == "WTC")
    assert (wtc["train"], wtc["validation"]) == (79, 8)
    numbers = {split: {row["number"] for row in part if row["work"] == "WTC"} for split, part in rows.items()}
    assert numbers["validation"] == {11, 14}
    assert not numbers["train"] & {9, 11, 14, 16}


def test_declared_keys_are_kept_and_tokens_decode(collection, rows):
    declared = {piece.id: f"{piece.tonic} {piece.mode}" for piece in collection.pieces if piece.mode}
    for row in (row for part in rows.values() for row in part):
        assert row["key"] == declared.get(row["id"], row["key"])
        decoded = decode(row["input_ids"]).score
        assert len(decoded) == row["num_notes"] - row["changes"]["token_duplicates"]


def test_the_rule_for_undeclared_modes_finds_the_declared_ones(collection):
    """On all pieces whose mode is known: given the tonic alone, or that of the relative major, the rule must
    find the key.
    """
    for piece in (piece for piece in collection.pieces if piece.mode):
        key = Key(piece.tonic, piece.mode)
        score = read_piece(piece)
        signature = key if key.mode == "major" else Key.of_number((key.pitch_class + 3) % 12)
        for tonic in {key.tonic, signature.tonic}:
            found = key_on_signature(score, tonic)
            assert (found.pitch_class, found.mode) == (key.pitch_class, key.mode), piece.id


def test_tables_known_to_be_wrong_are_put_right(rows):
    mended = {row["id"]: row for part in rows.values() for row in part if row["id"] in TABLES}
    meters = {name: (row["meter"], len(row["meters"]["onset"]), row["bars"]) for name, row in mended.items()}
    assert meters == {
        "mut_bwv988_bwv-988-v26": ("3/4", 1, 32),
        "mut_bwv830_bwv-830_5": ("2/2", 1, 33),  # the upbeat counts
        "mut_bwv903_bwv903fan": ("4/4", 1, 79),
    }
    notes = mended["mut_bwv903_bwv903fan"]["notes"]
    ends = [onset + duration for onset, duration in zip(notes["onset"], notes["duration"], strict=True)]
    assert sorted(ends)[-5:] == [79 * 96] * 5 and max(ends) == 79 * 96  # both hands close together


def test_known_keys_of_pieces_without_a_mode(rows):
    keys = {row["id"]: row["key"] for part in rows.values() for row in part}
    known = {
        "mut_bwv934_bwv-934": "C minor",  # declared by its signature as Eb
        "mut_bwv941_bwv-941": "E minor",
        "mut_bwv944_bwv-944-1": "A minor",
        "mut_bwv988_bwv-988-v21": "G minor",  # as Bb
        "mut_bwv988_bwv-988-v25": "G minor",  # as G
        "mut_bwv988_bwv-988-aria": "G major",
        "mut_bwv806_bach-english-suite-1-bourree-2": "A minor",
        "mut_bwv971_piano_1": "F major",
    }
    assert {name: keys[name] for name in known} == known
    assert {key for name, key in keys.items() if "bwv1080" in name} == {"D minor"}


def test_musicxml_gives_the_notes_of_the_tables(shared_data, capsys):
    assert main(["--source", str(shared_data / "wtc")]) == 0
    lines = capsys.readouterr().out.splitlines()
    values = [float(line.split()[1]) for line in lines[:-1]]
    assert len(values) == 39
    assert min(values) > 0.999
    assert sum(value == 1 for value in values) >= 38


def test_midi_gives_the_notes_of_the_tables(shared_data):
    pieces = {piece.id: piece for piece in open_source(shared_data / "wtc", "midi").pieces}
    tables = {piece.id: piece for piece in open_source(shared_data / "wtc").pieces}
    for name in ("wtc1f01", "wtc1p15", "wtc2f12"):
        assert agreement(pieces[name], tables[name]).f1 == 1


def test_seed33(collection):
    pieces = choose(collection, "wtc", ReadOptions(preset="seed33")).pieces
    assert len(pieces) == SEED33_COUNT
    assert {(piece.kind, piece.split) for piece in pieces} == {("prelude", "train")}
    assert [piece.id for piece in pieces] == sorted(piece.id for piece in pieces)
    assert pieces[19].id == "wtc1p24"
