"""No pitch returns more often than in any passage of Bach, in the usual loop and in the fast one alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
from modeling_musicgpt.repetition_musicgpt import WINDOWS

PITCH = 40  # of the 64
PROMPT = torch.tensor([[1, 4, 7, 10]])


@pytest.fixture(scope="module")
def hammering() -> MusicGPTForCausalLM:
    """A model that wants one note above all."""
    torch.manual_seed(0)
    model = MusicGPTForCausalLM(
        MusicGPTConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    ).eval()
    note = model.config.token_blocks["NOTE"][0] + PITCH
    with torch.no_grad():
        row = model.lm_head.weight[note]
        model.model.norm.bias.copy_(5 * row / row.square().sum())
    return model


def worst(ids: torch.Tensor, model: MusicGPTForCausalLM, window: int) -> int:
    """The most often that one pitch stands in so many successive notes."""
    first, count = model.config.token_blocks["NOTE"]
    notes = ids[(ids >= first) & (ids < first + count)].numpy() - first
    parts = np.lib.stride_tricks.sliding_window_view(notes, min(window, len(notes)))
    return max(int(np.bincount(part).max()) for part in parts)


def compose(model: MusicGPTForCausalLM, **arguments) -> torch.Tensor:
    torch.manual_seed(1)
    return model.generate(
        PROMPT, max_new_tokens=700, min_new_tokens=690, do_sample=True, top_k=0, **arguments
    )[0]


def test_a_hammered_note_is_held_back(hammering):
    free = compose(hammering, limit_repetition=False)
    assert all(worst(free, hammering, window) > limit for window, limit in WINDOWS)
    bound = compose(hammering)
    assert hammering.stock_loop_because is None
    assert [worst(bound, hammering, window) for window, _ in WINDOWS] == [limit for _, limit in WINDOWS]


def test_the_prompt_counts(hammering):
    note, voice, duration, time = 27 + PITCH, 91, 102, 133
    prompt = torch.cat([PROMPT[0], torch.tensor([128, *[note, voice, duration, time] * WINDOWS[0][1]])])[None]
    after = hammering.generate(prompt, max_new_tokens=1, do_sample=False)[0, -1]
    assert after != note
    assert (
        hammering.generate(
            prompt, max_new_tokens=1, do_sample=False, limit_repetition=False, end_at_bar=False
        )[0, -1]
        == note
    )
