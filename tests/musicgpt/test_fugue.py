"""Fugues: one voice alone, answers at their time on the right degrees, statements later on, whatever the
model would like.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from musical_metrics.fugue import subject_entries, subject_recurrence
from musicgpt import Composer, Settings
from musicgpt.ending import FullClose
from musicgpt.fugue import AGAINST, CODETTA, RESTING, SUBJECT_TEMPERATURE, UNTIMELY, Entry, Fugue, Plan
from musicgpt.progress import Progress, Rows, Written
from musicgpt.subject import Subject, dominant, relative, subdominant, tonic
from tokenization.score import DURATION, ONSET, PITCH, VOICE
from tokenization.vocabulary import BOS_ID, TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID, TYPES, VALUE_OF_ID

SUBJECT = (67, 64, 60, 62, 64, 65, 67, 69, 67, 65, 64, 62)  # eighths in C major, from the dominant


def test_answers():
    assert dominant(SUBJECT, "major") == [72, *(pitch + 7 for pitch in SUBJECT[1:])]  # only the head is tonal
    assert dominant([64, 64, 69, 68], "minor") == [69, 69, 76, 75]
    assert tonic(SUBJECT, "major") == list(SUBJECT)
    assert subdominant([60, 66], "major") == [65, 71]
    assert relative([60, 64, 67, 71, 72], "major") == [57, 60, 64, 68, 69]  # B C becomes G sharp A
    assert relative([71, 67], "major") == [67, 64]
    assert relative([69, 68, 69, 72], "minor") == [72, 71, 72, 76]


def test_a_statement_stays_on_the_keyboard():
    subject = Subject([Written(12 * i, 12, pitch, 1) for i, pitch in enumerate(SUBJECT)], 0, 96, "major")
    for mean in (10, 60, 62, 120):
        pitches = subject.near(tonic, mean)
        assert all(36 <= pitch <= 84 for pitch in pitches)
        assert {p - q for p, q in zip(pitches, SUBJECT, strict=True)} in ({-24}, {-12}, {0}, {12})
    assert subject.near(tonic, 74) == [pitch + 12 for pitch in SUBJECT]
    wide = Subject([Written(0, 12, 30, 0), Written(12, 12, 90, 0)], 0, 96, "major")
    assert wide.near(tonic, 60) is None
    assert subject.statement(96, 2, [50] * 12)[1] == Written(108, 12, 50, 2)


def played(plan: Plan, piece: Progress, choose) -> list[Written]:
    """What comes of a plan when `choose(kind, allowed)` picks every token among those that the plan does
    not speak against.
    """
    kinds = {"TIME": "NOTE", "NOTE": "VOICE", "VOICE": "DUR", "DUR": "TIME"}
    kind = "NOTE"
    while len(piece.written) < 120:
        bias = plan.bias()
        allowed = [t for t in range(150) if TYPES[TYPE_OF_ID[t]] == kind and bias[t] > AGAINST / 2]
        assert allowed, (kind, piece.written[-3:])
        piece.feed(choose(kind, allowed))
        kind = kinds[kind]
    return piece.written


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_chosen_the_plan_holds(seed):
    """A model that chooses at random among what is left: so the bias alone makes the exposition."""
    rng = np.random.default_rng(seed)
    voices, mode = int(rng.integers(2, 6)), ("major", "minor")[seed % 2]
    piece = Progress()
    for name in ("<bos>", "TIME_0" if seed % 3 else "TIME_12"):
        piece.feed(TOKEN_TO_ID[name])
    plan = Plan(piece, voices, mode)

    def choose(kind: str, allowed: list[int]) -> int:
        if kind == "NOTE" and len(piece.written) < 20:
            near = [t for t in allowed if 55 <= int(TYPE_VALUE[t]) <= 70]
            return int(rng.choice(near or allowed))
        if kind in ("DUR", "TIME") and not piece.written:
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
    assert times == [subject.start + k * subject.length + CODETTA * 96 * (k > 1) for k in range(len(times))]
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


def after_subject(notes: str) -> Plan:
    """A plan of two voices that have both had their statements, after these tokens."""
    piece = Progress()
    for name in ("<bos> TIME_0 " + notes).split():
        piece.feed(TOKEN_TO_ID[name])
    plan = Plan(piece, 2, "major")
    plan.subject = Subject([Written(0, 24, 72, 0), Written(24, 24, 74, 0)], 0, 96, "major")
    plan.registers = {0: 72.0, 1: 60.0}
    return plan


@pytest.mark.parametrize(
    ("step", "durations"), [(72, {2, 3, 4, 6, 8, 9, 12, 15, 16, 18}), (84, {2, 3, 4, 6}), (90, None)]
)
def test_before_its_statement_a_voice_ends_and_begins_nothing_short(step, durations):
    """The upper voice states the subject at tick 96: what it may strike before is over a sixteenth
    earlier, and is at least a sixteenth where that is little.
    """
    plan = after_subject(
        "NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_24 TIME_72 "
        + ("" if step == 72 else f"NOTE_60 VOICE_1 DUR_6 TIME_{step - 72}")
    )
    plan.next = Entry(96, 0, plan.subject.statement(96, 0, [72, 74]))
    plan.piece.feed(TOKEN_TO_ID["NOTE_74"])
    bias = plan.bias()
    assert (bias[TOKEN_TO_ID["VOICE_0"]] == 0) == (durations is not None)
    plan.piece.feed(TOKEN_TO_ID["VOICE_0"])
    bias = plan.bias()
    if durations:
        assert {
            int(VALUE_OF_ID[i]) for i in np.flatnonzero(TYPE_INDEX["DUR"] == TYPE_OF_ID) if bias[i] == 0
        } == durations


def test_voices_go_on():
    """Two voices after the subject: what a step costs depends on whether a voice is free when it is over,
    and whether one falls silent.
    """
    plan = after_subject("NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_1 DUR_48")
    assert plan.temperature() == 1
    bias = plan.bias()
    cost = {ticks: float(bias[TOKEN_TO_ID[f"TIME_{ticks}"]]) for ticks in (12, 24, 36, 48, 60)}
    assert cost == {12: -UNTIMELY, 24: 0, 36: -RESTING, 48: -RESTING, 60: -2 * RESTING}
    plan.piece.feed(TOKEN_TO_ID["TIME_24"])
    assert plan.temperature() == 1
    plan.subject = None
    assert plan.temperature() == SUBJECT_TEMPERATURE < 1


def test_a_note_of_the_plan_is_never_untimely():
    plan = after_subject("NOTE_72 VOICE_0 DUR_96")
    plan.now = [Written(24, 24, 60, 1)]
    bias = plan.bias()
    assert bias[TOKEN_TO_ID["TIME_24"]] == 0
    assert bias[TOKEN_TO_ID["TIME_12"]] == -UNTIMELY
    assert bias[TOKEN_TO_ID["TIME_36"]] < -UNTIMELY  # it would pass the note


def test_a_statement_that_was_missed_is_given_up():
    """Another processor may step past a note of the plan: what is left of the statement would come at
    wrong times.
    """
    plan = after_subject("NOTE_72 VOICE_0 DUR_96")
    plan.now = [Written(24, 24, 60, 1), Written(48, 24, 62, 1)]
    plan.piece.feed(TOKEN_TO_ID["TIME_36"])
    bias = plan.bias()
    assert not plan.now
    assert bias[TOKEN_TO_ID["NOTE_65"]] == 0


def test_a_close_stops_the_plan():
    rows = Rows([BOS_ID], 2)
    closing = FullClose(rows, ["major"] * 2, 1000)
    fugue = Fugue(rows, 3, ["major"] * 2, closing)
    for plan in fugue.plans:
        plan.now = [Written(500, 12, 60, 1)]
    closing.closes[1] = object()
    ids = torch.tensor([[BOS_ID, TOKEN_TO_ID["TIME_0"], TOKEN_TO_ID["NOTE_60"]]] * 2)
    fugue(ids, torch.zeros(2, 150))
    assert fugue.plans[0].now and not fugue.plans[1].now


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
