"""Which chord it is, on cases that can be reckoned, and what notes cost then."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from musicgpt.rules import harmony
from musicgpt.rules.base import PITCHES
from musicgpt.rules.harmony import (
    APPLIED,
    BEGINS,
    BETWEEN,
    COMES_BY_STEP,
    FLOOR,
    IN_FUGUES,
    LEFT,
    OFF_SEVENTH,
    SHARE,
    SKIPPED,
    SUSPENDED,
    Harmony,
)
from musicgpt.rules.keys import dominant_seventh, triad
from musicgpt.rules.tonal_plan import tables
from tokenization.score import Note
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import BAR, Planned, brief, note, said, state

LATER = BAR * 10  # beyond the first bars, where tonic and dominant are likelier
WEIGHT, TIE, ALTERED, TONIC = IN_FUGUES


def fugue(*earlier, key: int = 0, cadences=(), **asked) -> Harmony:
    return Harmony(brief(Planned(key, cadences), *earlier, form="fugue", **asked))


def believed(text: str, *earlier, key: int = 0) -> np.ndarray:
    """How likely each chord is that begins after these tokens, by degrees with their own dominants."""
    rule = fugue(*earlier, key=key)
    said(rule, state(text))
    found = rule.belief[0].reshape(2, 7).sum(axis=0)
    return found / found.sum()


def test_chords_are_inferred_by_the_forward_algorithm():
    """Against the sum over all chords before and all now: two notes are struck where a chord begins."""
    rule, given = fugue(voices=2), np.random.default_rng(0).dirichlet(np.ones(14))
    begins = f"{LATER}NOTE_69 VOICE_0 DUR_48 TIME_0 NOTE_53 VOICE_1 DUR_48 TIME_48"
    rule.units[:], rule.belief[:] = state(begins).ticks - 48, given
    for more in ("", " NOTE_77 VOICE_0", " NOTE_77 VOICE_0 DUR_48 TIME_0 NOTE_62 VOICE_1"):
        said(rule, state(begins + more))
    steps, wanted = np.array(tables()["chords"]["major"]), np.zeros(14)
    for before, now in product(range(14), range(14)):
        if before >= 7:
            chance = now == before - 7
        else:
            share = SHARE * (now % 7 in APPLIED[0])
            chance = steps[before, now % 7] * (share if now >= 7 else 1 - share)
        wanted[now] += given[before] * chance
    wanted[0] *= np.exp(-TONIC)
    wanted = wanted / wanted.sum() + FLOOR
    for chord, pitch in product(range(14), (77, 62)):
        own = dominant_seventh(triad(0, chord - 7)[0]) if chord >= 7 else triad(0, chord)
        cost = OFF_SEVENTH if (chord, pitch) == (4, 77) else float(pitch % 12 not in own)
        wanted[chord] *= np.exp(-WEIGHT * BEGINS * cost)
    assert rule.belief[0] == pytest.approx(wanted / wanted.sum(), abs=1e-6)


@pytest.mark.parametrize(
    ("notes", "chord"),
    [((72, 69, 65), 3), ((81, 77, 74), 1), ((79, 74, 71), 4), ((74, 69, 66), 7 + 4), ((76, 69, 61), 7 + 1)],
)
def test_notes_say_which_chord_it_is_and_the_others_follow(notes, chord):
    rule, text = fugue(voices=4), LATER
    said(rule, state(text))
    for voice, pitch in enumerate(notes):
        for more in (f"NOTE_{pitch} ", f"VOICE_{voice} ", "DUR_48 ", "TIME_0 "):
            text += more
            found = said(rule, state(text))
    assert rule.chords()[1][0] == chord
    own = dominant_seventh(triad(0, chord - 7)[0])[:3] if chord >= 7 else triad(0, chord)
    # Nothing is near: the lowest voice has its notes by leaps.
    assert {pitch % 12 for pitch in sorted(range(36, 48), key=lambda p: -note(found, p))[:3]} == {*own}


def paid_after(text: str, key: int = 0, chord: int = 0) -> dict[int, float]:
    """What the first voice of a fugue pays for each pitch after `text`, over a chord that is known."""
    rule = fugue(key=key, mode="minor" if key >= 12 else "major")
    rule.keys[:], rule.belief[:] = key, np.eye(14)[chord]
    rule.units[:] = state(text).ticks - harmony.Harmony._unit(state(text), np.array([0]))[1]
    said(rule, state(text))
    return dict(zip(PITCHES.tolist(), (-rule.known[0, 0]).tolist(), strict=True))


def test_a_voice_passes_by_step_and_leaves_what_is_off_the_chord_by_step():
    # The chord is C major. Between beats, E sounds below; the upper voice has had C, or B.
    sounds = "NOTE_72 VOICE_0 DUR_48 TIME_0 NOTE_52 VOICE_1 DUR_96 TIME_48 NOTE_%d VOICE_0 DUR_12 TIME_12"
    price = WEIGHT * BETWEEN
    on_it, off_it = paid_after(sounds % 72), paid_after(sounds % 71)
    assert on_it[67] == on_it[76] == 0  # leaps within the chord
    assert on_it[71] == on_it[74] == pytest.approx(price * COMES_BY_STEP[2])
    assert on_it[69] == pytest.approx(price)
    assert off_it[72] == 0 and off_it[67] == pytest.approx(WEIGHT * LEFT)


def test_a_note_of_the_chord_that_is_foreign_to_the_signature_gains():
    paid = paid_after(f"{BAR}NOTE_71 VOICE_0 DUR_24 TIME_0 NOTE_52 VOICE_1 DUR_96 TIME_24", 21, 4)
    assert paid[68] == pytest.approx(-ALTERED) and paid[71] == paid[76] == 0


@pytest.mark.parametrize(
    "before, gains",
    [
        ("TIME_24", True),
        ("TIME_12", False),  # from between two beats it would be a syncopation
        ("TIME_48", False),  # with it the next chord begins
    ],
)
def test_a_voice_is_liked_to_hold_a_note_into_the_next_chord(before, gains):
    text = f"{BAR}NOTE_72 VOICE_0 DUR_12 TIME_0 NOTE_48 VOICE_1 DUR_12 {before} NOTE_74 VOICE_0"
    found = said(fugue(), state(text))[0]
    assert found[TOKEN_TO_ID["DUR_48"]] == np.float32(IN_FUGUES[1] * gains)
    assert found[TOKEN_TO_ID["DUR_12"]] == 0


def test_no_voice_is_held_into_a_cadence_or_where_another_is():
    third = BAR + BAR[: BAR.rindex("NOTE_52")]  # the last beat before the cadence of the third bar
    assert not said(fugue(cadences=[2]), state(third + "NOTE_52 VOICE_1")).any()
    assert said(fugue(), state(third + "NOTE_52 VOICE_1")).any()
    both = third.replace("NOTE_72 VOICE_0 DUR_48", "NOTE_72 VOICE_0 DUR_96")
    assert not said(fugue(), state(both + "NOTE_52 VOICE_1")).any()


@pytest.mark.parametrize("step", ["", "TIME_12"])
def test_a_chord_into_which_a_note_is_held_begins_with_another_one(step):
    for duration, cost in ((96, SKIPPED), (48, 0)):
        text = f"{BAR}NOTE_72 VOICE_0 DUR_{duration} TIME_0 NOTE_48 VOICE_1 DUR_12 {step}"
        steps = said(fugue(), state(text))[0]
        left = 48 - (12 if step else 0)
        found = [steps[TOKEN_TO_ID[f"TIME_{ticks}"]] for ticks in (24, left, 72)]
        assert found == [0, 0, -cost]


def test_one_voice_alone_makes_its_own_harmony():
    for text in ("NOTE_72 VOICE_0 DUR_12 TIME_12", "NOTE_72 VOICE_0 DUR_24 TIME_24 NOTE_74 VOICE_0"):
        assert not said(fugue(), state(text)).any()


def test_chords_of_a_cadence_are_dominant_and_tonic():
    rule = Harmony(brief(Planned(), form="prelude"))
    said(rule, state(BAR + BAR[: BAR.rindex("NOTE_48")]))  # the second half of the bar before
    assert rule.chords()[1][0] == 4
    said(rule, state(BAR + BAR))
    assert rule.chords()[1][0] == 0


class Stated:
    """An earlier rule with a statement to come: A and F for two bars from the third on."""

    after = ()

    def stated(self):
        return [[Note(96 * bar, 96, pitch, 0) for bar in (2, 3) for pitch in (69, 65)]]


def test_a_chord_suits_what_sounds_on_and_what_will_be_stated():
    held = believed(LATER + "NOTE_69 VOICE_0 DUR_48 TIME_0 NOTE_53 VOICE_1 DUR_96 TIME_48")
    free = believed(LATER + "NOTE_69 VOICE_0 DUR_48 TIME_0 NOTE_53 VOICE_1 DUR_48 TIME_48")
    with_f = [1, 3, 6]  # of which F is a note
    assert held[with_f].sum() > free[with_f].sum() + 0.05
    third = BAR * 2  # ends at tick 192
    assert believed(third, Stated())[[1, 3, 5]].sum() > believed(third)[[1, 3, 5]].sum() + 0.1
    assert believed(BAR * 5, Stated()) == pytest.approx(believed(BAR * 5))
    assert believed(BAR)[[0, 4]].sum() > believed(LATER + BAR)[[0, 4]].sum() + 0.1


def test_a_held_note_is_suspended_where_its_resolution_is_a_note_of_the_chord():
    """F over C, E and A minor falls to E; in the bass it would be no suspension."""
    upper = "NOTE_{} VOICE_0 DUR_{} TIME_0 NOTE_{} VOICE_1 DUR_{} TIME_48"
    suspended = believed(LATER + upper.format(65, 96, 48, 48))[[0, 2, 5]].sum()
    free = believed(LATER + upper.format(65, 48, 48, 48))[[0, 2, 5]].sum()
    in_the_bass = believed(LATER + upper.format(72, 48, 53, 96))[[0, 2, 5]].sum()
    assert in_the_bass < free - 0.05 and free + 0.05 < suspended


def test_a_note_is_suspended_over_an_applied_dominant():
    """C over E, G sharp, B and D, which leads to A minor: it falls to B."""
    held = state(LATER + "NOTE_72 VOICE_0 DUR_96 TIME_0 NOTE_53 VOICE_1 DUR_48 TIME_48")
    price = fugue()._against(held, 0, 0, int(held.ticks[0]), 48)
    assert price[7 + 5] == -SUSPENDED and price[5] == 0 and price[7 + 4] == 0


def test_the_tonic_that_cadences_bring_is_less_likely(monkeypatch):
    """The counts have those of cadences, too."""
    later = LATER + "NOTE_69 VOICE_0 DUR_48 TIME_0 NOTE_53 VOICE_1 DUR_48 TIME_48"
    likely = believed(later)[0]
    monkeypatch.setattr(harmony, "IN_FUGUES", (*IN_FUGUES[:3], 0.0))
    assert likely < believed(later)[0] - 0.05
