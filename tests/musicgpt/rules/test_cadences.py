"""Cadences where the plan has them."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.cadences import Cadences, Moment
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import BAR, Planned, brief, note, said, state


def test_before_the_line_the_bass_takes_the_dominant_and_on_it_the_tonic():
    rule = Cadences(brief(Planned(), form="prelude", seeds=[5]))
    rule.rngs[0] = np.random.default_rng(0)  # not deceptive
    two_bars = state(BAR + BAR[: BAR.rindex("NOTE_52")])
    found = said(rule, two_bars)
    assert note(found, 43) > note(found, 48) and note(found, 43) > note(found, 45)
    assert note(found, 71) > note(found, 74) > note(found, 76)  # the leading note is still missing
    found = said(rule, state(BAR + BAR))
    assert note(found, 48) > max(note(found, 43), note(found, 45), note(found, 50))
    assert note(found, 76) > note(found, 74)


def test_steps_do_not_pass_the_line_and_no_plan_is_no_cadence():
    rule = Cadences(brief(Planned(), form="prelude", seeds=[5]))
    here = state(BAR + BAR[: BAR.rindex("TIME_24")])
    found = said(rule, here)[0]
    assert found[TOKEN_TO_ID["TIME_24"]] > found[TOKEN_TO_ID["TIME_48"]]
    assert not Cadences.applies(brief(form="prelude"))


def test_a_deceptive_cadence_goes_to_the_sixth_degree():
    assert Moment(96, 72, 0, True).root == 9 and Moment(96, 72, 21, True).root == 5
    assert set(Moment(96, 72, 0, False).dominant_chord) == {7, 11, 2, 5}


def said_of(rule, text: str) -> dict[str, float]:
    return dict(zip(TOKEN_TO_ID, said(rule, state(text))[0].tolist(), strict=True))


@pytest.fixture
def cadence():
    """Of the third bar: the dominant from tick 168, the tonic at 192; not deceptive."""
    rule = Cadences(brief(Planned(), form="prelude", seeds=[5]))
    rule.rngs[0] = np.random.default_rng(0)
    return rule


UNDER_DOMINANT = BAR + BAR[: BAR.rindex("NOTE_52")]  # tick 168


def test_a_note_that_is_no_root_is_not_the_bass_s_and_the_root_stays_until_the_tonic(cadence):
    found = said_of(cadence, UNDER_DOMINANT + "NOTE_47")
    assert found["VOICE_1"] < found["VOICE_0"]
    found = said_of(cadence, UNDER_DOMINANT + "NOTE_43")
    assert found["VOICE_1"] > found["VOICE_0"]
    found = said_of(cadence, UNDER_DOMINANT + "NOTE_43 VOICE_1")
    assert found["DUR_24"] > max(found["DUR_12"], found["DUR_48"])


def test_the_bass_is_free_for_the_root_and_strikes_on_the_tonic(cadence):
    found = said_of(cadence, BAR + BAR[: BAR.index("NOTE_48")] + "TIME_48 NOTE_53 VOICE_1")  # tick 144
    assert found["DUR_24"] > found["DUR_48"]
    found = said_of(cadence, BAR + BAR + "NOTE_76 VOICE_0 DUR_24")
    assert found["TIME_0"] > found["TIME_24"]
    found = said_of(cadence, BAR + BAR + "NOTE_48 VOICE_1 DUR_24")
    assert found["TIME_0"] == found["TIME_24"]
