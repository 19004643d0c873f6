"""Fugues: one voice alone, answers at their time on the right degrees, statements later on, whatever the
model would like.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from musical_metrics.fugue import subject_entries, subject_recurrence
from musicgpt import Composer, Settings, parse_melody
from musicgpt.rules.base import FORBIDDEN
from musicgpt.rules.fugue import (
    PASSED_OVER,
    RESTING,
    SUBJECT_TEMPERATURE,
    UNTIMELY,
    Fugue,
    Plan,
)
from musicgpt.rules.schedule import ROOM, Entry, Silence
from musicgpt.rules.subject import Subject, can_be_inverted, dominant, in_key, inverted
from musicgpt.state import State
from tests.musicgpt.states import state_after
from tokenization.score import DURATION, ONSET, PITCH, VOICE, Note
from tokenization.vocabulary import TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID, TYPES, VALUE_OF_ID

from . import cases
from .cases import brief, said

SUBJECT = (67, 64, 60, 62, 64, 65, 67, 69, 67, 65, 64, 62)  # eighths in C major, from the dominant


def test_answers():
    assert dominant(SUBJECT, "major") == [72, *(pitch + 7 for pitch in SUBJECT[1:])]  # only the head is tonal
    assert dominant([64, 64, 69, 68], "minor") == [69, 69, 76, 75]
    assert dominant([60, 67, 64, 67], "major") == [67, 72, 71, 74]  # tonic and dominant change places


@pytest.mark.parametrize(
    ("subject", "moves"),
    [
        # WTC I, fugue 24, in A minor: from the second dominant on, before its leading note is heard.
        ("E4 C4 A3 F4 E4 A4 G#4 D5 C#5 Bb4 A4 E5 D#5 C5 B4 Bb4 B4 G4 E4 F#4 E4", [5, 7, 7, 7] + 17 * [5]),
        # Fugue 18, without its codetta: from the second note on.
        ("A3 G#3 A3 B3 C4 B3 A3 D#4 E4 G4 A4 A4 B4 B3 E4", [7] + 14 * [5]),
    ],
)
def test_a_subject_that_goes_to_the_dominant_is_answered_so_that_it_comes_back(subject, moves):
    pitches = parse_melody(subject).array[:, PITCH].tolist()
    answer = dominant(pitches, "minor")
    assert [(new - old) % 12 for new, old in zip(answer, pitches, strict=True)] == moves
    assert in_key(0)(SUBJECT, "major") == list(SUBJECT)
    assert in_key(5)([60, 66], "major") == [65, 71]
    assert in_key(21)([60, 64, 67, 71, 72], "major") == [69, 72, 76, 80, 81]  # B C becomes G sharp A
    assert in_key(21)([71, 67], "major") == [79, 76]
    assert in_key(0)([69, 68, 69, 72], "minor") == [60, 59, 60, 64]


def test_upside_down_the_triad_stays_and_steps_turn_round():
    own = inverted(0)(SUBJECT, "major")
    assert own == [60, 64, 67, 65, 64, 62, 60, 59, 60, 62, 64, 65]
    assert inverted(7)(SUBJECT, "major") == [pitch + 7 for pitch in own]
    assert inverted(21)([69, 71, 72, 68, 69], "minor") == [76, 74, 72, 77, 76]  # the leading note: a sixth
    assert inverted(21)([64, 65, 64], "minor") == [81, 80, 81] and inverted(21)([64, 65], "minor") == [81, 79]
    assert can_be_inverted(SUBJECT, "major") and not can_be_inverted([60, 61, 62], "major")


def test_a_statement_stays_on_the_keyboard():
    subject = Subject([Note(12 * i, 12, pitch, 1) for i, pitch in enumerate(SUBJECT)], 0, 96, "major")
    for mean in (10, 60, 62, 120):
        pitches = subject.near(in_key(0), mean)
        assert all(36 <= pitch <= 84 for pitch in pitches)
        assert {p - q for p, q in zip(pitches, SUBJECT, strict=True)} in ({-24}, {-12}, {0}, {12})
    assert subject.near(in_key(0), 74) == [pitch + 12 for pitch in SUBJECT]
    wide = Subject([Note(0, 12, 30, 0), Note(12, 12, 90, 0)], 0, 96, "major")
    assert wide.near(in_key(0), 60) is None
    assert subject.statement(96, 2, [50] * 12)[1] == Note(108, 12, 50, 2)


def bias_of(plan: Plan, state: State) -> np.ndarray:
    """What a plan adds to the next token's logits, `(vocab_size,)`."""
    bias = np.zeros(len(TOKEN_TO_ID), dtype=np.float32)
    plan.follow(state, 0)
    plan.add(bias)
    return bias


