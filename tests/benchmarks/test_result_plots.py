"""The pictures show every set and family that there is."""

from __future__ import annotations

import matplotlib.image
import numpy as np

from benchmarks.measures_text import SET_NAMES
from benchmarks.result_plots import BACH, COLOURS, OURS, draw_families, draw_scores, draw_told
from musical_metrics.catalogue import FAMILIES

SCORED = sum(FAMILIES.values())


def has(file, colour: str) -> bool:
    """Whether some point of a picture has a colour, near enough."""
    pixels = matplotlib.image.imread(file)[..., :3]
    wanted = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return bool((np.abs(pixels - wanted).max(axis=2) < 0.01).any())


def test_scores_and_families_of_all_sets(tmp_path):
    rng = np.random.default_rng(0)
    scores = {name: rng.uniform(0, 100, 9) for name in ("bach", "shipped", "markov")}
    draw_scores(scores, SET_NAMES, tmp_path / "scores.png")
    assert all(has(tmp_path / "scores.png", colour) for colour in (BACH, OURS, COLOURS["markov"]))
    assert not has(tmp_path / "scores.png", COLOURS["undertrained"])
    u = {name: rng.uniform(0, 2, (9, SCORED)) for name in ("bach", "shipped", "undertrained")}
    u["shipped"][:, 0] = np.nan  # a family that no piece has
    draw_families(u, SET_NAMES, tmp_path / "families.png")
    assert all(has(tmp_path / "families.png", colour) for colour in (OURS, COLOURS["undertrained"]))


def test_what_a_classifier_hears_of_either_form(tmp_path):
    one = {"auc": 0.8, "low": 0.7, "high": 0.9}
    found = {"families": {"all": one, "fugue": one}, "floor": {"all": one}, "control": {"all": one}}
    draw_told({"prelude": {**found, "families": {"all": one}}, "fugue": found}, tmp_path / "told.png")
    assert has(tmp_path / "told.png", OURS) and has(tmp_path / "told.png", COLOURS["markov"])
