"""The engine and imitation: it expects what the tracker expects, and a model with the imitation head gives
the stock loop's tokens.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modeling_musicgpt import MusicGPTForCausalLM
from musicgpt.engine import Rows
from tests.modeling_musicgpt.conftest import legal_ids
from tests.modeling_musicgpt.test_imitation import repetitive
from tokenization.vocabulary import TOKEN_TO_ID

from .models import make_model, prompt, random_piece
from .test_decoding import both
from .test_rows import assert_close, wanted_logits


def with_head(**changes) -> MusicGPTForCausalLM:
    """Random weights, a liking for few tokens, so that they come again, and an imitation head that decides
    many of them.
    """
    model = make_model(**changes)
    liked = dict.fromkeys(("NOTE_55", "NOTE_60", "NOTE_62", "DUR_12", "DUR_24"), 2.5)
    liked |= {"VOICE_0": 2, "VOICE_1": 2, "TIME_12": 1.6}
    with torch.no_grad():
        model.imitation_head.proj.weight.normal_(0, 0.3)
        model.imitation_head.proj.bias.normal_(2, 2)
        model.imitation_head.entry.normal_(0, 2)
        for name, much in liked.items():
            model.model.embed_tokens.weight[TOKEN_TO_ID[name], 0] = much
        model.model.norm.bias[0] = 4
    return model


@pytest.fixture(scope="module")
def model() -> MusicGPTForCausalLM:
    return with_head()


def expected_by_engine(model, ids: list[int]) -> torch.Tensor:
    """What the engine expects after each token but the last, `(tokens, 2 * voices + 4)`."""
    rows, found, part = Rows(model, 1, len(ids)), [], 64
    work = rows.parts[0][2]
    for start in range(0, len(ids) - 1, part):
        end = min(start + part, len(ids) - 1)
        rows.step(np.array([ids[start:end]]))
        for place in range(end - start):
            rows.library.expect_at(rows.m.pointer, work.pointer, rows.batch.pointer, 0, place)
            found.append(work.expected.copy())
    return torch.from_numpy(np.stack(found))


def chords_and_strays(seed: int) -> list[int]:
    """A repetitive piece with several notes of a voice at once, VOICE tokens without a NOTE, times in two
    tokens, missing durations and `<pad>`.
    """
    rng, ids = np.random.default_rng(seed), repetitive(seed, 500)
    names = ("NOTE_60", "VOICE_1", "VOICE_0", "DUR_12", "TIME_12", "TIME_0", "METER_3/4", "<pad>")
    for _ in range(40):
        at = int(rng.integers(3, len(ids)))
        ids[at:at] = [TOKEN_TO_ID[name] for name in rng.choice(names, size=rng.integers(1, 4))]
    for at in sorted(rng.integers(3, len(ids), size=10), reverse=True):
        del ids[at]
    return ids


PIECES = {
    "repetitive": lambda model: repetitive(1),
    "repetitive, long": lambda model: repetitive(2, 2500),
    "legal": lambda model: legal_ids(500, seed=3),
    "any tokens": lambda model: random_piece(model, 400, 4, grammatical=False),
    "chords and strays": lambda model: chords_and_strays(5),
    "packed": lambda model: (
        repetitive(6, 200) + repetitive(6, 200) + chords_and_strays(7)[:200] + repetitive(7, 100)
    ),
    "no beginning": lambda model: repetitive(1)[1:],
}


class TestExpectation:
    @pytest.mark.parametrize("kind", PIECES)
    def test_is_the_trackers_at_every_token(self, model, kind):
        ids = PIECES[kind](model)
        wanted = model.model.musical_state(torch.tensor([ids])).expectation[0, :-1]
        assert torch.equal(expected_by_engine(model, ids), wanted)
        if kind not in ("legal", "any tokens"):
            # every kind of expectation was raised
            assert (wanted > 0).any(dim=0)[[0, 2, 5, 7, 10, 11, 12, 13]].all()

    def test_pitches_below_zero_and_another_vocabulary(self):
        """The lowest notes go down further than there are pitches; the first pitch is MIDI 0."""
        model = with_head(lowest_pitch=0)
        ids = [TOKEN_TO_ID["<bos>"], TOKEN_TO_ID["TIME_0"]]
        first, last = model.config.token_blocks["NOTE"]
        figure = [first + 63, first + 31, first, first + 40, first + 9, first + last - 1, first + 20]
        for note in figure + figure[1:] + figure + figure[2:]:
            ids += [note, TOKEN_TO_ID["VOICE_1"], TOKEN_TO_ID["DUR_12"], TOKEN_TO_ID["TIME_12"]]
        wanted = model.model.musical_state(torch.tensor([ids])).expectation[0, :-1]
        assert torch.equal(expected_by_engine(model, ids), wanted)
        assert wanted.any()


@pytest.mark.parametrize("changes", [{}, {"melodic_head": False}], ids=str)
def test_logits(changes):
    model = with_head(**changes)
    ids = torch.tensor([repetitive(seed, 300)[:300] for seed in range(4)])
    rows, wanted = Rows(model, 4, 300), wanted_logits(model, ids)
    for end in (*range(200, 240), 300):
        start = int(rows.length[0])
        assert_close(rows.step(ids[:, start:end].numpy()), wanted[:, end - 1])


class TestSameTokens:
    ARGUMENTS = [
        {"do_sample": False},
        {"do_sample": True, "top_k": 50, "top_p": 0.95},
        {"do_sample": True, "constrain_grammar": False},
        {"do_sample": True, "num_return_sequences": 3, "top_p": 0.9},
        {"do_sample": True, "suppress_tokens": [30, 140], "num_return_sequences": 2},
    ]

    @pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda a: " ".join(f"{k}={v}" for k, v in a.items()))
    def test_one_prompt(self, model, arguments):
        ids = torch.tensor([repetitive(3, 203)])
        out = both(model, ids, min_new_tokens=90, max_new_tokens=90, **arguments)
        new = model.model.musical_state(out).expectation[:, ids.shape[1] :]
        assert (new > 0).sum() > 4

    @pytest.mark.parametrize("sample", [True, False])
    def test_left_padding_and_prompts_that_stop_anywhere(self, model, sample):
        rows = [repetitive(length, 120)[:length] for length in (3, 57, 80, 81, 110)] + [
            chords_and_strays(9)[:100]
        ]
        rows = [[token for token in row if token] for row in rows]
        batch = prompt(*rows)
        both(model, **batch, do_sample=sample, top_p=0.95, max_new_tokens=60)
