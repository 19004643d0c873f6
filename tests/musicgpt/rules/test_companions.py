"""Countersubjects return and subjects come in stretto where that sounds well."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from musicgpt.rules.companions import HARSHEST, Countersubject, clash, crossed, stretto
from musicgpt.rules.fugue import Plan
from musicgpt.rules.replay import faults
from musicgpt.rules.schedule import Entry
from musicgpt.rules.subject import Subject
from tokenization.score import Note


def line(voice: int, pitches, ticks: int = 24, at: int = 0) -> list[Note]:
    return [Note(at + ticks * i, ticks, pitch, voice) for i, pitch in enumerate(pitches)]


ANSWER = line(1, (67, 69, 71, 72))
AGAINST = line(0, (76, 77, 74, 76))


def test_clashes_and_crossings_are_shares_of_time():
    assert clash(line(0, (72, 74)), line(1, (60, 60))) == 0.5
    assert clash(line(0, (72,)), line(1, (60,), at=24)) == 0.0
    assert crossed(line(0, (60, 72)), line(1, (62, 62))) == 0.5


@pytest.mark.parametrize("key", [0, 21, 5])
def test_a_countersubject_returns_in_the_other_voices_place(key):
    own = Countersubject(AGAINST, ANSWER, 7)
    shift = (key % 12 - 7) % 12
    statement = line(
        0, [note.pitch + shift - (key >= 12 and i == 2) for i, note in enumerate(ANSWER)], at=960
    )
    notes = own.against(statement, key, {0: 72.0, 1: 60.0, 2: 50.0})
    assert notes is not None
    assert {note.voice for note in notes} <= {1, 2} and [note.onset for note in notes] == [
        960,
        984,
        1008,
        1032,
    ]
    assert not faults([*statement, *notes]) and clash(statement, notes) <= HARSHEST
    assert all(low.pitch < high.pitch for low, high in zip(notes, statement, strict=True))
    changed = sum(
        (a.pitch - b.pitch - shift) % 12 not in (0, 1, 11) for a, b in zip(notes, AGAINST, strict=True)
    )
    assert changed <= 1


def test_a_countersubject_is_not_mended_beyond_the_keyboard():
    """Its lowest note clashes, and would as well be a step higher as a step lower."""
    statement, notes = line(0, (72,) * 6), line(1, (64, 64, 64, 64, 64, 62))
    for low, mended in ((36, 60), (61, 64)):
        own = Countersubject(notes, statement, 0, (low, 84))
        assert [note.pitch for note in own._mended(notes, statement, 0)] == [64] * 5 + [mended]


def test_a_countersubject_that_only_clashes_does_not_return():
    own = Countersubject(line(0, (68, 70, 72, 73)), ANSWER, 7)
    assert own.against(line(1, (67, 69, 71, 72), at=960), 7, {0: 68.5}) is None


def test_a_subject_comes_in_stretto_where_it_can():
    scale = Subject(line(0, (72, 71, 69, 67, 69, 71, 72, 76)), 0, 192, "major")
    statement = scale.statement(0, 0, scale.pitches)
    second = stretto(scale, statement, (0, 7, 5), 24, {0: 72.0, 1: 60.0})
    assert second is not None and {note.voice for note in second} == {1}
    assert 0 < second[0].onset < 168 and not faults([*statement, *second])
    stays = Subject(line(0, (72, 73, 72, 73, 72, 73, 72, 73)), 0, 192, "major")
    assert stretto(stays, stays.statement(0, 0, stays.pitches), (0,), 24, {1: 60.0}) is None


def test_what_goes_with_a_statement_is_known_before_it_begins():
    plan = Plan(3, "major")
    plan.subject = Subject(line(1, (60, 62, 64, 65)), 0, 96, "major")
    plan.bar, plan.registers = 96, {0: 76.0, 1: 67.0, 2: 50.0}
    plan.written = [*ANSWER, *AGAINST]
    later = line(2, (48, 50, 52, 53), at=192)
    plan.next = Entry(192, 0, later, later, rest=12)
    plan.rng = type("Always", (), {"random": lambda self: 0.0})()
    plan._hear_countersubject(Entry(0, 7, ANSWER, ANSWER))
    assert plan.countersubject is not None and len(plan.next.notes) == 8
    assert plan.next.free_until(2) == 180 and plan.next.end == 288
    assert plan.next.free_until(1) == 192
    against = plan.countersubject.against(later, 0, {0: 76.0, 1: 67.0})
    assert sorted(plan.next.notes) == sorted([*later, *against])  # and no stretto
    plan._begin(plan.next.notes)
    plan.tick = 192
    assert plan._reserved() == {note.voice for note in plan.next.notes}


def test_late_statements_come_in_stretto():
    for at, late in ((10 * 96, False), (30 * 96, True)):
        plan = Plan(2, "major", lambda: SimpleNamespace(bars=40))
        plan.subject = Subject(line(0, (72, 71, 69, 67, 69, 71, 72, 76)), 0, 192, "major")
        plan.bar = 96
        statement = plan.subject.statement(at, 0, plan.subject.pitches)
        plan.next = Entry(at, 0, statement, statement)
        plan._accompany({0: 72.0, 1: 60.0})
        assert ({note.voice for note in plan.next.notes} == {0, 1}) == late
