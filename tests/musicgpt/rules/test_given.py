"""What keeps given notes, and what suits an end that is given."""

from __future__ import annotations

import numpy as np

from musicgpt.around import frame_of
from musicgpt.given import Given, Region
from musicgpt.rules.ending import INCOMPLETE, Ending, phrase_key
from musicgpt.rules.given import KeepGiven
from tests.musicgpt.states import state_after
from tokenization import Score
from tokenization.vocabulary import PITCH_MIN, TOKEN_TO_ID, TOKENS

from .cases import brief, ids, said, state


def frame(notes, *regions, **more):
    given = Given(Score(notes, key="C major"), tuple(Region(*r) for r in regions), 2, **more)
    return frame_of(given, 0, 0)


def allowed(frame, text: str) -> set[str]:
    """The tokens that may follow, each token of the text having been asked about before."""
    rule = KeepGiven(brief(frame=frame))
    tokens, found = ids(text), np.zeros((1, 150), dtype=bool)
    for length in range(2, len(tokens) + 1):
        found = rule.allowed(state_after(tokens[:length]))
    return {TOKENS[i].text for i in np.flatnonzero(found[0])}


def notes_in(tokens: set[str]) -> set[str]:
    return {token for token in tokens if token.startswith(("NOTE", "TIME", "<eos>", "DUR"))}


def test_no_step_passes_a_given_note_and_each_leads_to_one():
    # A note of the lower voice at 0 and at 29, the upper voice free from 24 to 48.
    one = frame([(0, 24, 48, 1), (29, 19, 50, 1)], (24, 48, (0,)))
    steps = {t for t in allowed(one, "NOTE_48 VOICE_1 DUR_24") if t.startswith("TIME")}
    # To where a note may begin, or from where one or more further steps lead to 29; not beyond.
    assert "TIME_24" in steps and "TIME_27" in steps and "TIME_0" not in steps
    assert not steps & {"TIME_30", "TIME_32", "TIME_96"}
    assert "TIME_3" in steps  # 3 + 26 = 3 + 24 + 2
    then = allowed(one, "NOTE_48 VOICE_1 DUR_24 TIME_24 TIME_4")
    assert "NOTE_60" in then and "TIME_1" in then and "TIME_2" not in then
    last = allowed(one, "NOTE_48 VOICE_1 DUR_24 TIME_24 TIME_4 TIME_1")
    assert "NOTE_50" in last and not any(t.startswith("TIME") for t in last)


def test_a_given_note_waits_for_the_voice_above_and_ends_the_piece():
    one = frame([(0, 24, 48, 1), (24, 24, 50, 1)], (0, 48, (0,)))
    first = allowed(one, "")
    assert {"NOTE_48", "NOTE_72"} <= first and not any(t.startswith("TIME") for t in first)
    assert {t for t in allowed(one, "NOTE_48") if t.startswith("VOICE_")} == {"VOICE_0", "VOICE_1"}
    assert {t for t in allowed(one, "NOTE_72") if t.startswith("VOICE_")} == {"VOICE_0"}
    held = allowed(one, "NOTE_72 VOICE_0")
    assert "DUR_48" in held and "DUR_54" not in held
    assert notes_in(allowed(one, "NOTE_72 VOICE_0 DUR_48")) >= {"TIME_0"}
    assert {t for t in allowed(one, "NOTE_72 VOICE_0 DUR_48 TIME_0") if "NOTE" in t} == {"NOTE_48"}
    text = "NOTE_72 VOICE_0 DUR_48 TIME_0 NOTE_48 VOICE_1"
    assert {t for t in allowed(one, text) if "DUR" in t} == {"DUR_24"}
    text += " DUR_24 TIME_24 NOTE_50 VOICE_1 DUR_24"
    assert {t for t in allowed(one, text) if "TIME" in t} >= {"TIME_24"}
    assert "<eos>" in allowed(one, text + " TIME_24") and "NOTE_60" not in allowed(one, text + " TIME_24")


def test_the_end_is_a_tonic_that_sounds_to_it():
    one = frame([(0, 48, 67, 0), (48, 48, 72, 0)], (0, 96, (1,)))
    assert (one.final, one.end) == (48, 96)
    rule = Ending(brief(frame=one))
    at = state("NOTE_67 VOICE_0 DUR_48 TIME_0 NOTE_55 VOICE_1 DUR_48 TIME_48 NOTE_72 VOICE_0 DUR_48 TIME_0")
    scores = said(rule, at)[0]
    assert scores[TOKEN_TO_ID["NOTE_48"]] > scores[TOKEN_TO_ID["NOTE_52"]] > scores[TOKEN_TO_ID["NOTE_50"]]
    at = state(
        "NOTE_67 VOICE_0 DUR_48 TIME_0 NOTE_55 VOICE_1 DUR_48 TIME_48 NOTE_72 VOICE_0 DUR_48 TIME_0 NOTE_48 VOICE_1"
    )
    scores = said(rule, at)[0]
    assert scores[TOKEN_TO_ID["DUR_48"]] - scores[TOKEN_TO_ID["DUR_24"]] > 4