def feed(state: State, name: str) -> None:
    state.feed(np.array([TOKEN_TO_ID[name]]))


def played(plan: Plan, piece: State, choose) -> list[Note]:
    """What comes of a plan when `choose(kind, allowed)` picks every token among those that the plan does
    not forbid.
    """
    kinds = {"TIME": "NOTE", "NOTE": "VOICE", "VOICE": "DUR", "DUR": "TIME"}
    kind = "NOTE"
    while piece.num_notes[0] < 120:
        bias = bias_of(plan, piece)
        allowed = [t for t in range(150) if TYPES[TYPE_OF_ID[t]] == kind and bias[t] > FORBIDDEN]
        assert allowed, (kind, plan.written[-3:])
        piece.feed(np.array([choose(kind, allowed)]))
        kind = kinds[kind]
    return [Note(*note) for note in piece.notes[0, : piece.num_notes[0]].tolist()]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_chosen_the_plan_holds(seed):
    """A model that chooses at random among what is left: so the bias alone makes the exposition."""
    rng = np.random.default_rng(seed)
    voices, mode = int(rng.integers(2, 6)), ("major", "minor")[seed % 2]
    piece = state_after([TOKEN_TO_ID[name] for name in ("<bos>", "TIME_0" if seed % 3 else "TIME_12")])
    plan = Plan(voices, mode, seed=seed)

    def choose(kind: str, allowed: list[int]) -> int:
        if kind == "NOTE" and piece.num_notes[0] < 20:
            near = [t for t in allowed if 55 <= int(TYPE_VALUE[t]) <= 70]
            return int(rng.choice(near or allowed))
        if kind in ("DUR", "TIME") and not piece.num_notes[0]:
            return TOKEN_TO_ID[f"{kind}_12"]
        if kind in ("DUR", "TIME"):
            usual = [t for t in allowed if TYPE_VALUE[t] in (0, 6, 12, 24, 36)]
            return int(rng.choice(usual or allowed))
        return int(rng.choice(allowed))

    written = played(plan, piece, choose)
    subject = plan.subject
    assert subject is not None
    alone = [note for note in written if note.onset < subject.start + subject.length]
    overlaps = sum(one.onset + one.duration > other.onset for one, other in itertools.pairwise(alone))
    assert overlaps == 0
    assert {note.voice for note in alone} == {alone[0].voice}
    assert [note.pitch for note in alone] == subject.pitches
    entries = {}
    for note in written:
        entries.setdefault(note.voice, note)
    assert set(entries) <= set(range(voices))
    times = sorted(note.onset for note in entries.values())
    assert times == [
        subject.start + k * subject.length + plan.codetta * 96 * (k > 1) for k in range(len(times))
    ]
    for voice, first in entries.items():
        own = {note.onset: note for note in reversed(written) if note.voice == voice}  # the first of several
        for k, theirs in enumerate(subject.notes):
            at = first.onset + theirs.onset - subject.start
            if at > written[-1].onset - 1:
                break
            assert at in own, (voice, k)
            assert own[at].duration == theirs.duration
            assert abs((own[at].pitch - first.pitch) - (theirs.pitch - subject.pitches[0])) in (0, 2)


TYPE_VALUE = {
    t: int(name.split("_")[1].split("/")[0])
    for name, t in TOKEN_TO_ID.items()
    if name.startswith(("NOTE_", "DUR_", "TIME_"))
}


