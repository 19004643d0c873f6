"""Faults of known tables are mended while they are there, and only then. The tables here are made up; only
their faults are those of the real ones.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from dataset_builder.catalogue import CATALOGUE, read_catalogue
from dataset_builder.cleaning import clean
from dataset_builder.corrections import TABLES, read_piece
from dataset_builder.pieces import Piece
from tokenization.reading import read_score

HEAD = "onset_q\tdur_q\tmidi\tvoice\tbar\tbar_pos_q\ttime_signature"


@pytest.fixture
def new_piece(tmp_path):
    """Writes rows (onset, duration, pitch, voice, bar, place in the bar, meter) as the table of a piece with
    that id.
    """

    def write(identifier: str, rows: list[tuple]) -> Piece:
        path = tmp_path / f"{identifier}.tsv"
        path.write_text(
            "\n".join([HEAD, *("\t".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8"
        )
        return Piece(id=identifier, path=path)

    return write


def two_meters(second: str) -> list[tuple]:
    hands = (("lower", 48, "3/4", Fraction(1)), ("upper", 72, second, Fraction(1, 6)))
    return sorted(
        (time * length, length, pitch, voice, time * length // 3 + 1, time * length % 3, meter)
        for voice, pitch, meter, length in hands
        for time in range(int(6 / length))
    )


def test_two_meters_at_once_become_one(new_piece):
    piece = new_piece("mut_bwv988_bwv-988-v26", two_meters("18/16"))
    assert len(read_score(piece.path).meters) > 1
    score = read_piece(piece)
    assert [meter.name for meter in score.meters] == ["3/4"]
    assert (score.num_bars, len(score), score.title) == (2, 42, piece.id)
    assert any("one meter, 3/4" in notice for notice in score.notices)


def test_a_first_ending_of_half_a_bar_goes(new_piece):
    upbeat = [(0, 2, 76, "upper", 0, 2, "2/2"), (0, 2, 52, "lower", 0, 2, "2/2")]
    bars = [(2 + 4 * n, 4, 60 + n, voice, n + 1, 0, "2/2") for n in range(11) for voice in ("upper", "lower")]
    first = [(46, 2, 67, "upper", 12, 0), (46, 1, 47, "lower", 12, 0), (47, 1, 43, "lower", 12, 1)]
    second = [(48, 2, 67, "upper", 12, 0), (50, 2, 71, "upper", 12, 2), (48, 4, 43, "lower", 12, 0)]
    endings = [(*row, "2/2") for row in (*first, *second)]
    piece = new_piece("mut_bwv830_bwv-830_5", [*upbeat, *bars, *endings, (52, 4, 72, "upper", 13, 0, "2/2")])
    score, raw = read_piece(piece), read_score(piece.path)
    # The bar lines of bar 13 fall where they belong: the upbeat, and twelve whole bars.
    assert int(score.array[:, 0].max()) == 13 * 96 == int(raw.array[:, 0].max()) - 48
    cleaned = clean(score, piece)
    assert len(raw) - len(cleaned.score) == cleaned.changes["repeats"] == 3


def test_a_late_hand_is_moved(new_piece):
    late = [("215", "3/4", 75), ("863/4", "3/4", 78), ("433/2", "3/4", 77), ("869/4", "1/4", 75)]
    late.append(("437/2", "1", 73))
    rows = [(212, 3, 66, "upper", 54, 0, "4/4"), (212, 5, 41, "lower", 54, 0, "4/4")]
    rows += [(217, 3, 42, "lower", 55, 1, "4/4")]
    rows += [(time, length, pitch, "upper", 0, 0, "4/4") for time, length, pitch in late]
    score = read_piece(new_piece("mut_bwv903_bwv903fan", rows))
    places = sorted(
        (int(onset - score.array[0, 0]), int(length), int(pitch))
        for onset, length, pitch, _ in score.array.tolist()
    )
    assert score.array[0, 0] % 96 == 0
    run = [(72 + 6 * i, 6, pitch) for i, pitch in enumerate((75, 78, 77, 75))]
    assert places == [(0, 72, 66), (0, 120, 41), *run, (120, 24, 73), (120, 72, 42)]


@pytest.mark.parametrize("identifier", TABLES)
def test_a_table_without_the_fault_stays_as_it_is(new_piece, identifier):
    piece = new_piece(identifier, two_meters("3/4"))
    assert read_piece(piece) == read_score(piece.path)
    assert read_piece(Piece(id="other", path=piece.path)) == read_score(piece.path)


def test_a_wrong_key_of_a_catalogue_is_put_right(tmp_path):
    (tmp_path / CATALOGUE).write_text(
        "id,tonic,mode\nmut_bwv672,C,major\nmut_bwv673,E,minor\n", encoding="utf-8"
    )
    found, missing = read_catalogue(tmp_path / CATALOGUE)
    assert [(piece.tonic, piece.mode) for piece in found + missing] == [("A", "minor"), ("E", "minor")]
