from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.tonal_plan import ELSEWHERE, FOREIGN, IN_FUGUES, Plan, Section, TonalPlan
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import brief, said, state

KINDS = [(form, mode) for form in ("prelude", "fugue") for mode in ("major", "minor")]


@pytest.mark.parametrize("form, mode", KINDS)
def test_plans_begin_and_end_at_home_and_cover_every_bar(form, mode):
    home, going = (0 if mode == "major" else 21), 0
    for seed in range(200):
        bars = 4 + seed % 70
        plan = Plan(form, mode, bars, np.random.default_rng(seed))
        keys = [plan.at(bar).key for bar in range(bars)]
        assert keys[0] == keys[-1] == home
        edges = [(section.first, section.end) for section in plan.sections]
        assert edges[0][0] == 0 and edges[-1][1] == bars
        assert all(a[1] == b[0] for a, b in zip(edges, edges[1:], strict=False))
        assert {section.end for section in plan.sections} <= set(plan.cadences)
        going += len(set(keys)) > 1
    assert going > 100  # most leave home


def test_the_most_frequent_goals_are_bach_s():
    goals = [Plan("fugue", "minor", 60, np.random.default_rng(seed)) for seed in range(300)]
    second = [plan.at(plan.sections[0].end).key for plan in goals]
    # From A minor to E minor or C major, seldom to a key that Bach hardly goes to.
    assert np.mean(np.isin(second, [16, 0])) > 0.5
    assert np.mean(np.isin(second, [18, 15, 6])) < 0.05


def test_a_plan_shortens_where_the_tokens_do_not_last_and_the_same_seed_draws_the_same():
    rules = [TonalPlan(brief(form="fugue", voices=3, seeds=[7], max_new_tokens=n)) for n in (4000, 4000, 300)]
    assert rules[0].target_bars() == rules[1].target_bars()
    long = "NOTE_60 VOICE_0 DUR_12 TIME_12 " * 24  # three bars of 4/4, 32 tokens each
    for rule in rules:
        said(rule, state(long))
    assert rules[0].target_bars() >= 20 > 12 >= rules[2].target_bars()[0]


def test_notes_foreign_to_the_section_cost_and_those_of_the_scale_do_not():
    rule = TonalPlan(brief(form="prelude", mode="minor", seeds=[1]))
    found = said(rule, state("NOTE_57 VOICE_0 DUR_12 TIME_12"))[0]
    price = {
        name: float(found[TOKEN_TO_ID[f"NOTE_{pitch}"]])
        for name, pitch in zip("ABCgGf", (57, 59, 60, 56, 55, 54), strict=True)
    }
    assert price["A"] == price["B"] == price["C"] == price["g"] == 0
    assert 0 > price["G"] > found[TOKEN_TO_ID["NOTE_58"]]  # the natural seventh costs less than B flat


@pytest.mark.parametrize(("form", "strength"), [("fugue", IN_FUGUES), ("prelude", ELSEWHERE)])
def test_another_key_is_heard_by_the_notes_that_home_does_not_have(form, strength):
    """In G major, with C major at home."""
    rule = TonalPlan(brief(form=form, mode="major", seeds=[1]))
    rule.key_plans()[0].sections = [Section(7, 0, 99)]
    found = said(rule, state("NOTE_60 VOICE_0 DUR_12 TIME_12"))[0]
    at_home, away, new = strength
    by_pitch = [float(found[TOKEN_TO_ID[f"NOTE_{pitch}"]]) for pitch in (66, 65, 67, 63)]
    assert by_pitch == pytest.approx([new, -away * FOREIGN, 0, -away * FOREIGN]) and away > at_home