def after_subject(notes: str) -> tuple[Plan, State]:
    """A plan of two voices that have both had their statements, after these tokens, and where they lead."""
    plan = Plan(2, "major")
    plan.subject = Subject([Note(0, 24, 72, 0), Note(24, 24, 74, 0)], 0, 96, "major")
    plan.registers = {0: 72.0, 1: 60.0}
    return plan, cases.state(notes)


SIXTEENTHS = {2, 3, 4, 6, 8, 9, 12, 15, 16, 18}  # ticks of the durations up to three of them
STEPS_TO = {24: [24], 30: [24, 6], 60: [60], 72: [72], 78: [72, 6], 84: [72, 12], 92: [72, 12, 8]}


@pytest.mark.parametrize(
    ("rest", "tick", "durations"),
    [
        (0, 72, SIXTEENTHS | {24}),
        (0, 84, {2, 3, 4, 6, 8, 9, 12}),
        (0, 92, None),  # less than a sixteenth is left
        (12, 72, {12}),  # on the beat, an eighth at least
        (12, 60, {2, 3, 4, 6, 8, 9, 12}),  # off the beat no further than to it
        (12, 78, None),  # the last beat is over
        (48, 24, {12, 15, 16, 18, 24}),
        (48, 30, None),
    ],
)
def test_a_voice_runs_into_its_statement_or_ends_on_a_beat_and_rests(rest, tick, durations):
    """The upper voice states the subject at tick 96, after so long a rest; what it may strike at a tick."""
    below = (f" NOTE_60 VOICE_1 DUR_6 TIME_{step}" for step in STEPS_TO[tick])
    plan, piece = after_subject("NOTE_72 VOICE_0 DUR_24 TIME_0" + "".join(below))
    statement = plan.subject.statement(96, 0, [72, 74])
    plan.next = Entry(96, 0, statement, statement, rest=rest)
    feed(piece, "NOTE_74")
    assert (bias_of(plan, piece)[TOKEN_TO_ID["VOICE_0"]] == 0) == (durations is not None)
    feed(piece, "VOICE_0")
    bias = bias_of(plan, piece)
    if durations:
        left = [i for i in np.flatnonzero(TYPE_INDEX["DUR"] == TYPE_OF_ID) if bias[i] == 0]
        assert {int(VALUE_OF_ID[i]) for i in left} == durations


def test_voices_go_on():
    """Two voices after the subject: what a step costs depends on whether a voice is free when it is over, and
    whether one falls silent.
    """
    plan, piece = after_subject("NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_48")
    bias = bias_of(plan, piece)
    cost = {ticks: float(bias[TOKEN_TO_ID[f"TIME_{ticks}"]]) for ticks in (12, 24, 36, 48, 60)}
    assert cost == {12: -UNTIMELY, 24: 0, 36: -RESTING, 48: -RESTING, 60: -2 * RESTING}
    feed(piece, "TIME_24")
    bias_of(plan, piece)
    assert not plan.has_subject_to_make
    plan.subject = None
    assert plan.has_subject_to_make


def test_the_notes_of_the_subject_are_chosen_colder():
    rule = Fugue(brief(form="fugue", voices=2))
    scores = said(
        rule, cases.state("NOTE_60 VOICE_0 DUR_12 TIME_12"), np.full((1, 150), 2.0, dtype=np.float32)
    )
    assert scores[0, TOKEN_TO_ID["NOTE_62"]] == pytest.approx(2 / SUBJECT_TEMPERATURE)


def test_a_note_of_the_plan_is_never_untimely():
    plan, piece = after_subject("NOTE_72 VOICE_0 DUR_96")
    plan._begin([Note(24, 24, 60, 1)])
    bias = bias_of(plan, piece)
    assert bias[TOKEN_TO_ID["TIME_24"]] == 0
    assert bias[TOKEN_TO_ID["TIME_12"]] == -UNTIMELY
    assert bias[TOKEN_TO_ID["TIME_36"]] < -UNTIMELY  # it would pass the note


