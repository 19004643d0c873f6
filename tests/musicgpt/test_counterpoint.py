"""Prices of counterpoint, on cases that can be read off the notes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musicgpt.counterpoint import (
    CROSSING,
    DISSONANCE,
    DOUBLED,
    LEAP,
    OUT_OF_ORDER,
    OVERLAP,
    OVERLAP_ELSEWHERE,
    PARALLEL,
    REPEATED,
    SOUNDING,
    Counterpoint,
)
from musicgpt.idiom import IN_FUGUES
from musicgpt.progress import Rows, Written
from tokenization.vocabulary import OFFSET, PITCH_MIN, TOKEN_TO_ID


@pytest.fixture
def without_idiom(monkeypatch):
    """Prices alone."""
    monkeypatch.setattr("musicgpt.counterpoint.IN_FUGUES", (1.0, 0.0))


def ids(text: str) -> list[int]:
    return [TOKEN_TO_ID[name] for name in ("<bos> TIME_0 " + text).split()]


def price(text: str, pitch: int, voice: int, voices: int = 2, is_fugue: bool = True) -> float:
    """What a note would pay after these tokens."""
    rows = Rows(ids(text), 1)
    return float(Counterpoint(rows, voices, is_fugue).price(rows.pieces[0], np.array([pitch]))[voice, 0])


FIFTH = "NOTE_67 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24 NOTE_69 VOICE_0 DUR_24 TIME_0"
OCTAVE = FIFTH.replace("67", "72").replace("69", "74")
HELD = "NOTE_67 VOICE_0 DUR_96 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24"


@pytest.mark.parametrize(
    ("text", "pitch", "voice", "wanted"),
    [
        (FIFTH, 62, 1, PARALLEL),
        (FIFTH, 60, 1, REPEATED),  # the lower voice stays
        (FIFTH, 64, 1, 0),
        (OCTAVE, 62, 1, PARALLEL),
        (HELD, 64, 1, 0),
        (HELD, 70, 1, CROSSING),
        (HELD, 48, 1, 0),
        (HELD, 47, 1, LEAP),
        (FIFTH.replace("NOTE_69", "NOTE_64"), 67, 1, CROSSING),
        (FIFTH, 68, 1, OVERLAP + DISSONANCE[11]),  # above where the upper voice was, below where it is
        (FIFTH, 60, 0, OUT_OF_ORDER + DOUBLED),  # same voice again: no, it goes down
    ],
)
def test_prices(text, pitch, voice, wanted):
    if (pitch, voice) == (60, 0):
        assert price(text, 60, 0) == DOUBLED
        assert price(text, 70, 0) == wanted
        assert price(text, 60, 0, is_fugue=False) == 0
    else:
        assert price(text, pitch, voice) == wanted


@pytest.mark.parametrize("semitones", range(12))
def test_a_dissonance_costs_after_a_leap_only(semitones):
    """Both voices move from an octave; the lower one to `semitones` below the upper one, or under two
    octaves, by a leap or by step.
    """
    held = "NOTE_72 VOICE_0 DUR_96 TIME_0 NOTE_%d VOICE_1 DUR_24 TIME_24"
    pitch = 72 - semitones - 12
    assert price(held % (pitch + 5), pitch, 1) == DISSONANCE[-semitones % 12]
    assert price(held % (pitch + 2), pitch, 1) == 0
    assert price(held % (pitch + 5), pitch, 1, is_fugue=False) == 0


def test_overlap_costs_less_outside_fugues():
    assert price(FIFTH, 68, 1, is_fugue=False) == OVERLAP_ELSEWHERE


def test_a_voice_has_what_its_idiom_says():
    """After a step up of the upper voice: of each VOICE token, and of a pitch that only this voice is
    near to.
    """
    given = ids(
        FIFTH.replace("TIME_0 NOTE_60 VOICE_1 DUR_24", "TIME_0 NOTE_40 VOICE_1 DUR_96").removesuffix("TIME_0")
        + "TIME_24"
    )
    rules = Counterpoint(Rows(given, 1), 2, True)
    [piece] = rules.rows.pieces
    model_weight, weight = IN_FUGUES
    opinion = weight * rules.idiom.opinion(piece, 2)
    moved = rules(torch.tensor([given]), torch.full((1, 150), 2.0))[0]
    assert moved[TOKEN_TO_ID["NOTE_71"]] == pytest.approx(
        2 * model_weight + opinion[0, 71 - PITCH_MIN], abs=0.01
    )
    chosen = [*given, TOKEN_TO_ID["NOTE_71"]]
    wanted = opinion[:, 71 - PITCH_MIN] - rules.price(piece, np.array([71]))[:, 0]
    moved = rules(torch.tensor([chosen]), torch.zeros(1, 150))[0]
    np.testing.assert_allclose(
        moved[[TOKEN_TO_ID["VOICE_0"], TOKEN_TO_ID["VOICE_1"]]].numpy(), wanted, rtol=1e-5
    )
    assert abs(opinion[0, 71 - PITCH_MIN]) > 0.05


def test_a_voice_that_sounds_waits():
    sounding = HELD + " NOTE_59 VOICE_1 DUR_12 TIME_12"
    assert price(sounding, 74, 0) == SOUNDING
    assert price(sounding, 74, 0, is_fugue=False) == 0
    assert price(sounding, 60, 1) == 0


def test_voices_above_a_statement_hear_its_note(without_idiom):
    """G over C, both move on: A would be a fifth again over the D that the plan will strike below."""
    given = ids("NOTE_67 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24")
    rows = Rows(given, 1)
    rules, [piece] = Counterpoint(rows, 2, True), rows.pieces
    assert rules.price(piece, np.array([69]))[0, 0] == 0
    piece.planned = Written(24, 24, 62, 1)
    assert rules.price(piece, np.array([69]))[0, 0] == PARALLEL
    moved = rules(torch.tensor([given]), torch.zeros(1, 150))[0]
    assert moved[TOKEN_TO_ID["NOTE_69"]] == -PARALLEL  # only the upper voice can take it
    assert moved[TOKEN_TO_ID["NOTE_62"]] == 0  # the plan's own note costs nothing
    below = np.array([57])  # the lower voice is nearer, but has its own note
    upper, lower = rules.price(piece, below)[:, 0]
    assert rules.expected(piece)[57 - PITCH_MIN] == pytest.approx(upper) and upper != lower
    piece.planned = Written(24, 24, 57, 1)
    assert rules.expected(piece)[57 - PITCH_MIN] > 0
    assert (
        rules(torch.tensor([given]), torch.zeros(1, 150))[0, TOKEN_TO_ID["NOTE_57"]] == 0
    )  # nor one that would cost the upper voice
    piece.planned = Written(48, 24, 62, 1)  # it comes later
    assert piece.due is None
    assert rules.price(piece, np.array([69]))[0, 0] == 0


def test_a_rest_makes_leaps_and_parallels_free():
    apart = FIFTH.replace("TIME_24", "TIME_48")
    assert price(apart, 62, 1) == 0
    assert price(apart, 40, 1) == 0


def test_what_is_dear_becomes_unlikely_and_nothing_else_moves(without_idiom):
    before = torch.randn(1, 150)
    given = ids(FIFTH)
    after = Counterpoint(Rows([], 1), 2, True)(torch.tensor([given]), before)
    notes = slice(OFFSET["NOTE"], OFFSET["NOTE"] + 64)
    moved = (after - before)[0]
    assert moved[TOKEN_TO_ID["NOTE_62"]] < -PARALLEL / 2
    assert moved[TOKEN_TO_ID["NOTE_64"]] > -0.5  # it could still be the upper voice's second note
    assert (moved <= 0).all()
    assert not moved[: notes.start].any() and not moved[notes.stop :].any()
    given += [TOKEN_TO_ID["NOTE_62"]]
    moved = (Counterpoint(Rows([], 1), 2, True)(torch.tensor([given]), before) - before)[0]
    assert moved[TOKEN_TO_ID["VOICE_1"]] == -PARALLEL
    assert moved[TOKEN_TO_ID["VOICE_0"]] < -DOUBLED + 0.01
    assert moved[TOKEN_TO_ID["VOICE_2"]] == 0


def test_pieces_have_their_notes_in_order(composer):
    from musicgpt import Settings
    from tokenization.codec import token_errors

    for form in ("prelude", "fugue"):
        for piece in composer.compose(Settings(form=form, voices=3, max_new_tokens=400, seed=5), num=4):
            errors = token_errors(piece.ids)
            assert errors["duplicate"] == errors["type"] == 0
            assert errors["time"] <= 1
