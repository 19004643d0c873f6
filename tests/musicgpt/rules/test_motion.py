"""The motion of a fugue: what follows from its subject, and what falls behind costs."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.base import BLOCK
from musicgpt.rules.motion import LACK, MOST, OF_DURATIONS, PACES, Motion
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import brief, said, state

# One voice alone for a bar, in eighths; then two in quarters.
SUBJECT = "NOTE_72 VOICE_0 DUR_12 TIME_12 " * 8
QUARTERS = "NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24 " * 4


def rule_after(bars: int, pace: float = 0.0, **asked) -> Motion:
    """That of a fugue, after so many bars in quarters."""
    rule = Motion(brief(form="fugue", voices=2, **asked))
    for k in range(bars):
        said(rule, state(SUBJECT + QUARTERS * k + "NOTE_72 VOICE_0 DUR_24"))
        if pace and rule.paces[0] not in (0, pace):
            rule.paces[0], rule.units[0], rule.prices[0] = pace, 6, 0
    return rule


def test_the_pace_is_one_of_a_subject_as_fast():
    drawn = {float(rule_after(3, seeds=[seed]).paces[0]) for seed in range(40)}
    assert len(drawn) > 3 and drawn <= {pace for subject, pace in PACES if 1.6 < subject < 2.5}
    assert not rule_after(1).paces[0]  # the subject is alone
    assert drawn == {float(rule_after(3, seeds=[seed]).paces[0]) for seed in range(40)}


@pytest.mark.parametrize(
    ("pace", "bars", "price"),
    [(1.0, 4, 0), (1.5, 3, LACK / 2), (1.5, 4, LACK), (1.25, 6, LACK), (4.0, 3, MOST)],
)
def test_what_leads_past_the_next_place_costs_more_with_each_bar_that_lacks_onsets(pace, bars, price):
    """The voices move once a quarter, both together."""
    rule = rule_after(bars, pace)
    heard = SUBJECT + QUARTERS * (bars - 1)
    added = said(rule, state(heard + "NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24"))[0]
    assert rule.prices[0] == pytest.approx(price)
    steps = {ticks: float(added[TOKEN_TO_ID[f"TIME_{ticks}"]]) for ticks in (0, 3, 6, 8, 12, 24)}
    assert steps == pytest.approx({0: 0, 3: 0, 6: 0, 8: -price, 12: -price, 24: -price})
    assert not added[BLOCK["NOTE"]].any() and not added[BLOCK["VOICE"]].any()


@pytest.mark.parametrize(
    ("before", "share"),
    [
        ("NOTE_72 VOICE_0", 0.5),  # the voice below may go on, too
        ("NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1", 1),
        ("NOTE_72 VOICE_0 DUR_6 TIME_0 NOTE_60 VOICE_1", 0),  # the other one goes on
    ],
)
def test_a_long_note_costs_where_no_other_voice_goes_on(before, share):
    rule = rule_after(3, 2.0)
    rule.prices[:] = price = 2.0
    added = said(rule, state(SUBJECT + QUARTERS * 2 + before))[0]
    durations = [float(added[TOKEN_TO_ID[f"DUR_{ticks}"]]) for ticks in (3, 6, 12, 24)]
    assert durations == pytest.approx([0, 0, *[-OF_DURATIONS * price * share] * 2])


def test_a_bar_of_more_onsets_than_asked_for_takes_from_the_price():
    rule = rule_after(3, 1.0)
    rule.prices[:] = 2.0
    eighths = QUARTERS.replace("24", "12") * 2
    said(rule, state(SUBJECT + QUARTERS * 2 + eighths + "NOTE_72 VOICE_0 DUR_24"))
    assert rule.prices[0] == pytest.approx(2 - LACK)


def test_it_does_not_hurry_into_a_close_and_waits_for_the_answer():
    class Closing:
        after = ()

        def closing(self) -> np.ndarray:
            return np.array([True])

    rule = Motion(brief(Closing(), form="fugue", voices=2))
    assert not said(rule, state(SUBJECT + "NOTE_72 VOICE_0")).any()
    rule.prices[:], rule.bars[:] = 3.0, 1
    assert not said(rule, state(SUBJECT + "NOTE_72 VOICE_0")).any()
    first = Motion(brief(form="fugue", voices=2))
    said(first, state(SUBJECT + "NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1"))
    assert first.prices[0] == first.paces[0] == 0


@pytest.mark.parametrize("what", [{"form": "prelude"}, {"form": None}])
def test_other_pieces_have_their_own_motion(what):
    assert Motion.applies(brief(form="fugue")) and not Motion.applies(brief(**what))
