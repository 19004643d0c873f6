"""Each row's own draw: the distribution that the settings ask for, notes and rhythm each by its own cut."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt import Settings
from musicgpt.defaults import RHYTHM_TEMPERATURE_SCALE
from musicgpt.sampling import SeededSampling
from tests.musicgpt.states import state_after
from tokenization.vocabulary import TOKEN_TO_ID

LOGITS = np.log([0.5, 0.3, 0.15, 0.05])
DRAWS = 4000


def drawn(last: str, **settings) -> np.ndarray:
    """How often each of four tokens comes after `last`, `(4,)`; at temperature 1 unless another is asked for."""
    sampling = SeededSampling(Settings(**{"temperature": 1.0, **settings}).resolved(), list(range(DRAWS)))
    scores = np.full((DRAWS, 150), -np.inf)
    scores[:, 10:14] = LOGITS
    state = state_after([TOKEN_TO_ID[last]], DRAWS)
    return np.bincount(sampling(state, scores).argmax(axis=-1) - 10, minlength=4) / DRAWS


@pytest.mark.parametrize("last", ["VOICE_0", "DUR_12"])
def test_rhythm_is_not_cut_by_default_and_by_its_own_setting(last):
    warm = LOGITS / RHYTHM_TEMPERATURE_SCALE
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


def test_equal_tokens_are_cut_together():
    """Whichever of them a sort puts first: of 0.4 and three times 0.2 the three stay, or none of them."""
    scores = np.full((1, 150), -np.inf)
    scores[0, 10:14] = np.log([0.2, 0.4, 0.2, 0.2])
    for top_p, left in ((0.3, 1), (0.5, 4)):
        wanted = Settings(temperature=1.0, top_p=top_p).resolved()
        found = SeededSampling(wanted, [1])(state_after([TOKEN_TO_ID["TIME_0"]], 1), scores)
        assert (found > -np.inf).sum() == left


def test_top_k_min_p_and_temperature_count_for_both():
    for last in ("TIME_0", "DUR_12"):
        assert drawn(last, top_k=1)[0] == 1
        assert drawn(last, top_p=1.0, min_p=0.5)[2:].sum() == 0
        assert drawn(last, top_p=1.0, temperature=0.3)[0] > 0.8


def test_rows_at_different_tokens_are_each_cut_as_they_would_be_alone():
    """One row is at a note, the other at a duration; and their neighbours do not matter."""
    wanted = Settings(top_p=0.3, rhythm_top_p=0.6, rhythm_temperature=2.0).resolved()
    state, scores = state_after((), 2), 3 * np.random.default_rng(0).standard_normal((2, 150))
    state.feed(np.array([TOKEN_TO_ID["TIME_0"], TOKEN_TO_ID["VOICE_1"]]))
    sampling = SeededSampling(wanted, [4, 5])
    together = [sampling(state, scores) for _ in range(300)]  # beyond what is drawn at a time
    for row, last in enumerate(("TIME_0", "VOICE_1")):
        sampling, own = SeededSampling(wanted, [4 + row]), state_after([TOKEN_TO_ID[last]])
        for found in together:
            np.testing.assert_array_equal(found[row], sampling(own, scores[row : row + 1])[0])
    assert len({int((row > -np.inf).sum()) for row in together[0]}) == 2
