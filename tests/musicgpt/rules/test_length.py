from __future__ import annotations

import numpy as np

from musicgpt.rules.length import Length
from musicgpt.state import State
from tests.musicgpt.states import state_after
from tokenization import Meter, Score, encode
from tokenization.vocabulary import EOS_ID, TOKEN_TO_ID

from .cases import brief, said


def after(notes: int, step: int) -> State:
    """A piece in 3/4 so far: a note every `step` ticks, and the step after the last one taken."""
    score = Score([(step * i, step, 60, 0) for i in range(notes)], meters=[Meter(0, 3, 4)])
    return state_after([*encode(score).tolist()[:-2], TOKEN_TO_ID[f"TIME_{step}"]])


def allowed(bars: int, notes: int, scores: np.ndarray | None = None) -> tuple[bool, bool]:
    """Whether a piece of four bars and 12 notes may end here, and whether it may go on."""
    found = said(Length(brief(min_bars=bars, min_notes=notes)), after(12, 24), scores)[0] > -np.inf
    return bool(found[EOS_ID]), bool(found[EOS_ID + 1 :].any())


def test_the_end_is_forbidden_until_there_are_enough_bars_and_notes():
    assert allowed(4, 12) == (True, True)
    assert allowed(5, 0) == (False, True)
    assert allowed(0, 13) == (False, True)


def test_where_only_the_end_is_left_it_stays():
    only_end = np.full((1, 150), -np.inf)
    only_end[0, EOS_ID] = 0
    assert allowed(5, 13, only_end) == (True, False)
