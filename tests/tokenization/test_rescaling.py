"""Note values that tokens hold better when they are doubled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset_builder.cleaning import clean
from dataset_builder.features import row_of, score_of_row
from dataset_builder.pieces import Piece
from musicgpt.prompts import continuation
from musicgpt.settings import Settings
from tokenization.codec import decode, encode
from tokenization.round_trip import kept_notes
from tokenization.score import Meter, Note, Score


def tiny_values(share: float, meter: tuple[int, int] = (3, 4)) -> Score:
    """A melody of sixteenths in D major of which a share are sixty-fourths of triplets, one tick long, in
    threes.
    """
    rows, now = [], 0
    for i in range(200):
        tiny = i % 100 < 100 * share
        rows.append(Note(now, 1 if tiny else 6, 62 + i % 7, 0))
        now += 2 if tiny else 6
    return Score(rows, meters=[Meter(0, *meter)], key="D major", tempo=40.0)


def test_a_piece_in_tiny_values_is_read_at_twice_its_values_and_written_at_its_own():
    score = tiny_values(0.3)
    fitting = score.normalised()
    assert (fitting.note_scale, fitting.meters[0].name, fitting.tempo) == (2, "3/2", 80.0)
    assert fitting.restored() == score and fitting.restored().note_scale is None
    assert fitting.normalised() == fitting
    assert score.quantised_with_changes()[1].durations == 0
    assert decode(encode(score)).score == score.quantised()
    assert kept_notes(score)["duration"] == len(score)
    assert Score.from_dict(fitting.to_dict()).restored() == score


@pytest.mark.parametrize(
    ("score", "why"),
    [
        (tiny_values(0.0), "every value has a token"),
        (tiny_values(0.3, meter=(9, 8)), "no meter is twice as long"),
        (
            tiny_values(0.0).replace(notes=[Note(6 * i, 5, 60, 0) for i in range(50)]),
            "10 ticks have none either",
        ),
    ],
)
def test_other_pieces_keep_their_values(score, why):
    assert score.normalised().note_scale is None, why
    assert score.normalised().meters == score.meters


def test_a_row_of_the_data_set_leads_back():
    score = tiny_values(0.3)
    piece = Piece(id="tiny", path=Path("tiny.mid"), source_file="tiny.mid")
    row = row_of(piece, clean(score, piece))
    assert row["note_scale"] == 2 and row["meter"] == "3/2" and row["original_meters"]["numerator"] == [3]
    back = score_of_row(row, original_key=True)
    assert back.meters == score.meters
    np.testing.assert_array_equal(back.array, score.array)
    plain = row_of(piece, clean(tiny_values(0.0), piece))
    assert plain["note_scale"] == 1 and plain["original_meters"]["numerator"] == []
    older = {name: value for name, value in plain.items() if name not in ("note_scale", "original_meters")}
    assert score_of_row(older).meters == tiny_values(0.0).meters


def test_a_prompt_is_continued_in_its_own_values():
    score = tiny_values(0.3)
    task = continuation(Settings(max_new_tokens=64), score, None, 4096)
    assert task.score.meters == score.meters
    read = decode(task.ids[:-4]).score
    assert read.meters[0].name == "3/4" and read.array[-1, 0] + task.shift <= score.array[-1, 0]
