"""Prices of counterpoint, on cases that can be read off the notes."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules import counterpoint as price
from musicgpt.rules.base import BLOCK, FORBIDDEN
from musicgpt.rules.counterpoint import Counterpoint
from musicgpt.rules.registers import REGISTERS, registers
from musicgpt.rules.takers import PASSED_OVER, is_out_of_order
from tokenization.vocabulary import PITCH_MIN, TOKEN_TO_ID

from .cases import Plan, brief, said, state

FIRST = np.array([0])


def penalty(text: str, pitch: int, voice: int, voices: int = 2, is_fugue: bool = True) -> float:
    """What a note would pay after these tokens, in whatever register."""
    rule = Counterpoint(brief(form="fugue" if is_fugue else "prelude", voices=voices))
    rule.strays[:] = 0
    return float(rule.penalty(state(text), FIRST)[0, voice, pitch - PITCH_MIN])


FIFTH = "NOTE_67 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24 NOTE_69 VOICE_0 DUR_24 TIME_0"
OCTAVE = FIFTH.replace("67", "72").replace("69", "74")
HELD = "NOTE_67 VOICE_0 DUR_96 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24"


@pytest.mark.parametrize(
    ("text", "pitch", "voice", "wanted"),
    [
        (FIFTH, 62, 1, price.PARALLEL),
        (FIFTH, 60, 1, price.REPEATED),  # the lower voice stays
        (FIFTH, 64, 1, 0),
        (OCTAVE, 62, 1, price.PARALLEL),
        (HELD, 64, 1, 0),
        (HELD, 70, 1, price.CROSSING),
        (HELD, 48, 1, 0),
        (HELD, 47, 1, price.LEAP),
        (FIFTH.replace("NOTE_69", "NOTE_64"), 67, 1, price.CROSSING),
        # above where the upper voice was, below where it is
        (FIFTH, 68, 1, price.OVERLAP + price.DISSONANCE[11] + price.STRUCK_ON_BEATS * price.STRUCK[11]),
    ],
)
def test_prices(text, pitch, voice, wanted):
    assert penalty(text, pitch, voice) == pytest.approx(wanted)


def test_notes_that_begin_together_go_down():
    order = is_out_of_order(state(FIFTH), FIRST, 2)[0]
    assert order[0, 69 - PITCH_MIN :].all() and not order[0, : 69 - PITCH_MIN].any() and not order[1].any()
    assert penalty(FIFTH, 60, 0, is_fugue=False) == 0
    rule = Counterpoint(brief(form="fugue", voices=2))
    said(rule, state(FIFTH))
    voices = said(rule, state(FIFTH + " NOTE_70"))[0, BLOCK["VOICE"]]
    assert voices[0] == FORBIDDEN < voices[1]
    after_lowest = state(HELD + " NOTE_59 VOICE_1 DUR_12")
    assert said(rule, after_lowest)[0, TOKEN_TO_ID["TIME_0"]] == FORBIDDEN


@pytest.mark.parametrize("semitones", range(12))
def test_a_dissonance_costs_after_a_leap_only(semitones):
    """Both voices move from an octave; the lower one to `semitones` below the upper one, or under two
    octaves, by a leap or by step.
    """
    held = "NOTE_72 VOICE_0 DUR_96 TIME_0 NOTE_%d VOICE_1 DUR_24 TIME_24"
    pitch = 72 - semitones - 12
    assert penalty(held % (pitch + 5), pitch, 1) == price.DISSONANCE[-semitones % 12]
    assert penalty(held % (pitch + 2), pitch, 1) == 0
    assert penalty(held % (pitch + 5), pitch, 1, is_fugue=False) == 0


@pytest.mark.parametrize("semitones", range(12))
def test_a_dissonance_costs_by_step_too_where_both_are_struck(semitones):
    pitch = 72 - 12 - semitones
    struck = (
        f"NOTE_71 VOICE_0 DUR_24 TIME_0 NOTE_{pitch + 2} VOICE_1 DUR_24 TIME_24 NOTE_72 VOICE_0 DUR_24 TIME_0"
    )
    assert penalty(struck, pitch, 1) == pytest.approx(price.STRUCK_ON_BEATS * price.STRUCK[semitones])
    between = struck.replace("24", "12")  # half a beat after the first notes
    assert penalty(between, pitch, 1) == pytest.approx(price.STRUCK[semitones])
    assert penalty(struck, pitch, 1, is_fugue=False) == pytest.approx(
        price.STRUCK_ELSEWHERE * price.STRUCK[semitones]
    )


def test_overlap_costs_less_outside_fugues():
    second = price.STRUCK_ELSEWHERE * price.STRUCK[1]  # 68 and 69 are struck together
    assert penalty(FIFTH, 68, 1, is_fugue=False) == pytest.approx(price.OVERLAP_ELSEWHERE + second)


@pytest.mark.parametrize("form", ["fugue", "prelude"])
def test_a_voice_of_a_fugue_that_sounds_waits(form):
    sounding, rule = HELD + " NOTE_59 VOICE_1 DUR_12 TIME_12", Counterpoint(brief(form=form, voices=2))
    said(rule, state(sounding))
    upper, lower = said(rule, state(sounding + " NOTE_74"))[0, BLOCK["VOICE"]][:2]
    assert (upper == FORBIDDEN) == (form == "fugue") and lower > FORBIDDEN


def test_voices_above_a_statement_hear_its_note():
    """G over C, both move on: A would be a fifth again over the D that the plan will strike below."""
    given = state("NOTE_67 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24")
    low = price.LOW * (registers(2)[0] - 69)  # below the middle of the upper voice
    free = Counterpoint(brief(form="fugue", voices=2)).penalty(given, FIRST)[0, 0, 69 - PITCH_MIN]
    assert free == pytest.approx(low)
    rule = Counterpoint(brief(Plan(62, 1, 24), form="fugue", voices=2))
    upper, lower = rule.penalty(given, FIRST)[0]
    assert upper[69 - PITCH_MIN] == pytest.approx(price.PARALLEL + low)
    moved = said(rule, given)[0]
    assert moved[TOKEN_TO_ID["NOTE_69"]] == pytest.approx(
        -price.PARALLEL - low
    )  # only the upper voice can take it
    assert moved[TOKEN_TO_ID["NOTE_62"]] == 0  # the plan's own note costs nothing
    # At 57 the lower voice is nearer, but has its own note.
    assert moved[TOKEN_TO_ID["NOTE_57"]] == pytest.approx(-upper[57 - PITCH_MIN])
    assert upper[57 - PITCH_MIN] != lower[57 - PITCH_MIN]


def test_a_rest_makes_leaps_and_parallels_free():
    apart = FIFTH.replace("TIME_24", "TIME_48")
    assert penalty(apart, 62, 1) == 0
    assert penalty(apart, 40, 1) == 0


def line(*pitches: int) -> str:
    return " ".join(f"NOTE_{pitch} VOICE_0 DUR_6 TIME_6" for pitch in pitches)


@pytest.mark.parametrize(
    ("heard", "pitch", "fugue", "elsewhere"),
    [
        ((60, 64, 60, 64), 60, 1, 1),
        ((60, 64, 60, 64), 67, 0, 0),
        ((62, 64, 60, 64), 60, 0, 0),
        ((60, 64, 67, 60, 64, 67), 60, 1, 0),  # preludes have figures of three notes
        ((57, 60, 64, 60, 57, 60, 64, 60), 57, 1, 1),
        ((60, 64) * 4, 60, 2, 2),
    ],
)
def test_a_cell_that_has_come_twice_does_not_go_on(heard, pitch, fugue, elsewhere):
    for is_fugue, times in ((True, fugue), (False, elsewhere)):
        back = price.TO_AND_FRO * (pitch == heard[-2])
        found = penalty(line(*heard), pitch, 0, is_fugue=is_fugue)
        assert found == pytest.approx(times * price.ONCE_MORE + back)


@pytest.mark.parametrize(
    ("heard", "pitch", "wanted"),
    [
        ((60, 65), 68, price.ONWARDS),
        ((60, 65), 67, 0),
        ((60, 65), 62, price.BACK),
        ((60, 64), 68, 0),  # a third is no leap
        ((65, 60), 57, price.ONWARDS),
        ((65, 60), 63, price.BACK),
    ],
)
def test_a_leap_is_not_left_by_a_leap(heard, pitch, wanted):
    assert penalty(line(*heard), pitch, 0) == wanted
    assert penalty(line(*heard), pitch, 0, is_fugue=False) == 0


@pytest.mark.parametrize("form", ["fugue", "prelude"])
@pytest.mark.parametrize("transposition", [0, -3])
def test_a_voice_stays_in_its_register(form, transposition):
    middle = registers(2, transposition)[0]
    assert middle == REGISTERS[2][0] - transposition
    rule = Counterpoint(brief(form=form, voices=2, transposition=transposition))
    own, heard = int(middle), state(line(int(middle)))
    far = price.NEARBY + 2
    found = rule.penalty(heard, FIRST)[0, 0, np.array([own + 9, own + far, own - 9, own - far]) - PITCH_MIN]
    low = price.LOW * (form == "fugue") * (middle - own + np.array([9, far]))
    stray = price.STRAY * (far - price.NEARBY + np.array([own - middle, middle - own]))
    assert found == pytest.approx([0, stray[0], low[0], stray[1] + low[1]])
    assert not Counterpoint(brief(form=form, voices=6)).strays.any()  # Bach has none of six


def test_voices_avoid_unisons():
    held = "NOTE_67 VOICE_0 DUR_96 TIME_0 NOTE_64 VOICE_1 DUR_24 TIME_24"
    assert penalty(held, 67, 1) == penalty(held, 67, 1, is_fugue=False) == price.UNISON


def test_a_voice_that_could_go_on_is_not_passed_over():
    """Two voices end together: the lower one pays for striking first, as long as the upper one may strike."""
    ended = "NOTE_67 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_24"
    assert penalty(ended, 62, 1) == PASSED_OVER and penalty(ended, 62, 1, is_fugue=False) == 0
    assert penalty(ended + " NOTE_65 VOICE_0 DUR_24 TIME_0", 62, 1) == 0
    assert penalty(ended.replace("DUR_24", "DUR_48", 1), 62, 1) == 0  # it sounds
    assert penalty(ended.replace("TIME_24", "TIME_36"), 62, 1) == 0  # it has been silent before


def test_going_back_to_the_note_before_costs():
    heard = "NOTE_60 VOICE_0 DUR_6 TIME_6 NOTE_62 VOICE_0 DUR_6 TIME_6"
    assert penalty(heard, 60, 0) == penalty(heard, 60, 0, is_fugue=False) == price.TO_AND_FRO
    assert penalty(heard, 64, 0) == 0


@pytest.mark.parametrize(
    ("upper", "pitch", "is_hidden"),
    [
        (76, 64, True),  # both go up, the upper one by a leap, to an octave
        (76, 57, False),  # in contrary motion
        (74, 62, False),  # the upper one goes by step
        (76, 59, False),  # it is a fourth
    ],
)
def test_the_outer_voices_do_not_leap_into_an_octave_in_one_direction(upper, pitch, is_hidden):
    text = f"NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_57 VOICE_1 DUR_24 TIME_24 NOTE_{upper} VOICE_0 DUR_24 TIME_0"
    own = price.STRUCK[(upper - pitch) % 12] + price.REPEATED * (pitch == 57)
    assert penalty(text, pitch, 1) == pytest.approx(price.HIDDEN * is_hidden + own)


def test_what_is_dear_becomes_unlikely_and_nothing_else_moves():
    rule, given = Counterpoint(brief(form="fugue", voices=2)), state(FIFTH)
    moved = said(rule, given)[0]
    assert moved[TOKEN_TO_ID["NOTE_62"]] < -price.PARALLEL / 2
    assert moved[TOKEN_TO_ID["NOTE_64"]] > -0.5
    assert (moved <= 0).all()
    notes = BLOCK["NOTE"]
    assert not moved[: notes.start].any() and not moved[notes.stop :].any()
    moved = said(rule, state(FIFTH + " NOTE_62"))[0]
    assert moved[TOKEN_TO_ID["VOICE_1"]] == -price.PARALLEL
    assert moved[TOKEN_TO_ID["VOICE_0"]] == FORBIDDEN  # it has struck
    assert moved[TOKEN_TO_ID["VOICE_2"]] == 0


@pytest.mark.parametrize("form", ["prelude", "fugue"])
def test_rows_are_judged_each_by_itself(form):
    """Three pieces at different tokens, together and alone."""
    texts = [FIFTH, HELD + " NOTE_59", OCTAVE]
    together = state(texts[0], 3)
    alone = [state(text) for text in texts]
    for name, values in vars(together).items():
        if isinstance(values, np.ndarray) and not name.startswith("_"):
            setattr(together, name, np.concatenate([getattr(one, name) for one in alone]))
    rule = Counterpoint(brief(form=form, voices=3, rows=3))
    before = Counterpoint(brief(form=form, voices=3))
    said(before, state(HELD))
    rule.known[1], rule.impossible[1] = before.known[0], before.impossible[0]
    found = said(rule, together)
    for row, text in enumerate(texts):
        own = Counterpoint(brief(form=form, voices=3))
        if row == 1:
            said(own, state(HELD))
        np.testing.assert_allclose(found[row], said(own, state(text))[0], rtol=1e-5)


def test_pieces_have_their_notes_in_order(composer):
    from musicgpt import Settings
    from tokenization.codec import token_errors

    for form in ("prelude", "fugue"):
        for piece in composer.compose(Settings(form=form, voices=3, max_new_tokens=400, seed=5), num=4):
            errors = token_errors(piece.ids)
            assert errors["duplicate"] == errors["type"] == 0
            assert errors["time"] <= 1
