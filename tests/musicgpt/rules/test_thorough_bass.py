"""Intervals above the bass, on cases that can be read off the notes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from musicgpt.rules.base import BLOCK
from musicgpt.rules.thorough_bass import (
    BETWEEN,
    DOUBLED,
    ELSEWHERE,
    GIVEN,
    OVER_HELD,
    STRUCK,
    UNDER_HELD,
    ThoroughBass,
)
from tokenization.vocabulary import PITCH_MIN, TOKEN_TO_ID

from .cases import Plan, brief, said, state

FIRST = "NOTE_76 VOICE_0 DUR_24 TIME_0 NOTE_52 VOICE_1 DUR_24 TIME_24"
# What sounds at the second beat: both voices move, or one of them holds.
BOTH = FIRST + " NOTE_72 VOICE_0 DUR_24 TIME_0"
UPPER_HOLDS = "NOTE_72 VOICE_0 DUR_48 TIME_0 NOTE_52 VOICE_1 DUR_24 TIME_24"
BASS_HOLDS = "NOTE_76 VOICE_0 DUR_24 TIME_0 NOTE_48 VOICE_1 DUR_48 TIME_24"


def price(text: str, pitch: int, voice: int, rule: ThoroughBass | None = None, **asked) -> float:
    """What a note would pay after these tokens."""
    rule = rule or ThoroughBass(brief(**{"form": "fugue", "voices": 2, **asked}))
    said(rule, state(text))
    return -float(rule.known[0, voice, pitch - PITCH_MIN])


@pytest.mark.parametrize("semitones", range(12))
@pytest.mark.parametrize(
    ("asked", "weight"),
    [
        ({}, 1),
        ({"form": "prelude"}, ELSEWHERE),
        ({"form": None, "frame": SimpleNamespace(is_bounded=True)}, GIVEN),
        ({"frame": SimpleNamespace(is_bounded=True)}, GIVEN),
    ],
)
def test_what_an_interval_costs_on_a_beat(semitones, asked, weight):
    below, above = 72 - 12 - semitones, 48 + 12 + semitones
    assert price(BOTH, below, 1, **asked) == pytest.approx(weight * STRUCK[semitones])
    assert price(UPPER_HOLDS, below, 1, **asked) == pytest.approx(weight * UNDER_HELD[semitones])
    assert price(BASS_HOLDS, above, 0, **asked) == pytest.approx(weight * OVER_HELD[semitones])


@pytest.mark.parametrize(("beat", "ticks", "share"), [(24, 24, 1), (24, 36, BETWEEN), (36, 36, 1)])
def test_less_counts_between_beats(beat, ticks, share):
    text = f"NOTE_76 VOICE_0 DUR_{ticks} TIME_0 NOTE_48 VOICE_1 DUR_96 TIME_{ticks}"
    rule = ThoroughBass(brief(form="fugue", voices=2))
    rule.beat = beat
    assert price(text, 60, 0, rule) == pytest.approx(share * OVER_HELD[0])


def test_voices_in_the_middle_double_none_and_hear_the_lowest():
    """E over C, and a third voice between them; that it has the bass's own note is an interval, too."""
    text = "NOTE_76 VOICE_0 DUR_96 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_0 NOTE_48 VOICE_2 DUR_96 TIME_24"
    costs = {pitch: price(text, pitch, 1, voices=3) for pitch in (60, 64, 65)}
    assert costs == pytest.approx({60: OVER_HELD[0], 64: OVER_HELD[4] + DOUBLED, 65: OVER_HELD[5]})
    alone = "NOTE_76 VOICE_0 DUR_24 TIME_24"
    assert price(alone, 64, 1) == price(alone, 64, 0) == 0  # nothing sounds


def test_a_note_that_the_plan_will_strike_is_heard():
    """The plan has C in the bass; the upper voice comes before it."""
    rule = ThoroughBass(brief(Plan(48, 1, 24), form="fugue", voices=2))
    assert price(FIRST, 64, 0, rule) == pytest.approx(STRUCK[4])
    assert price(FIRST, 65, 0, rule) == pytest.approx(STRUCK[5])
    notes = said(rule, state(FIRST))[0]
    assert notes[TOKEN_TO_ID["NOTE_48"]] == 0  # the plan's own note costs nothing
    assert notes[TOKEN_TO_ID["NOTE_65"]] == pytest.approx(-STRUCK[5])  # only the upper voice can take it


def test_the_voice_pays_what_the_note_was_told():
    rule = ThoroughBass(brief(form="fugue", voices=2))
    said(rule, state(BOTH))
    voices = said(rule, state(BOTH + " NOTE_55"))[0, BLOCK["VOICE"]]
    assert voices[:2] == pytest.approx(rule.known[0, :, 55 - PITCH_MIN])
    assert voices[1] == pytest.approx(-STRUCK[5]) and not np.any(voices[2:])
