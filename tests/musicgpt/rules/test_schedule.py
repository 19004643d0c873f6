"""When the subject of a fugue comes back, in which voice and key, and after which rest."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from musicgpt.rules import schedule
from musicgpt.rules.registers import registers
from musicgpt.rules.schedule import (
    CODETTAS,
    EPISODES,
    INVERTED,
    LONGEST,
    RESTS,
    SILENCES,
    Entry,
    Schedule,
    Silence,
)
from musicgpt.rules.subject import Subject
from musicgpt.rules.tonal_plan import Plan as KeyPlan
from tokenization.score import Note


def in_three_voices(seed: int = 0) -> Schedule:
    """A fugue whose voices have all stated a subject of two bars."""
    fugue = Schedule(3, "major", seed=seed)
    notes = [Note(24 * i, 24, pitch, 1) for i, pitch in enumerate((60, 62, 64, 67, 65, 64, 62, 60))]
    fugue.subject, fugue.bar = Subject(notes, 0, 192, "major"), 96
    fugue.registers = {1: 62.0, 2: 57.0, 0: 74.0}
    return fugue


@pytest.mark.parametrize(("inverts", "third"), [(True, 64), (True, 61), (False, 64)])
def test_every_other_later_statement_is_upside_down(inverts, third):
    keys = SimpleNamespace(bars=20, at=lambda bar: SimpleNamespace(key=0))
    fugue = Schedule(2, "major", lambda: keys)
    fugue.inverts, fugue.bar, fugue.registers = inverts, 96, {0: 62.0}
    pitches = [60, 62, third, 60]
    notes = [Note(24 * i, 24, pitch, 0) for i, pitch in enumerate(pitches)]
    fugue.subject = Subject(notes, 0, 96, "major")
    found = [fugue._return(bar * 96)[2] for bar in (4, 8, 9, 10, 11)]
    # From two fifths of the piece on; a chromatic step would get lost.
    turns = inverts and third == 64
    upside_down = [67, 65, 64, 67] if turns else pitches
    assert found[0] == pitches and found[1:] in (
        [upside_down, pitches, upside_down, pitches],
        [pitches, upside_down, pitches, upside_down],
    )


def test_as_many_fugues_as_in_bach_have_their_subject_upside_down():
    assert np.mean([Schedule(2, "major", seed=seed).inverts for seed in range(1000)]) == pytest.approx(
        INVERTED, abs=0.04
    )


def test_what_is_set_against_a_statement_does_not_rest():
    """The countersubject begins at tick 96 in the voice that has sounded."""
    statement = [Note(96, 24, 60, 1), Note(120, 24, 62, 1)]
    entry = Entry(96, 0, statement, [Note(96, 24, 76, 0), *statement], rest=24)
    assert [entry.free_until(voice) for voice in (0, 1)] == [96, 72]
    assert [entry.last_onset(voice, 24) for voice in (0, 1)] == [90, 48]


def test_half_of_the_statements_come_without_a_rest_and_none_rests_for_long_before_a_cadence():
    cases = [(voice, at_once) for voice in (0, 2) for at_once in (0, 1)]
    rests = {
        (voice, at_once): [in_three_voices(seed)._rest(voice, 0, 960, at_once) for seed in range(400)]
        for voice, at_once in cases
    }
    assert all(0.4 < np.equal(found, 0).mean() < 0.65 for found in rests.values())
    longest = {case: max(found) for case, found in rests.items()}
    assert longest == {(0, 0): 768, (0, 1): 768, (2, 0): 12, (2, 1): 768}  # the bass is needed for a cadence
    assert max(Schedule(2, "major", seed=seed)._rest(0, 0, 960, True) for seed in range(40)) == 12


@pytest.mark.parametrize("voice", range(3))
def test_a_voice_states_the_subject_in_its_register(voice):
    fugue = in_three_voices()
    fugue.places = registers(3)
    fugue.registers = dict.fromkeys(range(3), 66.0)  # wherever it did before
    fugue._in_turn = lambda *_: [voice]
    found, _, pitches = fugue._return(960)
    assert found == voice and abs(np.mean(pitches) - fugue.places[voice]) <= 6


def test_an_episode_ends_with_a_cadence_and_a_statement_has_none_within(monkeypatch):
    fugue = Schedule(2, "major", lambda: keys)
    keys = KeyPlan("fugue", "major", 40, np.random.default_rng(0))
    keys.at(40)
    keys.cadences = [*range(2, 30, 2)]
    fugue.bar, fugue.registers = 96, {0: 72.0, 1: 60.0}
    notes = [Note(48 * i, 48, pitch, 0) for i, pitch in enumerate((60, 62, 64, 60, 62, 60))]
    fugue.subject = Subject(notes, 0, 288, "major")  # three bars
    begins, others = 3 + 4, {*range(2, 30, 2)}
    monkeypatch.setattr(schedule, "EPISODES", (4,))
    fugue._schedule(0)
    assert fugue.next.at == begins * 96
    assert keys.cadences == sorted({begins} | others - {begins + 1})
    again = begins + 3 + 3
    monkeypatch.setattr(schedule, "EPISODES", (3,))
    fugue._schedule(fugue.next.at)
    assert keys.cadences == sorted({begins, again} | others - {begins + 1, again + 1})
    keys.cadences, then = [*range(40)], fugue.next.at
    monkeypatch.setattr(schedule, "EPISODES", (0,))
    fugue._schedule(then)
    assert fugue.next.at == then + 288 and keys.cadences == [*range(40)]  # no episode, no cadence of its own


def test_statements_come_at_other_times_in_each_fugue():
    """They came in bars 1, 3, 6, 12, 17, 24, 29, ... of every fugue whose subject has two bars."""
    bars = []
    for seed in range(40):
        fugue, now = in_three_voices(seed), 0
        bars.append([fugue.codetta])
        for _ in range(6):
            fugue._schedule(now)
            bars[-1].append((fugue.next.at - now) // 96 - 2)
            now = fugue.next.at
    assert len(set(map(tuple, bars))) == len(bars)
    assert {codetta for codetta, *_ in bars} == {*CODETTAS}
    drawn = [gap for _, *gaps in bars for gap in gaps]
    assert {*drawn} == {*EPISODES} and np.mean(drawn) == pytest.approx(np.mean(EPISODES), abs=0.5)


def test_the_voice_that_has_waited_longest_states_the_subject_oftenest():
    fugue = in_three_voices()
    first = [fugue._in_turn(0, False)[0] for _ in range(2000)]
    assert [first.count(voice) / 2000 for voice in (1, 2, 0)] == pytest.approx([0.52, 0.29, 0.16], abs=0.06)
    assert {fugue._in_turn(0, True)[-1] for _ in range(100)} == {0}  # the latest one


def test_a_voice_falls_silent_until_it_states_the_subject():
    keys = SimpleNamespace(bars=200, cadences=[], at=lambda bar: SimpleNamespace(key=0))
    lengths, begun = [], 0
    for seed in range(60):
        fugue, now = in_three_voices(seed), 0
        fugue.keys, fugue.inverts = lambda: keys, False
        for _ in range(12):
            silent = fugue.silent
            fugue._schedule(now)
            states = fugue.next.statement[0].voice
            if silent:
                assert (states == silent.voice) == (fugue.next.at >= silent.until)
                assert silent.voice not in {note.voice for note in fugue.next.notes if states != silent.voice}
                if states == silent.voice:
                    rests_on = (
                        states < 2 or fugue.next.at == now + 192
                    )  # the bass, after an episode, does not
                    assert not rests_on or fugue.next.rest == fugue.next.at - now
                    lengths.append(fugue.next.at - silent.begin)
            elif fugue.silent:
                begun += 1
                assert fugue.silent.begin == now and fugue.silent.voice != states
            fugue.now, now = [], fugue.next.at
    assert begun > 60 and min(lengths) >= min(SILENCES) and len({*lengths}) > 5


@pytest.mark.parametrize("voice", [0, 2])
def test_a_silent_voice_rests_until_its_own_statement_but_not_too_long(voice):
    """The bass is back for the cadence of an episode."""
    fugue = in_three_voices()
    fugue.keys, fugue.silent = lambda: SimpleNamespace(bars=100), Silence(voice, 0, 0)
    longest = int(LONGEST * 9600)
    rests = [[fugue._rest(voice, 480, at, at_once) for at_once in (True, False)] for at in (longest, 9600)]
    assert rests[0] == [longest - 480, longest - 480 if voice == 0 else 12]
    assert max(rests[1]) <= max(RESTS)


@pytest.mark.parametrize(("voices", "bars", "at"), [(2, 200, 96), (3, 2, 0), (3, 200, 9600)])
def test_no_voice_falls_silent_of_two_or_near_the_end_or_before_a_long_episode(voices, bars, at):
    fugue = in_three_voices()
    fugue.keys = lambda: SimpleNamespace(bars=bars)
    fugue.voices, fugue.registers = voices, dict.fromkeys(range(voices), 60.0)
    for _ in range(100):
        fugue._fall_silent(0, 0, at)
    assert fugue.silent is None


def test_a_stretto_comes_on_a_beat(monkeypatch):
    """In 3/4 it came a quarter of a bar later, or two or three: between the beats."""
    asked = []
    monkeypatch.setattr(schedule, "stretto", lambda *what: asked.append(what[3]))
    for bar, beat in ((72, 24), (72, 36), (108, 36)):
        fugue = in_three_voices()
        fugue.bar, fugue.beat, fugue.keys = bar, beat, lambda: SimpleNamespace(bars=1, at=0)
        fugue.next = Entry(720, 0, fugue.subject.notes, fugue.subject.notes)
        fugue._accompany(fugue.registers)
    assert asked == [24, 36, 36]


def test_a_third_voice_above_the_first_is_an_octave_higher():
    """It was as near to where the first voice is, and had the subject at the same pitch."""
    fugue = in_three_voices()
    fugue.registers = {1: fugue.subject.mean, 2: fugue.subject.mean - 5}
    assert fugue._answer() == (0, 0, [pitch + 12 for pitch in fugue.subject.pitches])
    assert fugue.is_in_order(fugue.subject)
    high = [note._replace(pitch=note.pitch + 12, voice=2) for note in fugue.subject.notes]
    assert not fugue.is_in_order(Subject(high, 0, 192, "major"))  # there is no room for two voices above


def test_nobody_stays_silent_where_no_statement_follows():
    fugue = in_three_voices()
    keys = SimpleNamespace(bars=4, cadences=[], at=lambda bar: SimpleNamespace(key=0))
    fugue.keys, fugue.silent = lambda: keys, Silence(2, 0, 10**6)
    fugue._schedule(960)
    assert fugue.next is None and fugue.silent is None