@pytest.mark.parametrize(("duration", "cost"), [(24, PASSED_OVER), (48, 0)])
def test_a_voice_is_not_passed_over(duration, cost):
    """The lower voice has the plan's note; the upper one is free where its note is over."""
    plan, piece = after_subject(f"NOTE_72 VOICE_0 DUR_{duration} TIME_0 NOTE_60 VOICE_1 DUR_24")
    plan._begin([Note(24, 24, 62, 1)])
    feed(piece, "TIME_24")
    bias = bias_of(plan, piece)
    assert bias[TOKEN_TO_ID["NOTE_62"]] == -cost
    assert bias[TOKEN_TO_ID["NOTE_74"]] == 0 and bias[TOKEN_TO_ID["NOTE_60"]] == FORBIDDEN


def test_a_statement_that_was_missed_is_given_up():
    """Another processor may step past a note of the plan: what is left of the statement would come at wrong
    times.
    """
    plan, piece = after_subject("NOTE_72 VOICE_0 DUR_96")
    plan._begin([Note(24, 24, 60, 1), Note(48, 24, 62, 1)])
    feed(piece, "TIME_36")
    bias = bias_of(plan, piece)
    assert not plan.now
    assert bias[TOKEN_TO_ID["NOTE_65"]] == 0


@pytest.mark.parametrize("closing", [False, True])
def test_a_close_stops_the_plan(closing):
    rule = Fugue(brief(cases.Plan(closing=closing), form="fugue", voices=3))
    rule.plans[0]._begin([Note(500, 12, 60, 1)])
    said(rule, cases.state("NOTE_60"))
    assert bool(rule.plans[0].now) != closing


@pytest.mark.parametrize("held", [-1, 2])
def test_a_voice_that_holds_a_pedal_states_nothing(held):
    """The plan waited for a note that the voice could not strike, and others struck theirs again and again."""

    class Pedal:
        after = ()

        def pedals(self) -> np.ndarray:
            return np.array([held])

    rule = Fugue(brief(Pedal(), form="fugue", voices=3))
    rule.plans[0]._begin([Note(500, 12, 60, 1), Note(500, 12, 48, 2)])
    rule.plans[0].next = Entry(600, 0, [Note(600, 12, 48, 2)], [Note(600, 12, 48, 2), Note(612, 12, 72, 0)])
    said(rule, cases.state("NOTE_60"))
    assert {note.voice for note in rule.plans[0].now} == ({1, 2} if held < 0 else {1})
    assert (rule.plans[0].next is None) == (held >= 0)
    rule.plans[0].next = Entry(600, 0, [Note(600, 12, 72, 0)], [Note(600, 12, 48, 2), Note(600, 12, 72, 0)])
    said(rule, cases.state("NOTE_60"))
    assert {note.voice for note in rule.plans[0].next.notes} == ({0, 2} if held < 0 else {0})


def test_later_rules_hear_what_is_due():
    rule = Fugue(brief(form="fugue", voices=3))
    piece = cases.state("NOTE_60 VOICE_0 DUR_24 TIME_24")
    rule.plans[0]._begin([Note(24, 12, 62, 1)])
    said(rule, piece)
    assert rule.due().tolist() == [[62, 1, 12]]
    feed(piece, "TIME_12")
    said(rule, piece)
    assert rule.due().tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize("voices", [2, 3, 4])
def test_composed_fugues_have_an_exposition(voices):
    composer = Composer.from_pretrained()
    pieces = composer.compose(
        Settings(form="fugue", voices=voices, max_new_tokens=1200, min_bars=1000, seed=11), num=4
    )
    entered, again = [], []
    for piece in pieces:
        array = piece.score.array
        first = array[array[:, ONSET] < array[0, ONSET] + 96]
        assert len(np.unique(first[:, VOICE])) == 1
        assert (np.diff(first[:, ONSET]) > 0).all()
        assert (np.abs(np.diff(first[:, PITCH])) <= 12).all()
        assert set(np.unique(array[:, VOICE]).tolist()) == set(range(voices))
        assert (array[:, DURATION] > 0).all()
        entered.append(subject_entries(piece.score).value)
        again.append(subject_recurrence(piece.score).value)
    assert np.mean(entered) > 0.9
    assert np.mean(again) >= 0.95
    [alone] = composer.compose(pieces[2].settings)
    assert alone.ids == pieces[2].ids


