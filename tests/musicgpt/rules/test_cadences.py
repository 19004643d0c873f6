from __future__ import annotations

import numpy as np
import pytest

from musicgpt.rules.cadences import Cadences, Moment
from musicgpt.rules.harmony import BETWEEN, COMES_BY_STEP, IN_FUGUES, LEFT, SKIPPED, Harmony
from musicgpt.rules.keys import TRIADS, triad
from musicgpt.rules.opening import Opening
from musicgpt.rules.takers import STEP
from musicgpt.rules.tonal_plan import Plan
from tokenization.score import Note
from tokenization.vocabulary import PITCH_MAX, PITCH_MIN, TOKEN_TO_ID

from .cases import brief, said, state

# A bar of 4/4 in two voices, and three quarters of the next.
BAR = "NOTE_72 VOICE_0 DUR_48 TIME_0 NOTE_48 VOICE_1 DUR_24 TIME_24 NOTE_52 VOICE_1 DUR_24 TIME_24 " * 2


class Planned:
    """An earlier rule with a plan whose cadence comes with the third bar, in C major."""

    after = ()

    def __init__(self, key: int = 0):
        self.plan = Plan("prelude", "major", 12, np.random.default_rng(0))
        self.plan.sections, self.plan.cadences = [self.plan.sections[0]._replace(key=key, end=12)], [2]

    def key_plans(self):
        return [self.plan]


def note(found: np.ndarray, pitch: int) -> float:
    return float(found[0, TOKEN_TO_ID[f"NOTE_{pitch}"]])


def test_before_the_line_the_bass_takes_the_dominant_and_on_it_the_tonic():
    rule = Cadences(brief(Planned(), form="prelude", seeds=[5]))
    rule.rngs[0] = np.random.default_rng(0)  # not deceptive
    two_bars = state(BAR + BAR[: BAR.rindex("NOTE_52")])
    found = said(rule, two_bars)
    assert note(found, 43) > note(found, 48) and note(found, 43) > note(found, 45)
    assert note(found, 71) > note(found, 74) > note(found, 76)  # the leading note is still missing
    found = said(rule, state(BAR + BAR))
    assert note(found, 48) > max(note(found, 43), note(found, 45), note(found, 50))
    assert note(found, 76) > note(found, 74)


def test_steps_do_not_pass_the_line_and_no_plan_is_no_cadence():
    rule = Cadences(brief(Planned(), form="prelude", seeds=[5]))
    here = state(BAR + BAR[: BAR.rindex("TIME_24")])
    found = said(rule, here)[0]
    assert found[TOKEN_TO_ID["TIME_24"]] > found[TOKEN_TO_ID["TIME_48"]]
    assert not Cadences.applies(brief(form="prelude"))


def test_a_deceptive_cadence_goes_to_the_sixth_degree():
    assert Moment(96, 72, 0, True).root == 9 and Moment(96, 72, 21, True).root == 5
    assert set(Moment(96, 72, 0, False).dominant_chord) == {7, 11, 2, 5}


@pytest.mark.parametrize("key", [0, 7, 21])
def test_chords_follow_as_in_bach_and_what_is_off_them_costs(key):
    rule = Harmony(brief(Planned(key), form="prelude", voices=2, seeds=[3]))
    found = said(rule, state(BAR))
    degree = rule.chords()[1][0]
    triad = {(key + step) % 12 for step in TRIADS["minor" if key >= 12 else "major"][degree]}
    far = [pitch for pitch in range(55, 70) if min(abs(pitch - last) for last in (72, 52)) > STEP]
    cheapest = max(note(found, pitch) for pitch in far)
    assert {pitch % 12 for pitch in far if note(found, pitch) > cheapest - 1e-4} == {
        p % 12 for p in far
    } & triad
    drawn = []
    for seed in range(300):
        rule = Harmony(brief(Planned(), form="prelude", seeds=[seed]))
        said(
            rule,
            state(
                "NOTE_71 VOICE_0 DUR_48 TIME_0 NOTE_43 VOICE_1 DUR_24 TIME_24 NOTE_47 VOICE_1 DUR_24 TIME_24"
            ),
        )
        drawn.append(int(rule.chords()[1][0]))
    assert np.bincount(drawn, minlength=7).argmax() in (0, 4)


def off_the_chord(text: str) -> tuple[np.ndarray, np.ndarray]:
    """What the first voice of a fugue pays after `text` for each MIDI pitch, and how foreign that is to the chord."""
    rule = Harmony(brief(Planned(), form="fugue", seeds=[3]))
    said(rule, state(text))
    pitches = np.arange(PITCH_MIN, PITCH_MAX + 1)
    chord = triad(0, int(rule.chords()[1][0]) % 7)
    foreign = np.full(PITCH_MAX + 1, np.nan)
    foreign[pitches] = ~np.isin(pitches % 12, chord)
    paid = np.full(PITCH_MAX + 1, np.nan)
    paid[pitches] = -rule.known[0, 0]
    return paid, foreign


