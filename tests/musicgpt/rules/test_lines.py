"""Where a voice goes from beat to beat, on cases that can be read off the notes."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.base import BLOCK, PITCHES
from musicgpt.rules.lines import ALONE, GAINS, Lines
from tokenization.vocabulary import PITCH_MIN, TOKEN_TO_ID

from .cases import Plan, brief, said, state

STAYS, DOWN, UP, THIRD_DOWN, THIRD_UP, FURTHER_DOWN, FURTHER_UP = range(7)
SILENT = 7


def gains(text: str, voice: int = 0, rule: Lines | None = None) -> np.ndarray:
    """What a voice gains by each pitch after these tokens."""
    rule = rule or Lines(brief(form="fugue", voices=2))
    said(rule, state(text))
    return rule.known[0, voice]


def expected(last: int, came: int) -> np.ndarray:
    """The same of a voice that had a pitch a beat ago, to which it came in some way."""
    size, up = np.abs(PITCHES - last), last < PITCHES
    ways = [size == 0, (size < 3) & ~up & (size > 0), (size < 3) & up]
    ways += [np.isin(size, (3, 4)) & ~up, np.isin(size, (3, 4)) & up, (size > 4) & ~up, (size > 4) & up]
    return np.select(ways, GAINS[came].tolist())


def quarters(*pitches: int) -> str:
    """Of the upper voice, over another one."""
    bass = "TIME_0 NOTE_40 VOICE_1 DUR_24"
    return " ".join(f"NOTE_{pitch} VOICE_0 DUR_24 {bass} TIME_24" for pitch in pitches)


@pytest.mark.parametrize(
    ("heard", "came"),
    [
        ((72, 72), STAYS),
        ((74, 72), DOWN),
        ((71, 72), UP),
        ((76, 72), THIRD_DOWN),
        ((69, 72), THIRD_UP),
        ((77, 72), FURTHER_DOWN),
        ((60, 72), FURTHER_UP),
        ((72,), SILENT),
    ],
)
def test_a_line_goes_on_from_the_last_two_beats(heard, came):
    assert gains(quarters(*heard)) == pytest.approx(expected(72, came))
    alone = quarters(*heard).replace("TIME_0 NOTE_40 VOICE_1 DUR_24 ", "")
    assert gains(alone) == pytest.approx(ALONE * expected(72, came))
    assert not gains(alone, voice=1).any()  # it has not sounded


def test_what_comes_between_beats_does_not_count_and_gains_nothing():
    run = quarters(74) + " NOTE_72 VOICE_0 DUR_6 TIME_6 NOTE_65 VOICE_0 DUR_18 TIME_6"
    assert not gains(run).any()
    assert gains(run + " TIME_12") == pytest.approx(expected(72, DOWN))
    held = "NOTE_74 VOICE_0 DUR_48 TIME_48"
    assert gains(held) == pytest.approx(ALONE * expected(74, STAYS))
    compound = Lines(brief(form="fugue", voices=2))
    compound.beat = 36
    assert not gains(quarters(74, 72), rule=compound).any()
    rule = Lines(brief(form="fugue", voices=2))
    assert gains(quarters(74, 72), rule=rule).any() and not gains(run, rule=rule).any()


def test_each_row_is_on_its_own_beat():
    pieces = state(quarters(74, 72).removesuffix(" TIME_24"), rows=2)
    pieces.feed(np.array([TOKEN_TO_ID["TIME_24"], TOKEN_TO_ID["TIME_12"]]))
    rule = Lines(brief(form="fugue", voices=2, rows=2, seeds=(0, 1)))
    said(rule, pieces)
    assert rule.known[0, 0] == pytest.approx(expected(72, DOWN)) and not rule.known[1].any()


def test_after_a_rest_a_voice_begins_anew():
    assert not gains(quarters(74, 72) + " TIME_24").any()


def test_the_note_of_a_plan_costs_nothing_and_preludes_are_free():
    rule = Lines(brief(Plan(60, 0, 24), form="fugue", voices=2))
    notes = said(rule, state(quarters(74, 72)))[0, BLOCK["NOTE"]]
    assert notes[60 - PITCH_MIN] == 0 and rule.known[0, 0, 60 - PITCH_MIN] != 0
    assert Lines.applies(brief(form="fugue")) and not Lines.applies(brief(form="prelude"))


def test_a_step_goes_on_in_its_direction():
    for came, on, back in ((DOWN, DOWN, UP), (UP, UP, DOWN)):
        assert GAINS[came, on] == GAINS[came].max() > GAINS[came, back]
