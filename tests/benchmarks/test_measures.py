"""Who scores what: rows that are measured once, the table, and what chains keep of Bach."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.measures import Rows, Set, by_families
from benchmarks.measures_text import KEPT, SET_NAMES, SHOWN, candidate_table, of_pitches, page, score_table
from musical_metrics.catalogue import FAMILIES, METRICS
from musical_metrics.reference import WHOLE, table
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


def test_the_page_has_every_set_and_every_metric():
    bach = table()
    sets = {
        name: Set(
            bach.values[WHOLE][k : k + 6],
            bach.forms[k : k + 6].tolist(),
            [1000] * 6,
            [f"{name} {i}" for i in range(6)],
            np.full(6, np.nan),
        )
        for k, name in enumerate(SET_NAMES)
    }
    judged = {name: by_families(one) for name, one in sets.items()}
    found = {"the musical score": {name: one[0] for name, one in judged.items()}}
    text = page(sets, judged, found, {"undertrained": 6.3, "halfway": 4.1}, 480)
    assert "8 minutes of one core" in text and "small models of 6.3" in text
    assert "    score = 100 * 2^(-mean_f u_f^2)\n" in text and "docs/metrics.md" not in text
    for name in ("metrics_scores.png", "metrics_families.png"):
        assert f"(images/{name})" in text
    lines = text.splitlines()
    assert all(any(line.startswith(f"| {title} |") for line in lines) for title in SET_NAMES.values())
    assert all(any(line.startswith(f"| {metric.title} |") for line in lines) for metric in METRICS)
    assert f"| family | {' | '.join(SET_NAMES[name] for name in SHOWN)} |" in lines
