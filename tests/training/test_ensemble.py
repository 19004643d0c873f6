"""Several models as one: their mean, and a student that learns it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tokenization.vocabulary import PAD_ID
from training.arguments import Arguments
from training.batches import collate, plan_epoch
from training.ensemble import Ensemble, distilled
from training.errors import TrainingError
from training.losses import token_losses
from training.models import build_model
from training.trainer import Trainer
from training.validate import build_parser, validate

from .conftest import TINY, make_pieces, run_values


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two folders with random models of one size, one of which is sure of itself."""
    arguments = Arguments.from_dict({"model": {"config_overrides": TINY}}).model
    folders = []
    for seed in (1, 2):
        model = build_model(arguments, seed)
        with torch.no_grad():
            model.get_input_embeddings().weight.mul_(8 * seed)
        folder = tmp_path_factory.mktemp("teacher") / str(seed)
        model.save_pretrained(folder)
        folders.append(str(folder))
    return folders


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    data = Arguments.from_dict({"data": {"length": 96, "context_notes": 2}}).data
    from training.augmentation import Stage

    rows = plan_epoch(make_pieces(3), data, Stage(), 0, 0, 4)[0]
    return {name: torch.from_numpy(value) for name, value in vars(collate(rows)).items()}


def test_the_ensemble_is_the_mean_of_the_probabilities(teachers, batch):
    both = Ensemble.load(teachers)
    ids = batch["input_ids"]
    with torch.no_grad():
        found = both(input_ids=ids).logits
        parts = [model(input_ids=ids).logits.double().softmax(-1) for model in both.models]
    torch.testing.assert_close(found.double().exp(), (parts[0] + parts[1]) / 2, rtol=1e-4, atol=1e-6)
    assert not any(p.requires_grad for p in both.parameters())
    with pytest.raises(TrainingError, match="no/such"):
        Ensemble.load(["./no/such"])


def test_models_of_different_contexts_are_refused(teachers, tmp_path):
    arguments = Arguments.from_dict(
        {"model": {"config_overrides": {**TINY, "max_position_embeddings": 128}}}
    ).model
    build_model(arguments, 0).save_pretrained(tmp_path / "short")
    with pytest.raises(TrainingError, match="128"):
        Ensemble.load([teachers[0], str(tmp_path / "short")])


def test_a_distilled_loss_is_the_cross_entropy_against_the_mixture(batch):
    generator = torch.Generator().manual_seed(0)
    shape = (*batch["targets"].shape, 150)
    logits, taught = (torch.randn(shape, generator=generator) for _ in range(2))
    taught = taught.log_softmax(-1)
    losses = token_losses(logits, batch["targets"])
    torch.testing.assert_close(distilled(logits, taught, batch["targets"], losses, 0.0), losses)
    mixed = distilled(logits, taught, batch["targets"], losses, 0.25)
    # By hand: one place, the target's share and the teacher's.
    row, place = 0, int((batch["targets"][0] >= 0).nonzero()[3])
    aim = 0.25 * taught[row, place - 1].exp()
    aim[batch["targets"][row, place]] += 0.75
    expected = -(aim * logits[row, place - 1].log_softmax(-1)).sum()
    torch.testing.assert_close(mixed[row, place], expected)
    assert (mixed[batch["targets"] < 0] == 0).all()


def test_a_student_comes_nearer_to_its_teachers(teachers, tmp_path: Path):
    values = run_values(tmp_path / "run", fit__epochs=12, fit__label_smoothing=0.0, fit__ema_decay=None)
    values["model"].update(teachers=teachers, config_overrides=TINY)
    values["fit"].update(teacher_share=1.0, learning_rate=3e-3)
    values["augmentation"]["stages"] = []
    pieces = make_pieces(4)
    trainer = Trainer(Arguments.from_dict(values), {"train": pieces, "validation": []})
    trainer.setup()
    trainer.load_data()
    trainer.build()
    before = _distance(trainer)
    trainer.resume()
    trainer.fit()
    assert _distance(trainer) < 0.8 * before


def _distance(trainer: Trainer) -> float:
    """Kullback-Leibler divergence of the student from its teachers, nats a token, over one epoch of the run's
    own rows.
    """
    from training.augmentation import Stage

    batch = collate(plan_epoch(trainer.train_pieces, trainer.arguments.data, Stage(), 9, 0, 99)[0])
    ids, positions = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.position_ids)
    model = trainer.plain.eval()
    with torch.no_grad():
        taught = trainer.teachers(input_ids=ids, position_ids=positions, use_cache=False).logits
        learnt = model(input_ids=ids, position_ids=positions, use_cache=False).logits.log_softmax(-1)
    model.train()
    return float(
        (taught.exp() * (taught - learnt)).sum(-1)[torch.from_numpy(batch.input_ids) != PAD_ID].mean()
    )


def test_validate_measures_the_mean_of_several(teachers, built: Path, tmp_path: Path):
    figures = []
    for names in ([teachers[0]], [teachers[1]], teachers):
        given = build_parser().parse_args(
            ["--checkpoint", *names, "--data", str(built), "--split", "train", "--context", "128"]
        )
        figures.append(validate(given).nats_per_note)
    # The mean of probabilities never loses more than the mean of the losses (Jensen's inequality).
    assert figures[2] < np.mean(figures[:2])
