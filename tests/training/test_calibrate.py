"""The scale of the logits: found again where it was put in, measured on what it was not fitted on, applied by
the model.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from training.arguments import Arguments
from training.calibrate import Places, calibrate, collect, fit, write_scale
from training.crops import TERMS, Piece
from training.errors import TrainingError
from training.evaluation import evaluate_report
from training.models import build_model, load_model

from .conftest import TINY, make_pieces


def drawn(scale: np.ndarray, tokens: int, seed: int) -> Places:
    """Tokens drawn from the softmax of random logits under a scale."""
    from training.calibrate import _TYPES

    rng = np.random.default_rng(seed)
    term = np.arange(tokens) % 4
    logits = rng.normal(0, 2, (tokens, 150)) + np.where(_TYPES[term], 4.0, -4.0)
    scaled = logits * (scale @ _TYPES + ~_TYPES.any(axis=0))
    target = (scaled + rng.gumbel(size=scaled.shape)).argmax(axis=1)
    return Places(logits, target, term, np.arange(tokens) // 4 % 4)


def test_a_fit_finds_the_scale_that_drew_the_tokens():
    scale = np.array([0.7, 1.2, 0.9, 1.5])
    places = drawn(scale, 12_000, 0)
    found = fit(places)
    np.testing.assert_allclose(found, scale, atol=0.08)
    least = places.losses(found).mean()
    for term in range(4):
        for step in (-0.02, 0.02):
            assert places.losses(found + step * np.eye(4)[term]).mean() > least
    assert least < places.losses(np.ones(4)).mean() - 0.01


def test_each_key_number_is_measured_by_the_fit_of_the_others():
    one, other = drawn(np.full(4, 0.6), 4000, 1), drawn(np.full(4, 1.6), 4000, 2)
    both = [np.concatenate(pair) for pair in zip(vars(one).values(), vars(other).values(), strict=True)]
    places = Places(*both[:3], np.concatenate([one.piece % 2, other.piece % 2 + 2]))
    score = make_pieces(1)[0].score
    pieces = [Piece(str(i), score, "ab"[i // 2]) for i in range(4)]
    found = calibrate(places, pieces)
    assert found.gain < -0.05 and found.interval[1] < 0  # what helps here harms there
    assert found.by_unit["a"]["NOTE"] == pytest.approx(fit(other)[0])
    assert found.before.sum() - found.after.sum() == pytest.approx(found.gain)
    assert fit(places) == pytest.approx(list(found.scale.values()), abs=1e-4)
    with pytest.raises(TrainingError, match="have one, a"):
        calibrate(places, [Piece(piece.name, score, "a") for piece in pieces])
    hopeless = Places(np.tile(np.eye(150)[100], (50, 1)), np.full(50, 100), np.full(50, 2), np.zeros(50, int))
    with pytest.raises(TrainingError, match="learnt too little"):
        fit(hopeless)


def test_a_written_scale_is_what_the_model_then_costs(tmp_path):
    """On whole pieces, read back from the folder."""
    model = build_model(Arguments.from_dict({"model": {"config_overrides": TINY}}).model, 1)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(30)
    model.save_pretrained(tmp_path)
    pieces = make_pieces(4, notes=40)
    places = collect(load_model(str(tmp_path)), pieces)
    assert evaluate_report(load_model(str(tmp_path)), pieces).nats_per_note == pytest.approx(
        places.losses(np.ones(4)).sum() / (places.term == 0).sum(), rel=1e-5
    )
    scale = dict(zip(TERMS, (0.5, 0.8, 1.1, 0.3), strict=True))
    weights = (tmp_path / "model.safetensors").read_bytes()
    write_scale(tmp_path, scale)
    assert json.loads((tmp_path / "config.json").read_text())["logit_scale"] == scale
    after = evaluate_report(load_model(str(tmp_path)), pieces).nats_per_note
    wanted = places.losses(np.array(list(scale.values()))).sum() / (places.term == 0).sum()
    assert after == pytest.approx(wanted, rel=1e-5)
    assert (tmp_path / "model.safetensors").read_bytes() == weights
