"""Preference tuning: what is better, and that a model comes to prefer it."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import preferences
from benchmarks.preferences import log_likelihood, pair_of, preference_loss, reward, tune
from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
from tokenization.codec import decode, prefix_ids
from tokenization.score import PITCH, Key, Score

ALONE = [(0, 24, 72, 0), (24, 24, 67, 0), (48, 24, 64, 0), (72, 24, 60, 0), (96, 96, 60, 1), (96, 96, 76, 0)]
TOGETHER = [(0, 24, 72, 0), (0, 24, 61, 1), (24, 24, 71, 0), (24, 24, 60, 1), (48, 96, 72, 0)]
WISHES = {"form": "fugue", "voices": 2, "mode": "major", "meter": "4/4", "tempo": "moderate"}


@pytest.fixture
def model() -> MusicGPTForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    return MusicGPTForCausalLM(MusicGPTConfig(**sizes)).eval()


def test_what_was_asked_for_is_better():
    alone, together = (Score(notes=notes, key=Key.parse("C major")) for notes in (ALONE, TOGETHER))
    assert reward(WISHES, alone) == 3.0
    assert reward(WISHES, together) < 1.0  # a minor ninth is struck, too
    assert reward({**WISHES, "form": "prelude"}, together) > reward(WISHES, together)
    assert reward(WISHES, alone.replace(notes=[*ALONE, (192, 24, 96, 0)])) == 2.0


def test_a_model_comes_to_prefer_the_better(model):
    pairs = torch.randint(14, 150, (8, 2, 40), generator=torch.Generator().manual_seed(1))
    before = log_likelihood(model, pairs).detach()
    assert preference_loss(before, before, 0.1).tolist() == pytest.approx([math.log(2)] * 8)
    tune(model, pairs, beta=0.1, learning_rate=1e-3)
    gained = log_likelihood(model, pairs).detach() - before
    assert (gained[:, 0] > gained[:, 1]).sum() >= 7


def test_a_pair_is_of_one_prompt_the_better_first(model, monkeypatch):
    def height(wishes: dict, score: Score) -> float:
        return float(score.array[:, PITCH].mean())

    monkeypatch.setattr(preferences, "reward", height)
    better, worse = pair_of(model, WISHES, seed=3).tolist()
    assert better[:6] == worse[:6] == prefix_ids(**WISHES)
    heights = [height(WISHES, decode(row, strict=False).score) for row in (better, worse)]
    assert heights[0] >= heights[1] + preferences.CLEAR
    monkeypatch.setattr(preferences, "CLEAR", 90.0)
    assert pair_of(model, WISHES, seed=3) is None


def test_without_a_pair_there_is_one_line_and_nothing_is_written(model, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(preferences, "load_model", lambda name: model)
    assert preferences.main(["--out", str(tmp_path / "out"), "--prompts", "0"]) == 2
    assert "No pair of 0 prompts" in capsys.readouterr().err and not list(tmp_path.iterdir())
