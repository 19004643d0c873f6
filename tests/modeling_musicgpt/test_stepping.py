"""The state that is moved on token by token is that of the whole sequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modeling_musicgpt import MusicGPTConfig
from modeling_musicgpt.features_musicgpt import FeatureState
from modeling_musicgpt.grammar_musicgpt import Grammar
from modeling_musicgpt.musical_state_musicgpt import MusicalFeatures, MusicalStateTracker
from modeling_musicgpt.stepping_musicgpt import STEPS_BACK
from tests.modeling_musicgpt.conftest import legal_ids

TRACKER = MusicalStateTracker(MusicGPTConfig(num_motifs=97))
GRAMMAR = Grammar(TRACKER.config)
TABLES = GRAMMAR.step_tables


def rows(kind: str, seed: int, length: int = 200) -> torch.Tensor:
    """Three rows of one kind."""
    generator = np.random.default_rng(seed)
    pieces = [legal_ids(length, seed=3 * seed + row) for row in range(3)]
    if kind == "illegal":
        pieces = generator.integers(-3, 160, (3, length)).tolist()
    elif kind == "noisy":  # every tenth token is another
        pieces = [
            [t if generator.random() < 0.9 else int(generator.integers(150)) for t in p] for p in pieces
        ]
    elif kind == "padded":
        pieces = [[0] * pad + piece[: length - pad] for pad, piece in zip((0, 7, 60), pieces, strict=True)]
    elif kind == "packed":  # and pieces end at different places
        pieces = [
            p[:cut] + [2] + legal_ids(length - cut - 1, seed=seed)
            for cut, p in zip((9, 120, 180), pieces, strict=True)
        ]
    elif kind == "repetitive":  # few pitches and steps: much is imitated
        figure = [
            [28 + 2 * int(generator.integers(5)), 92 + int(generator.integers(2)), 102, 133] for _ in range(6)
        ]
        pieces = [
            [1, 128, *np.array(figure)[generator.integers(0, 6, length // 4)].ravel().tolist()][:length]
            for _ in range(3)
        ]
    return torch.tensor(pieces)


def agree_now(state: FeatureState, ids: torch.Tensor) -> None:
    """After `ids` the next tokens mean what they mean to the whole sequence."""
    new = torch.tensor([[28, 93, 100, 129, 28]]).expand(len(ids), -1)
    wanted = TRACKER(torch.cat((ids, new), dim=1)).at(slice(-5, None))
    agree(state.features(state.read_all(new.numpy()), new.device), wanted)
    state.rewind(ids.shape[1])


def agree(got: MusicalFeatures, wanted: MusicalFeatures) -> None:
    for name, a, b in zip(MusicalFeatures._fields, got, wanted, strict=True):
        assert torch.equal(a, b) if a is not None else not b.any(), name


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["legal", "illegal", "noisy", "padded", "packed", "repetitive"])
def test_is_that_of_the_whole_sequence(kind, seed):
    ids = rows(kind, seed)
    wanted, meter = TRACKER(ids), TRACKER.meter(ids)
    state, values = FeatureState(TABLES, 3), []
    for chunk in ids.split([1, 40, 1, 58, 100], dim=1):
        values.append(state.read_all(chunk.numpy()))
        assert (state.bar_ticks == meter.bar_ticks[:, state.tokens - 1].numpy()).all()
    agree(state.features(np.concatenate(values, axis=1), ids.device), wanted)
    assert (wanted.expectation > 0).any() or kind == "illegal"


@pytest.mark.parametrize("kind", ["noisy", "packed", "repetitive"])
def test_taken_back_and_continued_otherwise(kind):
    """Few tokens and many, within a note and between two."""
    ids, other = rows(kind, 5), rows(kind, 6)
    state = FeatureState(TABLES, 3)
    state.follow(ids.numpy())
    for back in (1, 2, 3, 4, STEPS_BACK, 5, STEPS_BACK + 1, 150):
        state.rewind(200 - back)
        both = torch.cat((ids[:, : 200 - back], other[:, :back]), dim=1)
        state.follow(both.numpy())
        agree_now(state, both)
        state.follow(ids.numpy())
        agree_now(state, ids)


def test_rows_are_reordered_repeated_and_selected():
    ids = rows("repetitive", 1)
    for order in ([2, 0, 0], [1], [0, 0, 1, 1, 2, 2]):
        state = FeatureState(TABLES, 3)
        state.follow(ids[:, :150].numpy())
        state.select(order)
        chosen = torch.cat((ids[order][:, :150], ids[:1, 150:].expand(len(order), -1)), dim=1)
        state.follow(chosen.numpy())
        agree_now(state, chosen)
        state.rewind(140)
        agree_now(state, ids[order][:, :140])


def test_grammar_and_notes():
    ids = rows("noisy", 3)
    state = FeatureState(TABLES, 3)
    state.follow(ids.numpy())
    assert state.grammar.tolist() == GRAMMAR.states(ids)[:, -1].tolist()
    first = TRACKER.config.token_blocks["NOTE"][0]
    for row, tokens in enumerate(ids.tolist()):
        struck = [t - first for t in tokens if first <= t < first + 64]
        assert state.struck[row, : state.num_struck[row]].tolist() == struck