def test_in_the_last_chord_every_voice_has_a_note_and_the_lowest_the_root():
    notes = Score([(0, 48, 67, 0), (48, 48, 72, 0)], key="C major")
    rule = Ending(brief(frame=frame_of(Given(notes, (Region(0, 96, (1, 2)),), 3), 0, 0)))
    begin = "NOTE_67 VOICE_0 DUR_48 TIME_0 NOTE_59 VOICE_1 DUR_48 TIME_0 NOTE_55 VOICE_2 DUR_48 TIME_48 "
    begin += "NOTE_72 VOICE_0 DUR_48"
    after_melody = said(rule, state(begin))[0]
    assert after_melody[TOKEN_TO_ID["TIME_0"]] > after_melody[TOKEN_TO_ID["TIME_48"]] + INCOMPLETE - 1
    low = said(rule, state(begin + " TIME_0"))[0]  # the bass had G below middle C
    assert low[TOKEN_TO_ID["NOTE_60"]] > low[TOKEN_TO_ID["NOTE_48"]] + INCOMPLETE - 4
    root = said(rule, state(begin + " TIME_0 NOTE_60"))[0]
    assert root[TOKEN_TO_ID["VOICE_1"]] > root[TOKEN_TO_ID["VOICE_2"]] + INCOMPLETE - 4
    assert root[TOKEN_TO_ID["VOICE_1"]] > root[TOKEN_TO_ID["VOICE_0"]] + INCOMPLETE - 1
    bass = said(rule, state(begin + " TIME_0 NOTE_64 VOICE_1 DUR_48 TIME_0"))[0]
    assert bass[TOKEN_TO_ID["NOTE_48"]] > bass[TOKEN_TO_ID["NOTE_55"]] + INCOMPLETE - 1


def test_voices_come_to_the_last_chord_one_by_one_and_without_parallels():
    """G C in the soprano, of three voices: the last chord is C, whose root the bass must have."""
    notes = Score([(0, 48, 67, 0), (48, 48, 72, 0)], key="C major")
    rule = Ending(brief(frame=frame_of(Given(notes, (Region(0, 96, (1, 2)),), 3), 0, 0)))

    def prices(text: str) -> dict[str, float]:
        found = said(rule, state(text))[0]
        return {name: found[TOKEN_TO_ID[name]] for name in TOKEN_TO_ID}

    first = prices("NOTE_67 VOICE_0 DUR_48 TIME_0 NOTE_59 VOICE_1 DUR_48 TIME_0")
    # The bass on G would go in octaves with G C, on D not.
    assert first["NOTE_43"] < first["NOTE_50"] - INCOMPLETE / 2
    assert rule.may_strike().all()
    begin = "NOTE_67 VOICE_0 DUR_48 TIME_0 NOTE_57 VOICE_1 DUR_48 TIME_0 NOTE_50 VOICE_2 DUR_48 TIME_48 "
    middle = prices(begin + "NOTE_72 VOICE_0 DUR_48 TIME_0")
    # A over D and then G over C would be parallel fifths; E over C is none.
    assert middle["NOTE_55"] < middle["NOTE_64"] - INCOMPLETE / 2
    assert np.flatnonzero(rule.may_strike()[0]).tolist() == [1]


def test_a_phrase_ends_in_a_key_that_holds_its_last_note():
    # In C major: on C the tonic, on D the dominant, on A after G# would be A minor.
    assert phrase_key("major", [72], [71], False) == 0
    assert phrase_key("major", [74], [76], False) == 7
    assert phrase_key("major", [69], [68], False) == 21
    assert phrase_key("minor", [76], [74], False) == 21  # D is the seventh of its dominant
    assert phrase_key("minor", [67], [65], False) == 0
    assert phrase_key("minor", [68], [69], False) == 4  # the leading note: a half cadence
    assert phrase_key("major", [43], [45], True) == 7 and phrase_key("major", [48], [43], True) == 0
    one = frame(
        [(0, 24, 71, 0), (24, 24, 72, 0), (48, 24, 74, 0), (72, 24, 72, 0)], (0, 96, (1,)), phrases=(24,)
    )
    rule = Ending(brief(frame=one))
    assert rule.lines.tolist() == [24, 72]
    at = state("NOTE_71 VOICE_0 DUR_24 TIME_0 NOTE_55 VOICE_1 DUR_24 TIME_24 NOTE_72 VOICE_0 DUR_24 TIME_0")
    scores = said(rule, at)[0]
    assert scores[TOKEN_TO_ID["NOTE_48"]] > scores[TOKEN_TO_ID["NOTE_50"]] + 4


def test_a_melody_that_ends_off_the_tonic_ends_on_the_chord_that_it_is_in():
    ends = {}
    for last in (72, 74):  # C, and D as in a half cadence
        notes = [(0, 48, 72, 0), (48, 48, last, 0)]
        rule = Ending(brief(frame=frame(notes, (0, 96, (1,)))))
        ends[last] = [int(pitch) for pitch in np.flatnonzero(rule.chord) + PITCH_MIN if 48 <= pitch < 60]
        assert rule.moments[-1].root == {72: 0, 74: 7}[last]
    assert ends == {72: [48, 52, 55], 74: [50, 55, 59]}
