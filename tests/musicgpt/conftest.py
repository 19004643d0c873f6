"""A small model with random weights: what is tested here is the composing, not the music."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory):
    """A folder with a random model of 30,000 parameters."""
    import torch

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    torch.manual_seed(0)
    config = MusicGPTConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=1024
    )
    folder = tmp_path_factory.mktemp("tiny-model")
    MusicGPTForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def composer(tiny_model_folder):
    from musicgpt import Composer

    return Composer.from_pretrained(tiny_model_folder)
