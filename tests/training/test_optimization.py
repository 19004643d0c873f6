"""Groups of parameters, learning rates, the average of the weights."""

from __future__ import annotations

import pytest
import torch

from tokenization.errors import MusicGPTError
from training.arguments import FitArguments, ModelArguments
from training.errors import TrainingError
from training.models import GPT2_SIZE, build_model
from training.optimization import WeightAverage, build_optimizers, parameter_groups, rate_factor

from .conftest import TINY


@pytest.mark.parametrize(
    "kind, overrides",
    [("musicgpt", TINY), ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128})],
)
def test_decay_falls_on_matrices_only(kind, overrides):
    model = build_model(ModelArguments(model=kind, config_overrides=overrides), 0)
    groups = parameter_groups(model)
    listed = [id(p) for part in groups.values() for p in part]
    assert len(listed) == len(set(listed)) == len(list(model.parameters()))
    assert all(p.ndim < 2 for p in groups["vectors"])
    assert all(p.ndim == 2 for p in groups["matrices"])
    tied = model.get_input_embeddings().weight
    assert any(p is tied for p in groups["tables"])
    for optimizer in ("adamw", "muon"):
        built = build_optimizers(
            model, FitArguments(optimizer=optimizer, weight_decay=0.3, embedding_weight_decay=0.2)
        )
        assert len(built) == (2 if optimizer == "muon" else 1)
        decay = {
            id(p): group["weight_decay"] for o in built for group in o.param_groups for p in group["params"]
        }
        assert {decay[id(p)] for p in groups["vectors"]} == {0.0}
        assert {decay[id(p)] for p in groups["matrices"]} == {0.3}
        assert {decay[id(p)] for p in groups["tables"]} == {0.2}
    if kind == "musicgpt":
        names = {name for name, p in model.named_parameters() if any(p is q for q in groups["matrices"])}
        assert all(name.startswith("model.layers.") for name in names)
        assert len(names) == sum(p.ndim == 2 for p in model.model.layers.parameters())


def test_gpt2_of_the_same_size():
    sizes = [
        sum(p.numel() for p in build_model(ModelArguments(model=kind), 0).parameters())
        for kind in ("musicgpt", "gpt2")
    ]
    assert GPT2_SIZE["n_positions"] == 4096
    assert abs(sizes[0] / sizes[1] - 1) < 0.03


def test_schedules():
    cosine = FitArguments(schedule="cosine", warmup_ratio=0.1, final_lr_ratio=0.02)
    assert rate_factor(0.05, cosine) == pytest.approx(0.5)
    assert rate_factor(0.1, cosine) == pytest.approx(1.0)
    assert rate_factor(0.55, cosine) == pytest.approx(0.51)
    assert rate_factor(1.0, cosine) == pytest.approx(0.02)
    wsd = FitArguments(schedule="wsd", warmup_ratio=0.1, decay_ratio=0.2, final_lr_ratio=0.0)
    assert [rate_factor(x, wsd) for x in (0.5, 0.8, 0.9, 1.0)] == pytest.approx([1.0, 1.0, 0.5, 0.0])
    assert rate_factor(0.9, FitArguments(schedule="constant")) == 1.0


def test_average_of_the_weights():
    model = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = WeightAverage(model, decay=0.5)
    for _ in range(3):
        with torch.no_grad():
            model.weight.fill_(1.0)
        average.update(model)
    # Decays 2/11, 3/12 and 4/13: what is left of the 0 is their product.
    assert float(average.values["weight"][0, 0]) == pytest.approx(1 - 2 / 11 * 3 / 12 * 4 / 13)
    with average.swapped(model):
        assert float(model.weight[0, 0]) != 1.0
    assert (model.weight == 1.0).all()


def test_models_are_refused_by_name(tmp_path):
    from training.models import load_model

    with pytest.raises(TrainingError, match="no field 'hidden'"):
        build_model(ModelArguments(config_overrides={"hidden": 3}), 0)
    with pytest.raises(TrainingError, match="hidden_size"):
        build_model(ModelArguments(config_overrides={"hidden_size": 33}), 0)
    with pytest.raises(TrainingError, match="There is no checkpoint"):
        load_model(str(tmp_path / "missing"))
    with pytest.raises(TrainingError, match="no model in"):
        load_model(str(tmp_path))


@pytest.mark.parametrize(
    ("kind", "fields"), [("musicgpt", TINY), ("gpt2", {"n_embd": 32, "n_layer": 1, "n_head": 2})]
)
def test_a_model_is_read_as_one_that_nobody_vouches_for(kind, fields, tmp_path):
    """`init_from`, teachers and `training.validate` read models by `load_model`; nothing is unpickled."""
    from safetensors.torch import load_file, save_file

    from training.models import load_model

    folder, file = str(tmp_path), tmp_path / "model.safetensors"
    made = build_model(ModelArguments(model=kind, config_overrides=fields), 3).half()
    made.save_pretrained(folder)
    (tmp_path / "generation_config.json").write_text('{"num_beams": 8}')
    read = build_model(ModelArguments(model=kind, init_from=folder, dropout=0.25), 0)
    assert read.dtype == torch.float32 and read.training
    assert all(torch.equal(w, made.state_dict()[name].float()) for name, w in read.state_dict().items())
    assert 0.25 in (getattr(read.config, "hidden_dropout", 0), getattr(read.config, "resid_pdrop", 0))
    weights = load_file(file)
    name = max(weights)
    for value, words in (
        (weights[name].clone().fill_(torch.nan), f"{name} holds values that are no numbers"),
        (weights[name][:-1].clone(), f"{name} has the shape"),
    ):
        save_file({**weights, name: value}, file)
        with pytest.raises(MusicGPTError, match=words):
            load_model(folder)
    file.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(MusicGPTError, match="pickles are never loaded"):
        load_model(folder)
