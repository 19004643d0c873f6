"""The automaton of the model against the grammar of the tokenizer, which were written apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_musicgpt import MusicGPTConfig
from modeling_musicgpt.grammar_musicgpt import STATE, Grammar, GrammarLogitsProcessor
from tokenization.codec import first_error
from tokenization.vocabulary import BOS_ID, EOS_ID, PAD_ID, VOCAB_SIZE

GRAMMAR = Grammar(MusicGPTConfig())


def _grown(choices: list[int]) -> list[int]:
    """Ids in which most tokens are legal: each choice picks from the legal tokens, or now and then from
    all.
    """
    ids = [BOS_ID]
    for choice in choices:
        legal = torch.nonzero(GRAMMAR.mask(torch.tensor([ids]))[0]).flatten().tolist()
        ids.append(legal[choice % len(legal)] if choice % 16 else choice // 16 % VOCAB_SIZE)
    return ids


def _accepted(ids: list[int]) -> bool:
    """By the two tables: every token legal in the state before it, up to the first `<eos>`."""
    state = STATE["START"]
    for token in ids:
        if not GRAMMAR.legal[state, token]:
            return False
        state = int(GRAMMAR.next_state[state, token])
        if token == EOS_ID:
            return True
    return True


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_accepts_what_the_tokenizer_accepts(choices):
    # padding at the end is no part of the piece
    ids = [token for token in _grown(choices) if token != PAD_ID]
    assert _accepted(ids) == (first_error(ids) is None)


def test_every_successor_of_legal_beginnings_agrees_with_the_tokenizer():
    generator = np.random.default_rng(3)
    for _ in range(12):
        ids = [BOS_ID]
        for _ in range(30):
            legal = GRAMMAR.mask(torch.tensor([ids]))[0].numpy()
            if ids[-1] == EOS_ID:
                break
            wanted = [first_error([*ids, token]) is None for token in range(VOCAB_SIZE)]
            wanted[PAD_ID] = False  # behind a cut piece, not inside one
            assert legal.tolist() == wanted, ids
            ids.append(int(generator.choice(np.flatnonzero(legal))))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), min_size=2, max_size=5), st.randoms()
)
def test_padding_and_neighbours_change_nothing(rows, random):
    """A row has the state that it has alone, whatever padding stands before, behind and inside it."""
    ids = [_grown(row) for row in rows]
    alone = torch.cat([GRAMMAR.states(torch.tensor([row]))[:, -1] for row in ids])
    ids = [[t for token in row for t in [PAD_ID] * random.choice([0, 0, 0, 20]) + [token]] for row in ids]
    width = max(map(len, ids))
    padded = torch.tensor([[PAD_ID] * (width - len(row)) + row for row in ids])
    assert torch.equal(GRAMMAR.states(padded)[:, -1], alone)
    padded = torch.tensor([row + [PAD_ID] * (width - len(row)) for row in ids])
    assert torch.equal(GRAMMAR.states(padded)[:, -1], alone)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-5, VOCAB_SIZE + 5), max_size=60))
def test_no_prompt_leaves_a_step_without_a_token(ids):
    prompt = torch.tensor([ids], dtype=torch.long)
    scores = GrammarLogitsProcessor(GRAMMAR, ends=False)(prompt, torch.zeros(1, VOCAB_SIZE))
    assert (scores > -torch.inf).any()
    assert torch.isneginf(scores).any()


def test_a_token_that_the_caller_forces_goes_before_the_grammar():
    inside_a_note = torch.tensor([[BOS_ID, 128, 30]])
    forced = torch.full((1, VOCAB_SIZE), -torch.inf)
    forced[0, EOS_ID] = 0
    assert int(GrammarLogitsProcessor(GRAMMAR)(inside_a_note, forced).argmax()) == EOS_ID


def test_small_vocabularies_have_no_grammar():
    with pytest.raises(ValueError, match="has no grammar"):
        Grammar(MusicGPTConfig(vocab_size=99))
