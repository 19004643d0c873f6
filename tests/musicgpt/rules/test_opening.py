"""How the first bars say which key it is."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.opening import Opening

from .cases import BAR, brief, note, said, state


@pytest.mark.parametrize("form, mode, first", [("fugue", "minor", {9, 4}), ("prelude", "major", {0, 7})])
def test_a_piece_begins_on_the_first_or_fifth_degree(form, mode, first):
    found = said(Opening(brief(form=form, mode=mode)), state(""))
    assert {pitch % 12 for pitch in range(48, 72) if np.isfinite(note(found, pitch))} == first
    together = said(Opening(brief(form=form, mode=mode)), state("NOTE_72 VOICE_0 DUR_12 TIME_0"))
    third = 0 if mode == "minor" else 4
    assert {p % 12 for p in range(48, 72) if np.isfinite(note(together, p))} == first | {third}


def test_in_the_first_bars_the_tonic_triad_is_likelier():
    found = said(Opening(brief(form="prelude")), state(BAR + "NOTE_72 VOICE_0 DUR_12 TIME_12"))
    assert note(found, 60) == note(found, 64) == note(found, 67) > note(found, 62)
    assert not said(Opening(brief(form="prelude")), state(BAR * 5)).any()


def test_a_subject_is_bound_to_the_triad_on_beats_only_and_does_not_stay_on_a_note():
    rule = Opening(brief(form="fugue"))
    off_beat = said(rule, state("NOTE_72 VOICE_0 DUR_12 TIME_12"))
    assert note(off_beat, 72) < note(off_beat, 74) == note(off_beat, 76) == 0
    on_beat = said(rule, state("NOTE_72 VOICE_0 DUR_24 TIME_24"))
    assert note(on_beat, 74) < note(on_beat, 72) < note(on_beat, 76)
    two = said(rule, state("NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_12 TIME_12"))
    assert note(two, 76) > note(two, 74) and note(two, 60) == note(two, 64)
