"""Voices that were asked for enter one after another and come back, without crossing those that sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from musicgpt import Settings
from musicgpt.around import frame_of
from musicgpt.given import Given
from musicgpt.rules.base import BLOCK, FORBIDDEN
from musicgpt.rules.entries import BETWEEN_ENTRIES, PASSED_OVER, REST, Entries
from tests.musicgpt.states import state_after
from tokenization import Score, encode
from tokenization.score import VOICE
from tokenization.vocabulary import TOKEN_TO_ID

from . import cases
from .cases import brief, said


def missing_after(notes: list[tuple], voices: int) -> list[int]:
    """Which voices may take the last note of a piece in 4/4, as `Entries` reads it before its VOICE token."""
    state = state_after(encode(Score(notes))[:-4].tolist())  # DUR, TIME and <eos> off, and VOICE
    rule = Entries(brief(voices=voices))
    found = np.flatnonzero(rule.missing(state)[0]).tolist()
    allowed = said(rule, state)[0, BLOCK["VOICE"]] > FORBIDDEN
    assert np.flatnonzero(allowed).tolist() == (found or list(range(5)))
    return found


def alone(bars: int, voice: int = 1, pitch: int = 60) -> list[tuple]:
    """Quarter notes of one voice."""
    return [(24 * i, 24, pitch, voice) for i in range(4 * bars)]


def test_voices_enter_one_after_another():
    before = alone(BETWEEN_ENTRIES)
    # still within the first bars
    assert missing_after([*before[:-1], (24 * len(before) - 24, 24, 72, 1)], 3) == []
    assert missing_after([*before, (24 * len(before), 24, 72, 1)], 3) == [0, 2]
    two = sorted([*alone(3), *alone(3, voice=2, pitch=48)])
    assert missing_after([*two, (288, 24, 72, 1)], 3) == []  # the third waits for its turn


def test_an_entry_does_not_cross_voices_that_sound():
    long = [*alone(2), (192, 96, 60, 1)]
    assert missing_after([*long, (216, 24, 72, 2)], 3) == [0]
    assert missing_after([*long, (216, 24, 48, 2)], 3) == [2]
    assert missing_after([*long, (216, 24, 60, 2)], 3) == []


@pytest.mark.parametrize(("pitch", "returns"), [(50, True), (74, False)])
def test_a_voice_that_rested_comes_back_near_where_it_was(pitch, returns):
    rows = [(0, 24, 60, 0), (0, 24, 48, 1), *[(24 * i, 24, 84, 0) for i in range(1, 4 * REST + 2)]]
    assert missing_after([*rows, (24 * (4 * REST + 2), 24, pitch, 0)], 2) == ([1] if returns else [])
    assert missing_after([*rows[:-8], (24 * (4 * REST - 6), 24, 50, 0)], 2) == []  # not yet


@pytest.mark.parametrize("voices", [3, 4])
def test_the_composers_pieces_have_the_voices_that_were_asked_for(composer, voices):
    pieces = composer.compose(
        Settings(voices=voices, form="prelude", max_new_tokens=500, min_bars=1000, seed=4), num=4
    )
    heard = [set(np.unique(piece.score.array[:, VOICE]).tolist()) for piece in pieces]
    assert all(found == set(range(voices)) for found in heard)
    [alone] = composer.compose(pieces[2].settings)
    assert alone.ids == pieces[2].ids


@pytest.mark.parametrize(("text", "waits"), [("", True), ("NOTE_72 VOICE_0 DUR_24 TIME_0", False)])
def test_no_voice_above_a_melody_that_is_harmonised_is_passed_over(text, waits):
    """The alto is given; the soprano may still strike before it, or has done so."""
    melody = Score([(0, 24, 65, 1), (24, 24, 67, 1)], key="F major")
    given = Given.melody(melody, "alto", 4)
    keeper = cases.Plan(65, 1, 24)  # what is due
    for phrases in (given.phrases or (24,), ()):
        frame = frame_of(replace(given, phrases=phrases), 0, 0)
        found = said(Entries(brief(keeper, frame=frame, voices=4)), cases.state(text))[0]
        assert found[TOKEN_TO_ID["NOTE_65"]] == -PASSED_OVER * (waits and bool(phrases))
        assert np.count_nonzero(found) <= 1


def test_no_voice_enters_above_one_that_has_just_struck():
    """It was asked for, and no other one allowed, where notes that begin together could not be so written."""
    before = "NOTE_60 VOICE_1 DUR_24 TIME_24 " * 4 * BETWEEN_ENTRIES
    rule = Entries(brief(voices=3))
    assert rule.missing(cases.state(before + "NOTE_80"))[0].tolist() == [True, False, True]
    together = cases.state(before + "NOTE_72 VOICE_1 DUR_24 TIME_0 NOTE_80")
    assert not rule.missing(together).any()  # voice 0 would have come before voice 1, and voice 2 would cross
