"""The shipped model in eight bits, by each library that people use for it: logits near those of float32, and
the same grammar.
"""

from __future__ import annotations

import copy
import warnings

import pytest
import torch

from modeling_musicgpt import MusicGPTForCausalLM, shipped_checkpoint
from tokenization.codec import first_error

from .conftest import legal_ids

# What a logit may differ by. Greedy choices mostly lie further apart, and sampling does not notice.
TOLERANCE = 0.5


def _bitsandbytes(_):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed (pip install bitsandbytes)")
    from transformers import BitsAndBytesConfig

    return MusicGPTForCausalLM.from_pretrained(
        shipped_checkpoint(), quantization_config=BitsAndBytesConfig(load_in_8bit=True)
    )


def _torchao(_, config: str):
    torchao = pytest.importorskip(
        "torchao.quantization", reason="torchao is not installed (pip install torchao)"
    )
    from transformers import TorchAoConfig

    return MusicGPTForCausalLM.from_pretrained(
        shipped_checkpoint(), quantization_config=TorchAoConfig(getattr(torchao, config)())
    )


def _torch(model):
    quantise = getattr(torch.ao.quantization, "quantize_dynamic", None)
    if quantise is None:
        pytest.skip("this torch has no quantize_dynamic any more")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return quantise(copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8)


KINDS = {
    "bitsandbytes": _bitsandbytes,
    "torchao weights": lambda model: _torchao(model, "Int8WeightOnlyConfig"),
    "torchao weights and activations": lambda model: _torchao(model, "Int8DynamicActivationInt8WeightConfig"),
    "quantize_dynamic": _torch,
}


@pytest.fixture(scope="module")
def shipped() -> MusicGPTForCausalLM:
    return MusicGPTForCausalLM.from_pretrained(shipped_checkpoint()).eval()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_eight_bits_are_near_float32(kind, shipped):
    model = KINDS[kind](shipped).eval()
    ids = torch.tensor([legal_ids(192, seed=seed) for seed in range(2)])
    logits, expected = model(ids).logits.float(), shipped(ids).logits
    assert 0 < (logits - expected).abs().max() < TOLERANCE
    torch.manual_seed(0)
    for row in model.generate(ids[:, :9], max_new_tokens=40, do_sample=True).tolist():
        assert first_error(row) is None
