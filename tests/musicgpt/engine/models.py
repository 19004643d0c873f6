"""Models with random weights for the tests of the engine, and pieces to feed them."""

from __future__ import annotations

import pytest
import torch

from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
from musicgpt.engine import EngineError, load
from tests.sizes import TINY

try:
    LEVELS = load().levels  # built now, where it is missing
except EngineError as error:
    pytest.skip(f"no engine: {error}", allow_module_level=True)

PROMPT = [1, 4, 7]
SIZES = {**TINY, "hidden_size": 64, "intermediate_size": 96, "num_motifs": 97}


def make_model(seed: int = 0, **changes) -> MusicGPTForCausalLM:
    """Random weights, none of them zero and large enough that logits differ."""
    torch.manual_seed(seed)
    model = MusicGPTForCausalLM(MusicGPTConfig(**{**SIZES, **changes})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.12)
    return model


def random_piece(model, length: int, seed: int, grammatical: bool = True) -> list[int]:
    """Tokens from `<bos>` on that the grammar allows, or any."""
    generator, grammar = torch.Generator().manual_seed(seed), model.grammar
    ids, state = [1], int(grammar.next_state[0, 1])
    while len(ids) < length:
        allowed = [t for t in grammar.legal[state].nonzero().flatten().tolist() if t not in (0, 1, 2)]
        allowed = allowed if grammatical else range(150)
        ids.append(allowed[int(torch.randint(len(allowed), (), generator=generator))])
        state = int(grammar.next_state[state, ids[-1]])
    return ids


def prompt(*rows: list[int]) -> dict[str, torch.Tensor]:
    """A left-padded batch."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    return {"ids": ids, "attention_mask": (ids != 0).long()}
