"""What comes again: lines on other degrees, tokens that write them, sequences, returns."""

from __future__ import annotations

import numpy as np
import pytest

from musical_metrics.recurrence import bars_in_sequence
from musicgpt.rules.base import FORBIDDEN
from musicgpt.rules.companions import crossed
from musicgpt.rules.replay import (
    Replay,
    degree_of,
    faults,
    harshness,
    in_order,
    in_reach,
    moved,
    passage,
)
from musicgpt.rules.returns import EXCHANGED, Returns, bars_of, exchanged
from musicgpt.rules.sequences import Model, Sequences
from musicgpt.rules.tonal_plan import Plan
from musicgpt.state import State
from tests.musicgpt.states import state_after
from tokenization.score import Meter, Note, Score
from tokenization.vocabulary import TOKEN_TO_ID, TYPE_OF_ID, TYPES

from .cases import brief, ids, said, state

KINDS = {"TIME": "NOTE", "NOTE": "VOICE", "VOICE": "DUR", "DUR": "TIME"}
# A bar of 4/4: eighths over quarters.
FIGURE = "".join(
    f"NOTE_{high} VOICE_0 DUR_12 TIME_0 NOTE_{low} VOICE_1 DUR_24 TIME_12 NOTE_{then} VOICE_0 DUR_12 TIME_12 "
    for high, low, then in ((72, 48, 76), (79, 52, 77), (76, 55, 74), (72, 57, 72))
)


class Planned:
    """An earlier rule with a plan of twenty bars in A minor or C major, then ten in G major."""

    after = ()

    def __init__(self, key: int = 0):
        self.plan = Plan("prelude", "minor" if key >= 12 else "major", 40, np.random.default_rng(0))
        first = self.plan.sections[0]._replace(key=key, first=0, end=20)
        self.plan.sections = [first, first._replace(key=7, first=20, end=40)]
        self.plan.cadences, self.plan.home = [40], key

    def key_plans(self):
        return [self.plan]


def played(rule, piece: State, until: int, rng: np.random.Generator) -> list[Note]:
    """What comes until a tick when every token is drawn among those that the rule does not forbid."""
    kind = TYPES[piece.kind[0]]
    while piece.ticks[0] < until:
        scores = said(rule, piece)[0]
        kind = KINDS[kind]
        left = [t for t in range(150) if TYPES[TYPE_OF_ID[t]] == kind and scores[t] > FORBIDDEN]
        if kind == "NOTE" and TYPES[TYPE_OF_ID[int(scores.argmax())]] == "TIME":  # one more step
            left = [t for t in range(150) if scores[t] > FORBIDDEN]
        piece.feed(np.array([rng.choice(left)]))
        kind = TYPES[piece.kind[0]]
    return [Note(*note) for note in piece.notes[0, : piece.num_notes[0]].tolist() if note[0] < until]


def test_a_line_moves_along_its_scale_and_to_other_keys():
    assert moved([60, 64, 67, 66], 0, 0, -1) == [59, 62, 65, 65]  # E with a sharp sounds as F
    assert moved([60, 64, 71], 0, 7) == [67, 71, 78]
    assert moved([69, 68, 69], 21, 21) == [69, 68, 69]  # the leading note stays
    assert moved([69, 68, 69], 21, 21, 1) == [71, 69, 71]  # but is none on another degree
    assert moved([71, 72, 67], 0, 21) == [80, 81, 76]  # and comes where a line rises to the tonic
    assert degree_of(73, 0) == (42, 1) and degree_of(55, 7) == (28, 0)


def test_parallels_and_dissonances_are_counted():
    def chords(*pairs):
        return [
            Note(24 * i, 24, pitch, voice) for i, pair in enumerate(pairs) for voice, pitch in enumerate(pair)
        ]

    assert faults(chords((67, 60), (69, 62))) == 1  # fifths
    assert faults(chords((67, 60), (69, 60))) == 0 == faults(chords((76, 60), (77, 62)))
    assert faults(chords((61, 60), (71, 60))) == 2
    assert harshness(chords((62, 60), (67, 60))) == 0.5


