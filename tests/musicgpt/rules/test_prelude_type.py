"""Preludes have types: how much the rhythm of their openings varies, and inventions are answered."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musicgpt.rules import build
from musicgpt.rules.beginning import opening_penalty
from musicgpt.rules.prelude_type import CANTABILE, FIGURATION, INVENTION, OPENINGS, Drawn, PreludeType
from tests.musicgpt.states import state_after
from tokenization import decode, prefix_ids
from tokenization.score import Note
from tokenization.vocabulary import EOS_ID, TOKEN_TO_ID

from .cases import EVEN, allowed, brief, said, state, written

# A bar of 4/4: quavers over crotchets, with which they can change places.
UPPER, LOWER = (72, 74, 76, 77, 79, 77, 76, 74), (60, 67, 64, 65)
BAR = "".join(
    f"NOTE_{UPPER[2 * k]} VOICE_0 DUR_12 TIME_0 NOTE_{LOWER[k]} VOICE_1 DUR_24 TIME_12"
    f" NOTE_{UPPER[2 * k + 1]} VOICE_0 DUR_12 TIME_12 "
    for k in range(4)
)
ALONE = "".join(f"NOTE_{pitch} VOICE_0 DUR_12 TIME_12 " for pitch in UPPER)


def invention(**what) -> PreludeType:
    rule = PreludeType(brief(**{"form": "prelude", "voices": 2, **what}))
    rule.types, rule.is_open, rule.heat = [Drawn(INVENTION, 0.9)], np.array([True]), np.ones((1, 1))
    return rule


@pytest.mark.parametrize(("voices", "place"), [(2, 0), (4, 1)])
def test_types_are_as_frequent_as_in_bach_s_preludes_of_as_many_voices(voices, place):
    drawn = PreludeType(brief(form="prelude", voices=voices, rows=2000, seeds=range(2000))).types
    bach = {name: own[place] for name, own in OPENINGS.items()}
    for name in (INVENTION, FIGURATION, CANTABILE):
        found = [one.bits for one in drawn if one.name == name]
        share = len(bach[name]) / sum(map(len, bach.values()))
        assert len(found) / len(drawn) == pytest.approx(share, abs=0.04) and set(found) == set(bach[name])


def test_voices_are_exchanged_where_the_bar_is_good_so():
    rule = invention()
    said(rule, state(BAR))
    assert not rule.against_beginnings().any()
    assert rule.replays[0] is not None and rule.stated()[0] == rule.replays[0].left
    answer = {voice: [n.pitch for n in rule.replays[0].left if n.voice == voice] for voice in (0, 1)}
    assert [a - b for a, b in zip(answer[1], UPPER, strict=True)] in ([-12] * 8, [-24] * 8)
    assert [a - b for a, b in zip(answer[0], LOWER, strict=True)] in ([12] * 4, [24] * 4)
    assert allowed(rule, BAR, "NOTE") == [answer[0][0]]


def test_a_line_alone_is_answered_below_while_the_first_voice_goes_on():
    rule = invention()
    said(rule, state(ALONE))
    assert [note.pitch for note in rule.stated()[0]] == [pitch - 12 for pitch in UPPER]
    assert rule.due().tolist() == [[60, 1, 12]]
    assert min(allowed(rule, ALONE, "NOTE")) == 60 and max(allowed(rule, ALONE, "NOTE")) > 72
    assert allowed(rule, ALONE + "NOTE_60 ", "VOICE") == [1]
    assert allowed(rule, ALONE + "NOTE_60 VOICE_1 ", "DUR") == [12]
    # Of three voices the lowest answers; what the lowest has the highest does.
    other = invention(voices=3)
    said(other, state(ALONE))
    assert {note.voice for note in other.stated()[0]} == {2}
    below = invention()
    said(below, state("".join(f"NOTE_{pitch - 12} VOICE_1 DUR_12 TIME_12 " for pitch in UPPER)))
    assert [(n.pitch, n.voice) for n in below.stated()[0]] == [(pitch, 0) for pitch in UPPER]


def test_the_opening_ends_with_its_bar_and_a_broken_triad_is_not_answered():
    rule = invention()
    assert max(allowed(rule, "NOTE_72 VOICE_0 DUR_12 TIME_48 NOTE_60 VOICE_1 ", "DUR")) == 48
    triad = "".join(f"NOTE_{pitch} VOICE_0 DUR_12 TIME_12 " for pitch in (60, 64, 67, 64) * 2)
    rule = invention()
    assert not said(rule, state(triad)).any() and rule.answers == rule.replays == [None]
    assert rule.against_beginnings() > 0
    silent = invention()
    assert not said(silent, state("TIME_96")).any() and silent.against_beginnings() > 0


def test_only_the_rhythm_of_the_first_bars_is_warmer():
    rule = PreludeType(brief(form="prelude", voices=3))
    rule.types, rule.is_open[:], rule.heat = [Drawn(CANTABILE, 2.0)], False, np.full((1, 1), 1.25)
    scores = np.arange(150.0, dtype=np.float32)[None] - 150
    for text, is_warm in (
        ("NOTE_60 VOICE_1 ", True),
        ("NOTE_60 ", False),
        (BAR * 2 + "NOTE_60 VOICE_1 ", False),
    ):
        wanted = scores / 1.25 if is_warm else scores
        assert said(rule, state(text), scores.copy()) == pytest.approx(wanted)


def test_a_beginning_is_chosen_by_the_rhythm_that_was_drawn():
    def opening(*durations: int) -> list[Note]:
        places = np.cumsum([0, *durations])[:-1].tolist()
        return [
            Note(at, d, 60 + 2 * (k % 4), 0) for k, (at, d) in enumerate(zip(places, durations, strict=True))
        ]

    even, mixed = opening(*[12] * 16), opening(*[24, 6, 6, 12] * 4)  # 0 and 1.5 bits
    assert opening_penalty(even, "major", 96, 0.0) < opening_penalty(even, "major", 96, 1.5)
    assert opening_penalty(mixed, "major", 96, 1.5) < opening_penalty(mixed, "major", 96, 0.0)


def test_it_is_for_preludes_that_begin():
    assert PreludeType.applies(brief(form="prelude")) and PreludeType.applies(brief())
    assert not PreludeType.applies(brief(form="fugue"))
    assert not PreludeType.applies(brief(form="prelude", prompt=state(BAR)))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_model_says_the_opening_is_answered(seed):
    prefix = prefix_ids(mode="major", meter="4/4")
    asked = brief(form="prelude", meter="4/4", voices=2 + seed % 2, prompt=state_after(prefix))
    [rule] = build([PreludeType], asked)
    rule.types, rule.is_open = [Drawn(INVENTION, 0.9)], np.array([True])

    def taste(scores: torch.Tensor, made: int) -> None:
        scores[:, EVEN] += 50
        scores[:, EOS_ID] -= 99
        scores[:, TOKEN_TO_ID["VOICE_2"] : TOKEN_TO_ID["VOICE_4"] + 1] -= 99
        scores[:, TOKEN_TO_ID["NOTE_55"] : TOKEN_TO_ID["NOTE_72"]] += 99

    [ids] = written([rule], prefix, 250, taste, seed)
    notes = decode(ids).score.notes
    lines = [[n for n in notes if n.voice == voice and n.onset < 192] for voice in range(3)]
    lead = max((0, 1), key=lambda voice: sum(n.onset < 96 for n in lines[voice]))
    tops = [{n.onset: n.pitch % 12 for n in reversed(line)} for line in lines]
    opening = {onset: pitch for onset, pitch in tops[lead].items() if onset < 96}
    begins = 96 + min(opening)  # before its first note the voice that answers is free
    answers = [{onset - 96: pitch for onset, pitch in top.items() if onset >= begins} for top in tops]
    assert len(opening) >= 5 and opening in [answers[v] for v in range(3) if v != lead]
