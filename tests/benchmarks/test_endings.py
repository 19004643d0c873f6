"""What is wrong with the end of a short piece."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from benchmarks.endings import asked, fault, new_tokens
from tokenization import Meter, Score, encode

LINE = [(24 * k, 24, 60 + k, 0) for k in range(4)]
BASS, TONIC = (96, 96, 45, 1), (96, 96, 72, 0)


def piece(*last: tuple[int, int, int, int], finished: bool = True, budget: int = 300) -> SimpleNamespace:
    """A bar in A minor and what follows it."""
    score = Score([*LINE, *last], meters=[Meter(0, 4, 4)], key="A minor")
    settings = SimpleNamespace(max_new_tokens=budget)
    return SimpleNamespace(score=score, settings=settings, ids=encode(score).tolist(), finished=finished)


@pytest.mark.parametrize("third", [60, 61])
def test_a_chord_of_the_tonic_on_a_bar_line_is_an_end(third):
    assert fault(piece(BASS, (96, 96, third, 0))) is None
    held = piece((72, 120, 69, 0), BASS)  # a voice may sound on into it
    assert fault(held) is None


@pytest.mark.parametrize(
    "wrong, words",
    [
        (piece(BASS, TONIC, finished=False), "cut off"),
        (piece(BASS, TONIC, budget=20), "more tokens"),
        (piece(BASS, (120, 72, 72, 0)), "at a bar line"),
        (piece((96, 96, 48, 1), TONIC), "lowest voice"),
        (piece(BASS, (96, 96, 74, 0)), r"degrees \[0, 5\]"),
        (piece(BASS, (96, 96, 72, 0), (96, 96, 61, 0)), r"degrees \[0, 3, 4\]"),
    ],
)
def test_other_ends_are_faults(wrong, words):
    assert re.search(words, fault(wrong) or "")


def test_a_seed_asks_for_the_same_again_within_the_limits():
    pieces = [asked(seed, (256, 700)) for seed in range(300)]
    assert pieces == [asked(seed, (256, 700)) for seed in range(300)]
    assert {one.voices for one in pieces} == {None, 2, 3, 4, 5} and len({one.meter for one in pieces}) == 12
    assert {one.form for one in pieces} == {None, "prelude", "fugue"} and len(
        {one.key for one in pieces}
    ) == 24
    budgets = [one.max_new_tokens for one in pieces]
    assert 256 <= min(budgets) < 262 and 694 < max(budgets) <= 700


def test_tokens_are_counted_behind_the_prefix():
    made = piece(BASS, TONIC)
    assert new_tokens(made) == 4 * len(made.score) + 2  # a step before each note and at the end, and <eos>
