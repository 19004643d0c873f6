"""Tiny models with random weights, and pieces to feed them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
from tests.sizes import TINY as TINY_SIZES

TINY = {**TINY_SIZES, "num_motifs": 97}


def tiny_model(seed: int = 0, **changes) -> MusicGPTForCausalLM:
    """A model of two layers, in evaluation mode, every weight random (also those that start at zero)."""
    torch.manual_seed(seed)
    model = MusicGPTForCausalLM(MusicGPTConfig(**{**TINY, **changes})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3 if "embed" in name or "interval" in name else 0.15)
    return model


def legal_ids(length: int, seed: int = 0) -> list[int]:
    """The beginning of a random piece, by the model's own grammar: prefix, pickup, notes in several voices,
    changes of meter.
    """
    from modeling_musicgpt.grammar_musicgpt import STATE, Grammar

    grammar = Grammar(MusicGPTConfig())
    generator = np.random.default_rng(seed)
    state, ids = STATE["START"], []
    while len(ids) < length:
        legal = np.flatnonzero(grammar.legal[state].numpy())
        legal = legal[legal != grammar.eos]
        meter = grammar.blocks["METER"]
        if generator.random() < 0.7:
            others = legal[(legal < meter.start) | (legal >= meter.stop)]
            legal = others if len(others) else legal
        ids.append(int(generator.choice(legal)))
        state = int(grammar.next_state[state, ids[-1]])
    return ids


@pytest.fixture(scope="session")
def tiny() -> MusicGPTForCausalLM:
    """A model that tests only read."""
    return tiny_model()