def test_a_replay_writes_its_notes_whatever_is_drawn():
    notes = passage([Note(0, 30, 72, 0), Note(0, 48, 48, 1), Note(35, 12, 74, 0)], 100, 0, 0)
    for seed in range(8):
        piece = state_after(ids("NOTE_60 VOICE_0 DUR_12"))

        class Rule:
            replay = Replay(notes)

            def __call__(self, state, scores):
                added = np.zeros_like(scores)
                if self.replay.follow(state, 0):
                    self.replay.add(state, 0, added[0])
                return added

        found = played(Rule(), piece, 150, np.random.default_rng(seed))
        again = [note for note in found if note.onset >= 100][: len(notes)]  # then all is free
        assert again == notes
        assert all(
            note.onset + note.duration <= max(100, note.onset + 2)  # the shortest one is always possible
            for note in found
            if note.onset < 100 and note.voice < 2
        )


@pytest.mark.parametrize("key", [0, 21])
def test_links_follow_a_model(key):
    rule = Sequences(brief(Planned(key), form="prelude", seeds=[1]))
    piece = state(FIGURE)
    assert piece.ticks[0] == 96
    rule.models[0], rule.looked[0] = Model(0, 96, 2, 2**40), 1
    notes = played(rule, piece, 288, np.random.default_rng(0))
    assert bars_in_sequence(Score(notes, meters=[Meter(0, 4, 4)])).value == 1
    bars = [[note for note in notes if note.onset // 96 == k] for k in range(3)]
    assert len(bars[0]) == len(bars[1]) == len(bars[2])
    assert bars[1][0].pitch != bars[0][0].pitch


def test_a_model_that_is_not_fit_has_no_links():
    rule = Sequences(brief(Planned(), form="prelude", seeds=[1]))
    same = state("NOTE_72 VOICE_0 DUR_12 TIME_12 " * 8)
    rule.models[0], rule.looked[0] = Model(0, 96, 2, 2**40), 1
    assert not said(rule, same).any()
    held = state("NOTE_48 VOICE_1 DUR_192 TIME_96 " + FIGURE.replace("VOICE_1", "VOICE_0"))
    rule.models[0], rule.looked[0] = Model(96, 192, 2, 2**40), 2
    assert not said(rule, held).any()


def test_no_sequence_runs_into_a_cadence_or_a_statement():
    rule = Sequences(brief(Planned(), form="prelude", seeds=[1]))
    rule.chance = 1.0
    plan = rule.key_plans()[0]
    for cadence, fits in ((4, False), (6, True)):
        plan.cadences = [cadence]
        rule.models[0], rule.looked[0] = None, -1
        said(rule, state(FIGURE * 2))
        assert (rule.models[0] is not None) == fits
        if fits:
            assert (
                rule.models[0].end + rule.models[0].links * (rule.models[0].end - 192) <= (cadence - 1) * 96
            )
    rule.models[0], rule.looked[0] = None, -1
    rule.brief.earlier.append(type("Busy", (), {"gap": lambda self, row: (0, 300, 0)})())
    said(rule, state(FIGURE * 2))
    assert rule.models[0] is None or rule.models[0].limit == 300


def test_the_opening_returns_in_the_new_key():
    rule = Returns(brief(Planned(), form="prelude", seeds=[1]))
    rule.rngs[0] = type("Always", (), {"random": lambda self: EXCHANGED, "choice": lambda self, *a, **k: 2})()
    piece = state(FIGURE * 19)
    said(rule, piece)
    notes = played(rule, piece, 22 * 96, np.random.default_rng(0))
    opening = [note for note in notes if note.onset < 2 * 96]
    again = [note for note in notes if note.onset >= 20 * 96][: len(opening)]
    assert [note._replace(onset=note.onset - 20 * 96, pitch=0) for note in again] == [
        note._replace(pitch=0) for note in opening
    ]
    assert {a.pitch - b.pitch for a, b in zip(again, opening, strict=True)} <= {7, -5}


def test_an_episode_of_a_fugue_returns_in_the_key_of_a_later_one():
    class Fugue:
        def episodes(self):
            return [[(96, 3 * 96), (20 * 96, 22 * 96 - 24)]]

        def gap(self, row):
            return 0, 20 * 96, 12

    given = brief(Planned(), form="fugue", seeds=[1])
    rule = Returns(given)
    given.earlier.append(Fugue())
    rule.rngs[0] = type("Always", (), {"random": lambda self: EXCHANGED, "integers": lambda self, *a: 0})()
    piece = state(FIGURE * 19)
    notes = played(rule, piece, 21 * 96, np.random.default_rng(0))
    source = [note for note in notes if 96 <= note.onset < 2 * 96]  # whole bars of the shorter one
    again = [note for note in notes if note.onset >= 20 * 96][: len(source)]
    assert {(a.onset - b.onset, a.pitch - b.pitch) for a, b in zip(again, source, strict=True)} == {
        (19 * 96, -5)
    }


def test_a_replay_ends_where_another_note_was_written():
    piece = state("NOTE_60 VOICE_0 DUR_24 TIME_24")
    replay = Replay([Note(24, 24, 72, 0), Note(24, 24, 48, 1)])
    assert replay.follow(piece, 0)
    for token in ("NOTE_55", "VOICE_1", "DUR_24"):
        piece.feed(np.array([TOKEN_TO_ID[token]]))
    assert not replay.follow(piece, 0)


def test_voices_are_exchanged_in_their_places():
    upper = [Note(12 * i, 12, pitch, 0) for i, pitch in enumerate((72, 76, 79, 77, 76, 74, 72, 71))]
    lower = [Note(24 * i, 24, pitch, 1) for i, pitch in enumerate((48, 55, 60, 55))]
    ways = exchanged(sorted([*upper, *lower], key=in_order))
    assert ways
    for way in ways:
        lines = [[note for note in way if note.voice == voice] for voice in (0, 1)]
        assert crossed(*lines) == 0 and faults(way) <= faults([*upper, *lower])
        assert [note.onset for note in lines[1]] == [note.onset for note in upper]
        assert {(b.pitch - a.pitch) % 12 for a, b in zip(upper, lines[1], strict=True)} == {0}
    close = [note._replace(pitch=note.pitch + 24, voice=2) for note in lower]  # it would have no place
    assert all(way != close for way in exchanged([*lower, *close]))


def test_what_was_there_note_for_note_comes_with_its_voices_exchanged():
    """At home the opening would be a repetition, which is taken where nothing speaks against it."""
    rule = Returns(brief(Planned(7), form="prelude", seeds=[1]))
    rule.rngs[0] = type("AsItWas", (), {"random": lambda self: EXCHANGED})()
    rule.key_plans()[0].sections = [rule.key_plans()[0].sections[0]._replace(end=20, key=7)] * 2
    piece = state(FIGURE * 12)
    notes = [Note(*note) for note in piece.notes[0, : piece.num_notes[0]].tolist()]
    assert rule._begin(piece, 0, (0, 192), 12 * 96, 2**40)
    again = rule.replays[0].left
    assert bars_of(notes, 96).isdisjoint(bars_of(again, 96))
    assert {note.pitch % 12 for note in again} == {note.pitch % 12 for note in notes}


def test_two_hands_reach_what_is_within_a_tenth_of_the_outer_notes():
    def struck(*pitches: int) -> bool:
        return in_reach([Note(24, 24, pitch, voice) for voice, pitch in enumerate(pitches)])

    assert struck(84, 36) and struck(84, 68, 52, 36) and not struck(84, 67, 51, 36)
    assert not struck(84, 65, 46)
    assert in_reach([Note(0, 48, 84, 0), Note(24, 24, 65, 1), Note(0, 48, 46, 2)])  # not struck together


def test_what_no_hands_could_strike_does_not_return(monkeypatch):
    """The opening in three voices, of which an exchange would take the middle one out of reach."""
    rule = Returns(brief(Planned(7), form="prelude", seeds=[1]))
    notes = [Note(24 * k, 24, pitch, v) for k in range(8) for v, pitch in enumerate((70 + k % 3, 65, 60))]
    written = "".join(
        f"NOTE_{n.pitch} VOICE_{n.voice} DUR_24 TIME_{24 if n.voice == 2 else 0} " for n in notes
    )
    piece = state(written)
    apart = [note._replace(pitch=note.pitch + (12, 0, -12)[note.voice]) for note in notes]
    monkeypatch.setattr("musicgpt.rules.returns.exchanged", lambda moved: [apart, moved])
    rule.rngs[0] = type("Exchanges", (), {"random": lambda self: 0.0})()
    assert not in_reach(apart) and rule._begin(piece, 0, (0, 192), 12 * 96, 2**40)
    assert in_reach(rule.replays[0].left)


def test_links_that_no_hands_could_strike_are_left_out(monkeypatch):
    rule, piece = Sequences(brief(Planned(0), form="prelude", seeds=[1])), state(FIGURE)
    model = Model(0, 96, 2, 2**40)
    assert rule._links(piece, 0, model) is not None
    monkeypatch.setattr("musicgpt.rules.sequences.in_reach", lambda links: False)
    assert rule._links(piece, 0, model) is None


def test_a_piece_without_a_plan_has_no_returns_and_no_sequences():
    assert not Returns.applies(brief(form="prelude")) and not Sequences.applies(brief(form="prelude"))
