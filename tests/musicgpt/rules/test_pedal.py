"""The bass holds the dominant or the tonic before the end, and the others go on over it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musical_metrics.structure import closing_pedal
from musicgpt.rules import build
from musicgpt.rules.close import Cadence, Close
from musicgpt.rules.counterpoint import DISSONANCE, LOW, Counterpoint
from musicgpt.rules.harmony import Harmony
from musicgpt.rules.pedal import PASSED_OVER, PEDALS, Pedal, PedalPlan
from musicgpt.rules.registers import registers
from musicgpt.rules.tonal_plan import Plan, Section, TonalPlan
from tests.musicgpt.states import state_after
from tokenization import decode, prefix_ids
from tokenization.score import Note
from tokenization.vocabulary import PITCH_MIN, TOKEN_TO_ID

from .cases import BAR, EVEN, allowed, brief, said, state, written

# A bar with quavers in the bass.
FIGURE = (
    "NOTE_72 VOICE_0 DUR_48 TIME_0 " + "NOTE_48 VOICE_1 DUR_12 TIME_12 NOTE_52 VOICE_1 DUR_12 TIME_12 " * 4
)
DOMINANT, TONIC = PedalPlan(7, 2), PedalPlan(0, 2)
BARS = 6


class Planned:
    """An earlier rule with a plan of six bars at home: the final chord is the sixth."""

    after = ()

    def __init__(self, *sections: Section, closing: bool = False, stated: tuple[Note, ...] = ()):
        self.plan = Plan("prelude", "major", BARS, np.random.default_rng(0))
        self.plan.sections, self.plan.cadences = list(sections) or [Section(0, 0, BARS)], [2, 4, 6]
        self.is_closing, self.notes = closing, list(stated)

    def key_plans(self) -> list[Plan]:
        return [self.plan]

    def closing(self) -> np.ndarray:
        return np.array([self.is_closing])

    def stated(self) -> list[list[Note]]:
        return [self.notes]


def begun(planned: Planned, wanted: PedalPlan = DOMINANT, bar: str = BAR, **what) -> Pedal:
    """The rule in a piece that stands at the beginning of its third bar."""
    rule = Pedal(brief(planned, **{"form": "fugue", "meter": "4/4", **what}))
    rule.plans = [wanted]
    said(rule, state(bar * 2))
    return rule


@pytest.mark.parametrize(("wanted", "pitch"), [(DOMINANT, 43), (TONIC, 48)])
def test_the_bass_strikes_it_once_and_holds_it(wanted, pitch):
    planned = Planned()
    rule = begun(planned, wanted)
    assert planned.plan.cadences == ([2, 3, 6] if wanted == TONIC else [2, 6])  # a tonic is reached by one
    here = BAR * 3
    assert min(allowed(rule, here, "NOTE")) == pitch and max(allowed(rule, here, "NOTE")) > 72
    assert allowed(rule, here, "TIME") == [] and rule.may_strike().all()
    assert said(rule, state(here))[0, TOKEN_TO_ID[f"NOTE_{pitch}"]] == -PASSED_OVER
    here += f"NOTE_{pitch} "
    assert allowed(rule, here, "VOICE") == [1] and rule.pedals().tolist() == [-1]
    here += "VOICE_1 "
    assert allowed(rule, here, "DUR") == [192]
    here += "DUR_192 "
    assert max(allowed(rule, here, "TIME")) == 96 and rule.pedals().tolist() == [1]
    assert not rule.may_strike()[0, 1]
    here += "TIME_12 "
    assert min(allowed(rule, here, "NOTE")) == pitch + 1
    assert allowed(rule, here + "NOTE_72 ", "VOICE") == [0, 2, 3, 4]
    assert np.flatnonzero(rule.may_strike()[0]).tolist() == [0, 2, 3, 4]
    assert rule.points[0].next == rule.points[0].end == 480  # the line of the final chord


def test_the_voices_above_strike_before_it_and_none_waits_for_the_next_onset():
    rule = begun(Planned())
    here = BAR * 3 + "NOTE_72 VOICE_0 DUR_24 "
    assert allowed(rule, here, "TIME") == [0]
    assert allowed(rule, here + "TIME_0 ", "NOTE") == [43]  # no voice is left between
    assert allowed(rule, BAR * 3 + "NOTE_55 ", "VOICE") == [0, 2, 3, 4]
    long = BAR * 2 + "NOTE_72 VOICE_0 DUR_96 TIME_0 NOTE_48 "
    assert max(allowed(begun(Planned()), long + "VOICE_1 ", "DUR")) == 96  # the bass is free in time
    assert max(allowed(begun(Planned()), long + "VOICE_1 DUR_24 ", "TIME")) == 96


def test_where_the_plan_has_the_voices_above_they_strike_nothing_else():
    """Notes that only the bass could take went to a voice that sounded, or to one that the fugue has not."""
    statement = (Note(3 * 96 + 24, 24, 74, 0),)
    for stated, pitches in ((statement, [43]), ((Note(3 * 96, 24, 74, 0), *statement), [43, 74])):
        planned = Planned(stated=stated)
        assert allowed(begun(planned), BAR * 3, "NOTE") == pitches
        assert len(allowed(begun(planned, form="prelude"), BAR * 3, "NOTE")) > 20


@pytest.mark.parametrize(("transposition", "pitch"), [(0, 55), (-5, 55), (5, 43)])
def test_it_sounds_below_middle_c(transposition, pitch):
    high = BAR.replace("NOTE_52", "NOTE_71")
    assert min(allowed(begun(Planned(), bar=high, transposition=transposition), high * 3, "NOTE")) == pitch


def test_a_bass_in_motion_strikes_the_dominant_with_each_beat():
    rule = begun(Planned(), bar=FIGURE, form="prelude")
    here = FIGURE * 3 + "NOTE_43 VOICE_1 "
    assert max(allowed(rule, here, "DUR")) == 24
    here += "DUR_12 "
    assert max(allowed(rule, here, "TIME")) == 24
    here += "TIME_12 "
    assert min(allowed(rule, here, "NOTE")) == 43 and max(allowed(rule, here, "TIME")) == 12
    assert 1 in allowed(rule, here + "NOTE_50 ", "VOICE")
    assert rule.pedals().tolist() == [-1] and rule.may_strike().all()  # its dissonances are those of any bass
    assert allowed(rule, here + "NOTE_50 VOICE_1 DUR_12 TIME_12 ", "TIME") == []
    held = begun(Planned(), TONIC, bar=FIGURE, form="prelude")
    assert allowed(held, FIGURE * 3 + "NOTE_48 VOICE_1 ", "DUR") == [192]


def test_there_is_none_in_another_key_under_a_subject_or_in_a_close():
    for planned in (Planned(Section(0, 0, 2), Section(7, 2, BARS)), Planned(closing=True)):
        assert begun(planned).points == [None]
    # The bass states the subject until after the fourth bar: too little is left.
    assert begun(Planned(stated=(Note(288, 108, 60, 1),))).points == [None]
    rule = begun(Planned(stated=(Note(288, 108, 60, 0),)))
    assert rule.points[0] is not None and rule.points[0].next == 288
    assert not Pedal.applies(brief(form="fugue")) and not Pedal.applies(
        brief(Planned(), form="fugue", voices=2)
    )


def test_there_is_none_before_the_bass_of_a_fugue_has_entered():
    assert begun(Planned(), voices=2).points[0] is not None
    assert begun(Planned(), voices=3).points[0] is None
    assert begun(Planned(), voices=3, form="prelude").points[0] is not None


def test_a_close_that_comes_early_ends_it():
    planned = Planned()
    rule = begun(planned)
    planned.is_closing = True
    said(rule, state(BAR * 3))
    assert rule.points[0].end == 4 * 96


@pytest.mark.parametrize("form", list(PEDALS))
def test_as_many_pieces_have_one_as_in_bach(form):
    dominants, tonics, of = PEDALS[form]
    plans = Pedal(brief(Planned(), form=form, rows=1000, seeds=range(1000))).plans
    for lengths, pitch_class in ((dominants, 7), (tonics, 0)):
        found = [wanted.bars for wanted in plans if wanted and wanted.pitch_class == pitch_class]
        assert len(found) / 1000 == pytest.approx(len(lengths) / of, abs=0.04)
        assert set(found) == set(lengths)


class Held:
    """An earlier rule: a voice of the row holds a pedal."""

    after = ()

    def __init__(self, voice: int):
        self.voice = voice

    def pedals(self) -> np.ndarray:
        return np.array([self.voice])


OVER_G = "NOTE_74 VOICE_0 DUR_24 TIME_0 NOTE_55 VOICE_1 DUR_96 TIME_24 "


def test_dissonances_and_chords_over_it_are_free():
    low = LOW * (registers(2)[0] - 69)  # below the middle of the upper voice
    for voice, cost in ((1, 0), (0, DISSONANCE[2]), (-1, DISSONANCE[2])):
        rule = Counterpoint(brief(Held(voice), form="fugue", voices=2))
        assert rule.penalty(state(OVER_G), np.array([0]))[0, 0, 69 - PITCH_MIN] == pytest.approx(cost + low)
    against = [
        Harmony(brief(Planned(), Held(voice), form="prelude"))._against(state(OVER_G), 0, 0, 24, 48)
        for voice in (1, -1)
    ]
    assert not against[0].any() and against[1].any()


def test_its_note_was_struck_long_ago_and_still_is_the_root_of_the_close():
    run = "NOTE_74 VOICE_0 DUR_2 TIME_2 " * 36
    here = state(BAR + "NOTE_74 VOICE_0 DUR_2 TIME_0 NOTE_43 VOICE_1 DUR_96 TIME_2 " + run)
    cadence = Cadence(state(BAR), 0, "major")
    cadence._look(here)
    assert cadence.dominant_from == 168 and 7 not in cadence._missing()


def piece(seed: int, wanted: PedalPlan, form: str, meter: str):
    """A random one in even steps, under grammar, plan, close and pedal."""
    prefix = prefix_ids(mode="major", meter=meter)
    asked = brief(form=form, meter=meter, bars=9, prompt=state_after(prefix))
    rules = build([TonalPlan, Close, Pedal], asked)
    rules[2].plans, plan = [wanted], rules[0].key_plans()[0]
    plan.sections = [Section(0, 0, 9)]

    def taste(scores: torch.Tensor, made: int) -> None:
        scores[:, EVEN] += 50
        scores[:, TOKEN_TO_ID["VOICE_2"] : TOKEN_TO_ID["VOICE_4"] + 1] -= 99
        scores[:, TOKEN_TO_ID["NOTE_50"] : TOKEN_TO_ID["NOTE_80"]] += 9

    [ids] = written(rules, prefix, 1500, taste, seed)
    return decode(ids).score.replace(key="C major")


@pytest.mark.parametrize("form", list(PEDALS))
@pytest.mark.parametrize(("bars", "meter"), [(2, "4/4"), (3, "4/4"), (4, "4/4"), (2, "9/8"), (3, "6/4")])
def test_whatever_the_model_says_it_is_there_and_the_piece_closes(bars, form, meter):
    for pitch_class in (7, 0):
        score = piece(bars, PedalPlan(pitch_class, bars), form, meter)
        assert closing_pedal(score, pitch_class).value >= 2
        late = 48 * (meter == "4/4" and form == "fugue")  # by the draw of this seed
        assert score.array[-1, 0] == score.bar_lines()[8] + late and score.array[-1, 2] % 12 == 0