def test_a_voice_passes_by_step_and_leaves_what_is_off_the_chord_by_step():
    # The first chord is C major. Between beats, E sounds below; the upper voice has had C, or B.
    sounds = "NOTE_72 VOICE_0 DUR_48 TIME_0 NOTE_52 VOICE_1 DUR_96 TIME_48 NOTE_%d VOICE_0 DUR_12 TIME_12"
    weight = IN_FUGUES[0]
    price = weight * BETWEEN
    on_it, _ = off_the_chord(sounds % 72)
    assert on_it[[67, 76]].tolist() == [0, 0]  # leaps within the chord
    assert on_it[[71, 74]] == pytest.approx(price * COMES_BY_STEP[2]) and on_it[69] == pytest.approx(price)
    off_it, foreign = off_the_chord(sounds % 71)
    assert foreign[71] == 1 and off_it[72] == 0
    assert off_it[67] == pytest.approx(weight * LEFT)


def test_a_note_of_the_chord_that_is_foreign_to_the_signature_gains():
    """On the second chord, the dominant of A minor."""
    text = f"{BAR}NOTE_71 VOICE_0 DUR_24 TIME_0 NOTE_52 VOICE_1 DUR_96 TIME_24"
    rule = Harmony(brief(Planned(21), form="fugue", mode="minor", seeds=[3]))
    rule.keys[:], rule.degrees[:], rule.units[:] = 21, 4, state(text).ticks - 24
    said(rule, state(text))
    paid = dict(zip(range(PITCH_MIN, PITCH_MAX + 1), (-rule.known[0, 0]).tolist(), strict=True))
    assert paid[68] == pytest.approx(-IN_FUGUES[2]) and paid[71] == paid[76] == 0


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
    planned = Planned()
    planned.plan.cadences = []
    found = said(Harmony(brief(planned, form="fugue", seeds=[3])), state(text))[0]
    assert found[TOKEN_TO_ID["DUR_48"]] == np.float32(IN_FUGUES[1] * gains)
    assert found[TOKEN_TO_ID["DUR_12"]] == 0


def test_no_voice_is_held_into_a_cadence_or_where_another_is():
    third = BAR + BAR[: BAR.rindex("NOTE_52")]  # the last beat before the cadence of the third bar
    assert not said(Harmony(brief(Planned(), form="fugue")), state(third + "NOTE_52 VOICE_1")).any()
    planned = Planned()
    planned.plan.cadences = []
    assert said(Harmony(brief(planned, form="fugue")), state(third + "NOTE_52 VOICE_1")).any()
    both = third.replace("NOTE_72 VOICE_0 DUR_48", "NOTE_72 VOICE_0 DUR_96")
    assert not said(Harmony(brief(planned, form="fugue")), state(both + "NOTE_52 VOICE_1")).any()


@pytest.mark.parametrize("step", ["", "TIME_12"])
def test_a_chord_into_which_a_note_is_held_begins_with_another_one(step):
    planned = Planned()
    planned.plan.cadences = []
    for duration, cost in ((96, SKIPPED), (48, 0)):
        text = f"{BAR}NOTE_72 VOICE_0 DUR_{duration} TIME_0 NOTE_48 VOICE_1 DUR_12 {step}"
        steps = said(Harmony(brief(planned, form="fugue")), state(text))[0]
        left = 48 - (12 if step else 0)
        found = [steps[TOKEN_TO_ID[f"TIME_{ticks}"]] for ticks in (24, left, 72)]
        assert found == [0, 0, -cost]


def test_one_voice_alone_makes_its_own_harmony():
    for text in ("NOTE_72 VOICE_0 DUR_12 TIME_12", "NOTE_72 VOICE_0 DUR_24 TIME_24 NOTE_74 VOICE_0"):
        planned = Planned()
        planned.plan.cadences = []
        rule = Harmony(brief(planned, form="fugue", seeds=[3]))
        assert not said(rule, state(text)).any()


@pytest.mark.parametrize("form, mode, first", [("fugue", "minor", {9, 4}), ("prelude", "major", {0, 7})])
def test_a_piece_begins_on_the_first_or_fifth_degree(form, mode, first):
    found = said(Opening(brief(form=form, mode=mode)), state(""))
    assert {pitch % 12 for pitch in range(48, 72) if np.isfinite(note(found, pitch))} == first
    together = said(Opening(brief(form=form, mode=mode)), state("NOTE_72 VOICE_0 DUR_12 TIME_0"))
    third = 0 if mode == "minor" else 4
    assert {p % 12 for p in range(48, 72) if np.isfinite(note(together, p))} == first | {third}


def said_of(rule, text: str) -> dict[str, float]:
    return dict(zip(TOKEN_TO_ID, said(rule, state(text))[0].tolist(), strict=True))


@pytest.fixture
def cadence():
    """Of the third bar: the dominant from tick 168, the tonic at 192; not deceptive."""
    rule = Cadences(brief(Planned(), form="prelude", seeds=[5]))
    rule.rngs[0] = np.random.default_rng(0)
    return rule


