"""What is given as ids gives the notes that `Composer` gives for what is given as a score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musicgpt import Given, GivenError, Settings
from musicgpt.frame import has_chords
from musicgpt.generate import generate
from tests.musicgpt.test_given import random_given
from tokenization import Meter, Score, decode, encode, first_error, prefix_ids
from tokenization.score import VOICE


def piece(wandering, seed: int) -> tuple[list[int], Score]:
    """A piece as ids, and what these say: A minor, now and then with a change of meter."""
    score = wandering(seed, notes=18).replace(key="A minor")
    if seed % 2:
        score = score.replace(meters=[Meter(0, 4, 4), Meter(int(score.bar_lines()[3]), 3, 4)])
    ids = encode(score).tolist()
    return ids, decode(ids).score


@pytest.mark.parametrize("seed", range(4))
def test_regions_of_ids_are_those_of_a_score(composer, wandering, seed):
    ids, score = piece(wandering, seed)
    given = random_given(score, np.random.default_rng(seed)) if seed < 2 else Given.around(score, (2, 2), [1])
    given = Given(given.score, given.regions, 3, one_by_one=not has_chords(score.array))
    [expected] = composer.compose(Settings(seed=seed, particles=1), given=given)
    [row] = generate(
        model=composer.model,
        given_ids=torch.tensor([[0, *ids, 0]]),
        free=given.regions,
        particles=1,
        seed=seed,
        do_sample=True,
    ).tolist()
    assert decode(row).score.notes == expected.score.notes and first_error(row) is None
    assert decode(row).score.meters == score.meters and row[-1] == ids[-1]


def test_other_voices_beside_a_melody(composer):
    melody = Score([(24 * i, 24, 64 + i % 5, 0) for i in range(8)], key="C major")
    prefix = torch.tensor([prefix_ids("major", meter="4/4", voices=3)])
    ids = encode(melody)
    free = [(0, 192, [1, 2])]
    rows = generate(
        prefix, model=composer.model, given_ids=ids, free=free, num_return_sequences=2, seed=1, do_sample=True
    ).tolist()
    for row in rows:
        score = decode(row).score
        assert row[:4] == prefix[0].tolist() and score.end == 192
        assert score.array[score.array[:, VOICE] == 0].tolist() == melody.array.tolist()
    assert rows[0] != rows[1]


@pytest.mark.parametrize(
    ("notes", "free", "message"),
    [
        ([(12 * i, 12, 60, 0) for i in range(600)], [(7100, 7190, [0])], "notes stand before"),
        ([(0, 24, 60, 0), (24, 24, 62, 1)], None, "ask for form"),
    ],
)
def test_what_cannot_be_read_is_named(composer, notes, free, message):
    ids = encode(Score(notes, key="C major"))
    with pytest.raises(GivenError, match=message):
        generate(model=composer.model, given_ids=ids, free=free, seed=1, do_sample=True)


def test_with_beams_or_several_prefixes_nothing_is_given(composer):
    ids = encode(Score([(0, 24, 60, 0), (24, 24, 62, 0)], key="C major"))
    call = {"model": composer.model, "given_ids": ids, "free": [(0, 24, [1])]}
    with pytest.raises(ValueError, match="need do_sample=True"):
        generate(**call, do_sample=False)
    prefixes = torch.tensor([prefix_ids(mode, meter="4/4") for mode in ("major", "minor")])
    with pytest.raises(ValueError, match="2 different prefixes"):
        generate(prefixes, **call, do_sample=True)


def test_a_subject_leaves_room_for_its_answer(composer):
    ids = encode(Score([(12 * i, 12, 60 + i % 5, 0) for i in range(30)], key="C major", form="fugue"))
    prefix = torch.tensor([prefix_ids("major", meter="4/4", form="fugue", voices=3)])
    call = {"model": composer.model, "given_ids": ids, "seed": 1, "do_sample": True}
    with pytest.raises(GivenError, match="takes 120 of the 200 tokens, so no answer has room"):
        generate(prefix, **call, max_new_tokens=200)
