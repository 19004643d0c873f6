"""Who scores what: rows that are measured once, the table, and what chains keep of Bach."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.measures import Rows, Set
from benchmarks.measures_text import KEPT, candidate_table, of_pitches, score_table
from musical_metrics.catalogue import FAMILIES
from tokenization.score import Score

SCORED = [family for family, scored in FAMILIES.items() if scored]


def test_a_piece_is_measured_once(tmp_path):
    asked = []

    def measure():
        asked.append(1)
        return [1.5, float("nan")]

    piece = Score([(0, 24, 60, 0)], key="C major")
    rows = Rows(tmp_path / "rows.json", ["a", "b"])
    rows.of(piece, 3, measure)
    rows.save()
    again = Rows(tmp_path / "rows.json", ["a", "b"])
    assert np.array_equal(again.of(piece, 3, measure), [1.5, np.nan], equal_nan=True)
    assert len(asked) == 1
    # Another piece, another key number and other metrics are measured anew.
    again.of(piece.replace(notes=[(0, 24, 62, 0)]), 3, measure)
    again.of(piece, 4, measure)
    Rows(tmp_path / "rows.json", ["a", "c"]).of(piece, 3, measure)
    assert len(asked) == 4


def test_of_pitches_leaves_out_what_chains_keep():
    kept = np.array([[3.0 if family in KEPT else 0.0 for family in SCORED]])
    assert of_pitches(kept).tolist() == [100.0]
    assert of_pitches(np.where(kept > 0, 0.0, 1.0)).tolist() == [50.0]
    assert of_pitches(np.where(kept > 0, np.nan, 1.0)).tolist() == [50.0]


def test_the_table_tells_who_scores_what():
    def made(values, groups):
        size = len(values)
        one = Set(np.zeros((size, 1)), ["fugue"] * size, [100] * size, groups, np.full(size, np.nan))
        return one, (
            np.array(values),
            np.ones((size, len(SCORED))),
            ["few cadences inside", None, None][:size],
        )

    sets, judged = {}, {}
    sets["bach"], judged["bach"] = made([80.0, 70.0, 60.0], [1, 1, 2])
    sets["markov"], judged["markov"] = made([20.0, 10.0], [1, 2])
    lines = score_table(sets, judged).splitlines()
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    assert lines[2] == "| Bach, held out | 3 | 70.0 | 61.0 to 79.0 |  | 50.0 | nothing (67 %) |"
    assert "| 1.000 (1.00 to 1.00) | 50.0 | few cadences inside (50 %) |" in lines[3]
    found = candidate_table(sets, {"the score": {name: one[0] for name, one in judged.items()}})
    assert found.splitlines()[2] == "| the score | 1.00 |"
    with pytest.raises(KeyError):
        score_table(sets, {"bach": judged["bach"]})