UNDER_DOMINANT = BAR + BAR[: BAR.rindex("NOTE_52")]  # tick 168


def test_a_note_that_is_no_root_is_not_the_bass_s_and_the_root_stays_until_the_tonic(cadence):
    found = said_of(cadence, UNDER_DOMINANT + "NOTE_47")
    assert found["VOICE_1"] < found["VOICE_0"]
    found = said_of(cadence, UNDER_DOMINANT + "NOTE_43")
    assert found["VOICE_1"] > found["VOICE_0"]
    found = said_of(cadence, UNDER_DOMINANT + "NOTE_43 VOICE_1")
    assert found["DUR_24"] > max(found["DUR_12"], found["DUR_48"])


def test_the_bass_is_free_for_the_root_and_strikes_on_the_tonic(cadence):
    found = said_of(cadence, BAR + BAR[: BAR.index("NOTE_48")] + "TIME_48 NOTE_53 VOICE_1")  # tick 144
    assert found["DUR_24"] > found["DUR_48"]
    found = said_of(cadence, BAR + BAR + "NOTE_76 VOICE_0 DUR_24")
    assert found["TIME_0"] > found["TIME_24"]
    found = said_of(cadence, BAR + BAR + "NOTE_48 VOICE_1 DUR_24")
    assert found["TIME_0"] == found["TIME_24"]


def test_chords_of_a_cadence_are_dominant_and_tonic():
    for seed in range(20):
        rule = Harmony(brief(Planned(), form="prelude", seeds=[seed]))
        said(rule, state(BAR + BAR[: BAR.rindex("NOTE_48")]))  # the second half of the bar before
        assert rule.chords()[1][0] == 4
        said(rule, state(BAR + BAR))
        assert rule.chords()[1][0] == 0


def degrees(text: str, *earlier, seeds: int = 300) -> np.ndarray:
    """How often each degree is drawn after these tokens."""
    drawn = []
    for seed in range(seeds):
        rule = Harmony(brief(Planned(), *earlier, form="fugue", seeds=[seed]))
        said(rule, state(text))
        drawn.append(int(rule.chords()[1][0]) % 7)  # its own dominant counts as the chord
    return np.bincount(drawn, minlength=7) / seeds


class Stated:
    """An earlier rule with a statement to come: A and F for two bars from the third on."""

    after = ()

    def stated(self):
        return [[Note(96 * bar, 96, pitch, 0) for bar in (2, 3) for pitch in (69, 65)]]


def test_a_chord_suits_what_sounds_on_and_what_will_be_stated():
    later = BAR * 10  # beyond the first bars, where tonic and dominant are likelier
    held = later + "NOTE_69 VOICE_0 DUR_48 TIME_0 NOTE_53 VOICE_1 DUR_96 TIME_48"
    free = later + "NOTE_69 VOICE_0 DUR_48 TIME_0 NOTE_53 VOICE_1 DUR_48 TIME_48"
    assert degrees(held)[[1, 3, 5]].sum() > degrees(free)[[1, 3, 5]].sum() + 0.1
    assert degrees(BAR * 4 + BAR, Stated())[[1, 3, 5]].sum() == degrees(BAR * 4 + BAR)[[1, 3, 5]].sum()
    third = BAR * 2  # ends at tick 192
    planned = Planned()
    planned.plan.cadences = []
    with_statement, without = [], []
    for seed in range(200):
        for earlier, found in (([planned, Stated()], with_statement), ([planned], without)):
            rule = Harmony(brief(*earlier, form="fugue", seeds=[seed]))
            said(rule, state(third))
            found.append(int(rule.chords()[1][0]))
    assert np.isin(with_statement, [1, 3, 5]).mean() > np.isin(without, [1, 3, 5]).mean() + 0.1
    early, late = degrees(BAR), degrees(later + BAR)
    assert early[[0, 4]].sum() > late[[0, 4]].sum()


def test_a_held_note_is_suspended_where_its_resolution_is_a_note_of_the_chord():
    """F over C, E and A minor falls to E; in the bass it would be no suspension."""
    later, upper = BAR * 10, "NOTE_{} VOICE_0 DUR_{} TIME_0 NOTE_{} VOICE_1 DUR_{} TIME_48"
    suspended = degrees(later + upper.format(65, 96, 48, 48))[[0, 2, 5]].sum()
    free = degrees(later + upper.format(65, 48, 48, 48))[[0, 2, 5]].sum()
    in_the_bass = degrees(later + upper.format(72, 48, 53, 96))[[0, 2, 5]].sum()
    assert in_the_bass < free - 0.05 and free + 0.05 < suspended


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


def test_the_tonic_that_cadences_bring_is_drawn_less(monkeypatch):
    """The counts have those of cadences, too."""
    later = BAR * 10 + "NOTE_69 VOICE_0 DUR_48 TIME_0 NOTE_53 VOICE_1 DUR_48 TIME_48"
    drawn = degrees(later)[0]
    monkeypatch.setattr("musicgpt.rules.harmony.TONIC", 0.0)
    assert drawn < degrees(later)[0] - 0.05