def test_preludes_have_no_plan(composer):
    preludes = composer.compose(Settings(form="prelude", voices=3, max_new_tokens=200, seed=11), num=8)
    assert any(len(np.unique(p.score.array[p.score.array[:, ONSET] < 96][:, VOICE])) > 1 for p in preludes)


def test_statements_of_the_middle_are_in_the_key_that_the_plan_has_there():
    class Keys:
        """An earlier rule: C major, from the seventh bar A minor."""

        after = ()

        def key_plans(self):
            return [self]

        def at(self, bar):
            return SimpleNamespace(key=21 if bar >= 6 else 0)

        bars = 40

    rule = Fugue(brief(Keys(), form="fugue", voices=2))
    plan = rule.plans[0]
    plan.subject = Subject([Note(0, 24, 60, 0), Note(24, 24, 64, 0), Note(48, 48, 67, 0)], 0, 96, "major")
    plan.registers, plan.bar = {1: 55.0, 0: 64.0}, 96
    for at, classes in ((3 * 96, [0, 4, 7]), (8 * 96, [9, 0, 4])):
        voice, key, pitches = plan._return(at)
        assert (voice, key) == (1, classes[0] + 12 * (at > 600)) and [
            pitch % 12 for pitch in pitches
        ] == classes


def test_it_says_which_voices_are_free():
    """The lower voice states the subject soon; when it does, the upper one may strike with it."""
    rule = Fugue(brief(form="fugue", voices=2))
    plan, piece = after_subject("NOTE_72 VOICE_0 DUR_12 TIME_0 NOTE_60 VOICE_1 DUR_6")
    rule.plans[0] = plan
    plan.next = Entry(12, 0, [Note(12, 12, 48, 1)], [Note(12, 12, 48, 1)], rest=12)
    for tokens, free in (("TIME_6", [0]), ("TIME_6", [0]), ("NOTE_48 VOICE_1 DUR_12 TIME_12", [0, 1])):
        for name in tokens.split():
            feed(piece, name)
            said(rule, piece)
        assert np.flatnonzero(rule.may_strike()[0]).tolist() == free


def test_a_voice_is_free_until_its_own_part_of_a_statement_begins():
    """In a stretto the second voice would be silent from the first one's entry on."""
    plan, piece = after_subject("NOTE_72 VOICE_0 DUR_12 TIME_0 NOTE_60 VOICE_1 DUR_6")
    feed(piece, "TIME_6")
    plan.follow(piece, 0)
    plan.next = None
    plan._begin([Note(plan.tick, 12, 74, 0), Note(plan.tick + 48, 12, 62, 1)])
    assert plan._reserved() == {0}
    plan.voice, bias = 1, np.zeros(len(TOKEN_TO_ID))
    plan._duration(bias)  # and what it plays ends where that begins
    assert bias[TOKEN_TO_ID["DUR_48"]] == 0 > bias[TOKEN_TO_ID["DUR_60"]]
    plan.tick += 48 - ROOM + 1
    assert plan._reserved() == {0, 1}


def test_a_silent_voice_ends_with_a_note_on_the_beat_and_strikes_no_more():
    plan, piece = after_subject("NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24")
    feed(piece, "TIME_24")
    plan.follow(piece, 0)
    plan.next, plan.silent, plan.voice = None, Silence(1, plan.tick, plan.tick + 384), 1
    assert plan._reserved() == set()
    bias = np.zeros(len(TOKEN_TO_ID))
    plan._duration(bias)
    assert bias[TOKEN_TO_ID["DUR_12"]] == bias[TOKEN_TO_ID["DUR_48"]] == 0 > bias[TOKEN_TO_ID["DUR_6"]]
    plan.tick += 6
    assert plan._reserved() == {1}
    quiet = plan.silent
    plan.leave(0)
    assert plan.silent == quiet
    plan.leave(1)  # a pedal
    assert plan.silent is None
    plan.silent = quiet
    plan.stop()
    assert plan._reserved() == set()
