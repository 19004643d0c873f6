"""Each row's own draw: the distribution that the settings ask for, notes and rhythm each by its own cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musicgpt import Settings
from musicgpt.sampling import SeededSampling
from musicgpt.settings import RHYTHM_WARMTH
from tokenization.vocabulary import TOKEN_TO_ID

LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
DRAWS = 4000


def drawn(last: str, **settings) -> np.ndarray:
    """How often each of four tokens comes after `last`, `(4,)`."""
    sampling = SeededSampling(Settings(**settings).resolved(), list(range(DRAWS)))
    ids = torch.full((DRAWS, 1), TOKEN_TO_ID[last])
    scores = torch.full((DRAWS, 150), -torch.inf)
    scores[:, 10:14] = LOGITS
    return np.bincount(sampling(ids, scores).argmax(dim=-1).numpy() - 10, minlength=4) / DRAWS


@pytest.mark.parametrize("last", ["VOICE_0", "DUR_12"])
def test_rhythm_is_not_cut_by_default_and_by_its_own_setting(last):
    warm = LOGITS.numpy() / RHYTHM_WARMTH
    np.testing.assert_allclose(drawn(last, top_p=0.7), np.exp(warm) / np.exp(warm).sum(), atol=0.03)
    np.testing.assert_allclose(drawn(last, rhythm_top_p=0.7, top_p=1.0), [0.625, 0.375, 0, 0], atol=0.03)


def test_rhythm_has_its_own_temperature():
    assert drawn("DUR_12", rhythm_temperature=0.2)[0] > 0.9
    assert drawn("DUR_12", temperature=0.2)[0] > 0.9  # by default it follows the other one
    assert drawn("TIME_0", rhythm_temperature=0.2, top_p=1.0)[0] < 0.55
    np.testing.assert_allclose(
        drawn("VOICE_0", rhythm_temperature=5.0, temperature=0.1), [0.31, 0.28, 0.24, 0.17], atol=0.04
    )


@pytest.mark.parametrize("last", ["TIME_0", "NOTE_60", "<bos>"])
def test_notes_and_voices_are_cut_by_top_p(last):
    np.testing.assert_allclose(drawn(last, top_p=0.7, rhythm_top_p=1.0), [0.625, 0.375, 0, 0], atol=0.03)
    np.testing.assert_allclose(drawn(last, top_p=1.0, rhythm_top_p=0.1), [0.5, 0.3, 0.15, 0.05], atol=0.03)


def test_top_k_min_p_and_temperature_count_for_both():
    for last in ("TIME_0", "DUR_12"):
        assert drawn(last, top_k=1)[0] == 1
        assert drawn(last, top_p=1.0, min_p=0.5)[2:].sum() == 0
        assert drawn(last, top_p=1.0, temperature=0.3)[0] > 0.8


def test_rows_do_not_depend_on_their_neighbours():
    wanted = Settings().resolved()
    ids = torch.full((3, 1), TOKEN_TO_ID["TIME_0"])
    scores = torch.randn(3, 150)
    together = SeededSampling(wanted, [4, 5, 6])(ids, scores)
    alone = SeededSampling(wanted, [5])(ids[1:2], scores[1:2])
    assert torch.equal(together[1], alone[0])


def test_rows_at_different_tokens_are_each_cut_as_they_would_be_alone():
    """One row is at a note, the other at a duration."""
    wanted = Settings(top_p=0.3, rhythm_top_p=0.6, rhythm_temperature=2.0).resolved()
    ids = torch.tensor([[TOKEN_TO_ID["TIME_0"]], [TOKEN_TO_ID["VOICE_1"]]])
    scores = torch.randn(2, 150, generator=torch.Generator().manual_seed(0)) * 3
    together = SeededSampling(wanted, [4, 5])(ids, scores)
    for row in (0, 1):
        alone = SeededSampling(wanted, [4 + row])(ids[row : row + 1], scores[row : row + 1])
        assert torch.equal(together[row], alone[0])
    assert (together > -torch.inf).sum(dim=1).diff() != 0
