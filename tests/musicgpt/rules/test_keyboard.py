"""What two hands can play."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.base import FORBIDDEN
from musicgpt.rules.keyboard import STRUCK, Keyboard
from musicgpt.rules.pedal import Pedal, Point
from tokenization.score import Note
from tokenization.vocabulary import PITCH_MIN, TOKEN_TO_ID

from .cases import brief, said, state


def notes(found: np.ndarray) -> np.ndarray:
    return found[0, TOKEN_TO_ID["NOTE_28"] : TOKEN_TO_ID["NOTE_91"] + 1]


def possible(found: np.ndarray) -> list[int]:
    return (PITCH_MIN + np.flatnonzero(notes(found) > FORBIDDEN)).tolist()


@pytest.mark.parametrize("transposition", [-6, -1, 0, 5])
def test_no_note_sounds_beyond_the_keyboard(transposition):
    found = possible(said(Keyboard(brief(transposition=transposition)), state("")))
    assert min(found) + transposition == max(36, 28 + transposition)
    assert max(found) + transposition == 84


def test_nothing_is_struck_below_the_lowest_key():
    for pitch, free in ((36, False), (37, True)):
        found = said(Keyboard(brief(voices=2)), state(f"NOTE_{pitch} VOICE_1 DUR_24"))
        assert (found[0, TOKEN_TO_ID["TIME_0"]] > FORBIDDEN) == free


def test_no_clusters():
    notes = [f"NOTE_{pitch} VOICE_1 DUR_24" for pitch in (72, 67, 64, 60, 55)]
    for number, free in ((4, True), (5, False)):
        found = said(Keyboard(brief(voices=2)), state(" TIME_0 ".join(notes[:number])))
        assert (found[0, TOKEN_TO_ID["TIME_0"]] == 0) == free


def test_no_hand_strikes_more_than_a_tenth():
    struck = (
        "NOTE_79 VOICE_0 DUR_24 TIME_0 NOTE_62 VOICE_1 DUR_24 TIME_0"  # the second one is the left hand's
    )
    found = notes(said(Keyboard(brief()), state(struck)))
    narrow = (PITCH_MIN + np.flatnonzero(found > -STRUCK)).tolist()
    assert [p for p in narrow if p < 62] == list(range(46, 62))
    assert set(range(63, 79)) <= set(narrow)
    later = notes(said(Keyboard(brief()), state(struck + " NOTE_50 VOICE_2 DUR_24 TIME_24")))
    assert later[36 - PITCH_MIN] > -STRUCK  # all is free again


def test_the_plan_s_note_is_struck_too():
    """G2 of the plan will sound with G5: C4 to D4 are further than a tenth from both."""

    class Planned:
        def stated(self):
            return [[Note(24, 24, 40, 2), Note(0, 24, 43, 2)]]  # the first of them later

    struck = state("NOTE_79 VOICE_0 DUR_24 TIME_0")
    found, alone = (notes(said(Keyboard(brief(*plans, voices=3)), struck)) for plans in ([Planned()], []))
    costs = (found <= -STRUCK) & (alone > -STRUCK)
    assert (PITCH_MIN + np.flatnonzero(costs)).tolist() == [60, 61, 62]


def test_a_pedal_is_struck_too():
    point = Point(2, 24, 0)
    point.pitch, point.end = 43, 192
    pedal = Pedal(brief(type("Keys", (), {"key_plans": lambda self: []})()))
    pedal.points = [point]
    for text, wide in (("TIME_24", [60, 61, 62]), ("TIME_12", [])):  # where it is struck, and before
        struck = state(f"{text} NOTE_79 VOICE_0 DUR_24 TIME_0")
        found, alone = (notes(said(Keyboard(brief(*rules, voices=3)), struck)) for rules in ([pedal], []))
        costs = (found <= -STRUCK) & (alone > -STRUCK)
        assert (PITCH_MIN + np.flatnonzero(costs)).tolist() == wide


def test_an_empty_hand_is_filled():
    bar = "NOTE_72 VOICE_0 DUR_48 TIME_48 NOTE_74 VOICE_0 DUR_48 TIME_48 "
    rule = Keyboard(brief(form="prelude"))
    gain = []
    for bars in range(1, 5):
        found = notes(said(rule, state(bar * bars)))
        gain.append(found[55 - PITCH_MIN] - found[72 - PITCH_MIN])
    assert gain[0] < gain[1] < gain[2] <= gain[3] and gain[2] > 2
    alone = notes(said(Keyboard(brief(form="fugue", voices=3)), state(bar * 4)))
    assert alone[55 - PITCH_MIN] <= 0


def test_rows_do_not_hear_each_other():
    both = state("NOTE_72 VOICE_0 DUR_48 TIME_48 NOTE_50", rows=2)
    both.feed(np.array([TOKEN_TO_ID["VOICE_1"]] * 2))
    both.feed(np.array([TOKEN_TO_ID["DUR_24"]] * 2))
    rule = Keyboard(brief(rows=2, seeds=[0, 1], form="prelude"))
    both.kind[1] = 0  # the second row stands elsewhere
    both.kind[0] = -1
    rule(both, np.zeros((2, 150)))
    assert (rule.heard == 0).all()
