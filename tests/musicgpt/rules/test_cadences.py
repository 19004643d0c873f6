from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.cadences import Cadences, Moment
from musicgpt.rules.harmony import Harmony
from musicgpt.rules.keys import TRIADS
from musicgpt.rules.opening import Opening
from musicgpt.rules.tonal_plan import Plan
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import brief, said, state

# A bar of 4/4 in two voices, and three quarters of the next.
BAR = "NOTE_72 VOICE_0 DUR_48 TIME_0 NOTE_48 VOICE_1 DUR_24 TIME_24 NOTE_52 VOICE_1 DUR_24 TIME_24 " * 2


class Planned:
    """An earlier rule with a plan whose cadence comes with the third bar, in C major."""

    after = ()

    def __init__(self, key: int = 0):
        self.plan = Plan("prelude", "major", 12, np.random.default_rng(0))
        self.plan.sections, self.plan.cadences = [self.plan.sections[0]._replace(key=key, end=12)], [2]

    def key_plans(self):
        return [self.plan]


def note(found: np.ndarray, pitch: int) -> float:
    return float(found[0, TOKEN_TO_ID[f"NOTE_{pitch}"]])


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


@pytest.mark.parametrize("key", [0, 7, 21])
def test_chords_follow_as_in_bach_and_what_is_off_them_costs(key):
    rule = Harmony(brief(Planned(key), form="prelude", seeds=[3]))
    found = said(rule, state(BAR))
    degree = rule.chords()[1][0]
    triad = {(key + step) % 12 for step in TRIADS["minor" if key >= 12 else "major"][degree]}
    free = {pitch % 12 for pitch in range(48, 72) if note(found, pitch) == 0}
    assert free == triad
    drawn = []
    for seed in range(300):
        rule = Harmony(brief(Planned(), form="prelude", seeds=[seed]))
        said(
            rule,
            state(
                "NOTE_71 VOICE_0 DUR_48 TIME_0 NOTE_43 VOICE_1 DUR_24 TIME_24 NOTE_47 VOICE_1 DUR_24 TIME_24"
            ),
        )
        drawn.append(int(rule.chords()[1][0]))
    assert np.bincount(drawn, minlength=7).argmax() in (0, 4)


def test_one_voice_alone_makes_its_own_harmony():
    rule = Harmony(brief(Planned(), form="fugue", seeds=[3]))
    assert not said(rule, state("NOTE_72 VOICE_0 DUR_12 TIME_12")).any()


@pytest.mark.parametrize("form, mode, first", [("fugue", "minor", {9, 4}), ("prelude", "major", {0, 7})])
def test_a_piece_begins_on_the_first_or_fifth_degree(form, mode, first):
    found = said(Opening(brief(form=form, mode=mode)), state(""))
    assert {pitch % 12 for pitch in range(48, 72) if np.isfinite(note(found, pitch))} == first
    together = said(Opening(brief(form=form, mode=mode)), state("NOTE_72 VOICE_0 DUR_12 TIME_0"))
    third = 0 if mode == "minor" else 4
    assert {p % 12 for p in range(48, 72) if np.isfinite(note(together, p))} == first | {third}
