"""Beats are divided as the piece divides them."""

from __future__ import annotations

import pytest

from musicgpt.rules.rhythm import PRICES, UNKNOWN, Rhythm
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import brief, said, state

EIGHTHS = "NOTE_72 VOICE_0 DUR_12 TIME_12 NOTE_74 VOICE_0 DUR_12 TIME_12 " * 8
TRIPLETS = "NOTE_72 VOICE_0 DUR_8 TIME_8 NOTE_74 VOICE_0 DUR_8 TIME_8 NOTE_76 VOICE_0 DUR_8 TIME_8 " * 8


def costs(text: str, *tokens: str) -> list[float]:
    found = said(Rhythm(brief()), state(text))[0]
    return [float(found[TOKEN_TO_ID[token]]) for token in tokens]


@pytest.mark.parametrize(
    ("next_one", "kind"),
    [
        ("NOTE_60 VOICE_0", "DUR"),
        ("NOTE_60 VOICE_0 DUR_12", "TIME"),
        ("NOTE_60 VOICE_0 DUR_12 TIME_12", "TIME"),
    ],
)
def test_a_binary_piece_has_no_triplets_and_few_32nds(next_one, kind):
    found = costs(EIGHTHS + next_one, *(f"{kind}_{ticks}" for ticks in (8, 3, 6, 12, 24)))
    assert found == pytest.approx([-PRICES[2], -PRICES[1], 0, 0, 0])
    assert costs(TRIPLETS + next_one, f"{kind}_8", f"{kind}_12") == [0, 0]


def test_at_first_a_piece_may_become_what_it_likes():
    assert costs("NOTE_60 VOICE_0", "DUR_8", "DUR_12") == [-UNKNOWN * PRICES[2], 0]


def test_notes_together_are_free():
    # from a place off the grid
    assert costs(EIGHTHS + "NOTE_60 VOICE_0 DUR_12 TIME_8 NOTE_64 VOICE_0 DUR_4", "TIME_0", "TIME_4") == [
        0,
        0,
    ]
