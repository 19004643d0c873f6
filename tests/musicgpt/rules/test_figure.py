"""A bar goes on as the one before."""

from __future__ import annotations

import numpy as np

from musicgpt.rules.figure import ELSEWHERE, STILL, Bar, Figure
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import brief, said, state

RHYTHM, VOICE, STEP = ELSEWHERE
# A bar of 4/4: a bass, and over it C E G in eighths after a rest.
BAR = (
    "NOTE_48 VOICE_1 DUR_96 TIME_12 NOTE_72 VOICE_0 DUR_12 TIME_12 NOTE_76 VOICE_0 DUR_24 TIME_24 "
    "NOTE_79 VOICE_0 DUR_48 TIME_48 "
)


def liked(text: str) -> dict[str, float]:
    found = said(Figure(brief(form="prelude")), state(text))[0]
    return {name: round(float(found[i]), 3) for name, i in TOKEN_TO_ID.items() if found[i] > 0}


def test_the_first_bar_has_no_figure():
    assert liked(BAR[: BAR.index("TIME_24")]) == {}


def test_steps_voices_durations_and_degrees_are_those_of_the_bar_before():
    assert liked(BAR + "NOTE_50 VOICE_1") == {"DUR_96": RHYTHM}
    assert liked(BAR + "NOTE_50 VOICE_1 DUR_96") == {"TIME_12": RHYTHM}
    begun = BAR + "NOTE_50 VOICE_1 DUR_96 TIME_12 NOTE_74 VOICE_0 DUR_12 TIME_12"
    # a third of the scale higher, as before, raised or not
    assert liked(begun) == {"NOTE_77": STEP, "NOTE_78": STEP}
    assert liked(begun + " NOTE_77") == {"VOICE_0": round(VOICE + STEP, 3)}
    assert liked(begun + " NOTE_81") == {"VOICE_0": VOICE}


def test_what_stands_still_is_moved_on():
    found = said(Figure(brief(form="prelude")), state(BAR))
    assert found[0, TOKEN_TO_ID["NOTE_48"]] == 0
    rule = Figure(brief(form="prelude"))
    for bars in (1, 2, 3):
        found = said(rule, state(BAR * bars))
    assert found[0, TOKEN_TO_ID["NOTE_48"]] == -2 * STILL


def test_a_bar_is_read_in_order():
    notes = np.array([(0, 24, 60, 1), (0, 24, 72, 0), (24, 24, 71, 0)])
    bar = Bar(notes[[1, 0, 2]], 0, 0)
    assert bar.after(0, 0) == 0 and bar.after(0, 1) == 24 and bar.after(24, 0) is None
    assert bar.steps == {(24, 0): -1} and bar.voices(0, -1) == [0, 1]
