"""Which voice takes a note."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.takers import Taking
from tokenization.vocabulary import PITCH_MIN

from .cases import Plan, brief, state

FIRST = np.array([0])
# The upper voice sounds on, the lower one is free.
HELD = "NOTE_67 VOICE_0 DUR_96 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24"


class Free:
    """An earlier rule that says which voices may strike."""

    after = ()

    def __init__(self, *voices: bool):
        self.voices = np.array([voices])

    def may_strike(self) -> np.ndarray:
        return self.voices


def weights(text: str, pitch: int, *earlier: Free, form: str = "fugue") -> list[float]:
    """How likely each of two voices takes a note."""
    taken = Taking(brief(*earlier, form=form, voices=2))(state(text), FIRST)
    assert taken.by_some[0, pitch - PITCH_MIN] == taken.weight[0, :, pitch - PITCH_MIN].any()
    return taken.weight[0, :, pitch - PITCH_MIN].tolist()


def test_the_nearer_voice_is_the_likelier():
    both = "NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24"
    upper, lower = weights(both, 70)
    assert upper > lower > 0 and upper + lower == pytest.approx(1)
    assert weights(both, 66) == pytest.approx([0.5, 0.5])


def test_a_voice_of_a_fugue_has_one_note_at_a_time():
    assert weights(HELD, 69) == [0, 1]
    assert min(weights(HELD, 69, form="prelude")) > 0


def test_a_voice_that_the_plan_needs_takes_nothing_else():
    assert weights(HELD, 62, Free(True, True)) == [0, 1]
    assert weights(HELD, 62, Free(True, False)) == [0, 0]  # the other one sounds
    assert weights(HELD, 62, Free(True, False), form="prelude") == [1, 0]


def test_a_note_that_must_come_is_possible_though_its_voice_sounds():
    taken = Taking(brief(Plan(69, 0, 24), form="fugue", voices=2))(state(HELD), FIRST)
    upper, lower = ~taken.impossible[0]
    assert np.flatnonzero(upper).tolist() == [69 - PITCH_MIN] and lower.all()
    assert not taken.weight[0, 0].any()
