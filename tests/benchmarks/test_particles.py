"""What the benchmark of particles measures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import particles
from benchmarks.given import random_model
from benchmarks.particles import masked, original_ids, table_of_seams
from musicgpt.given import Given
from musicgpt.settings import Settings
from tokenization import Score
from tokenization.vocabulary import OFFSET, TYPE_INDEX, TYPE_OF_ID


@pytest.fixture
def gap():
    """A composer, a score of two voices, and what is given of it: all but the fourth bar of the lower one."""
    notes = [(24 * i, 24, 72 - 12 * v + i * (3 + v) % 7, v) for i in range(24) for v in range(2)]
    score = Score(notes, key="C major")
    composer = SimpleNamespace(model=random_model(), context=2048)
    return composer, score, Given.around(score, (4, 4), [1])


def test_the_original_is_written_as_if_it_had_been_composed(gap):
    composer, score, given = gap
    ids = original_ids(composer, score, given, Settings())
    kinds = TYPE_OF_ID[ids]
    # three bars are read, one is written, one is the tail and gives its bar line's note too
    assert (kinds == TYPE_INDEX["DUR"]).sum() == 2 * (12 + 4 + 4 + 1) and kinds[-1] == TYPE_INDEX["DUR"]


def test_masked_pitches_are_weighed_by_what_stands_on_both_sides(gap, monkeypatch):
    composer, score, given = gap
    ids = original_ids(composer, score, given, Settings())
    monkeypatch.setattr(particles, "MASKED", 100)
    before, behind, number = masked(composer, SimpleNamespace(ids=ids, settings=Settings()), given, 0)
    assert number == 4  # the new ones

    def log(tokens):
        with torch.no_grad():
            said = composer.model(torch.tensor([tokens])).logits[0].log_softmax(-1)
        return said[:-1].gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].numpy()  # of tokens[1:]

    first = len(ids) - 4 * (2 * (4 + 4 + 1))  # in the bar that is written
    places = [i for i in range(first, first + 4 * 8) if TYPE_OF_ID[ids[i]] == TYPE_INDEX["NOTE"]][1::2]
    sums = np.zeros(2)
    for place in places:
        others = [ids[place] + step for step in range(-6, 7)]
        assert min(others) >= OFFSET["NOTE"] and max(others) < OFFSET["VOICE"]
        costs = [
            log([*ids[:place], other, *ids[place + 1 : place + 1 + particles.BEHIND]]) for other in others
        ]
        for i, some in enumerate((slice(place - 1, place), slice(place - 1, None))):
            logs = np.array([cost[some].sum(dtype=np.float64) for cost in costs])
            sums[i] += np.logaddexp.reduce(logs) - logs[6]
    np.testing.assert_allclose([before, behind], sums, rtol=1e-3)


def test_the_table_compares_with_the_first_number():
    one = [(20.0, 30.0, 40.0, 10, 10, 8.0, 4.0, 4, 1.0)] * 4
    half = [(10.0, 15.0, 10.0, 10, 10, 4.0, 2.0, 4, 2.0)] * 4
    table = table_of_seams({1: one, 8: half}, np.array([0, 0, 1, 1]), 1)
    first, second = table.splitlines()[2:]
    assert first == (
        "| 1 | 40 | 2.00 (0% less, 0% to 0%) | 4.00 (0% less, 0% to 0%) | 3.00 | 2.50 | 2.00 | 1.00 | 1.0 |"
    )
    assert second == (
        "| 8 | 40 | 1.00 (50% less, 50% to 50%) | 1.00 (75% less, 75% to 75%) | 1.50 | 1.25 | 1.00 | 0.50 | 2.0 |"
    )
