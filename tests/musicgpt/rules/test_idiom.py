"""The expert beside the model says of each note what the metric's n-gram says of it in the finished piece."""

from __future__ import annotations

import numpy as np
import pytest

from musical_metrics.ngram import pitch_events
from musicgpt.rules.idiom import IN_FUGUES, LIMIT, Expert, Idiom
from musicgpt.state import State
from tests.musicgpt.states import state_after
from tokenization import encode
from tokenization.analysis.ngram import NO_INTERVAL, NGram, ngram_of
from tokenization.analysis.view import View
from tokenization.score import ONSET, Meter, Note, Score
from tokenization.vocabulary import PITCH_MIN, TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID

from .cases import brief, said, state

FIRST = np.array([0])


def log_ratio(piece: State, voices: int, **what) -> np.ndarray:
    """What the expert says now, `(voices, pitches)`."""
    return Idiom(brief(voices=voices), **what).log_ratio(piece, FIRST)[0]


@pytest.fixture(scope="module")
def counted(wandering) -> NGram:
    return ngram_of([pitch_events(View(wandering(seed))) for seed in range(4)], NO_INTERVAL)


@pytest.mark.parametrize("seed", [0, 7])  # a piece that was counted, and one that was not
def test_the_opinion_is_the_n_grams_of_the_finished_piece(counted, wandering, seed):
    score = wandering(seed)
    view = View(score)
    events = pitch_events(view)
    usual = NGram(counted.tables[:1], counted.alphabet).log_probabilities(
        events._replace(contexts=events.contexts[:, :1])
    )
    wanted = np.clip(counted.log_probabilities(events) - usual, -LIMIT, LIMIT)
    first = np.diff(view.lines[:, 3], prepend=-1) > 0  # the first note of a voice has no interval
    place = {(voice, onset): i for i, (onset, _, _, voice) in enumerate(view.lines[~first].tolist())}

    expert, piece, ids = Expert(counted), state_after(), encode(score)
    seen = 0
    for k, token in enumerate(ids):
        if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"]:
            voice, pitch = int(VALUE_OF_ID[ids[k + 1]]), int(VALUE_OF_ID[token])
            found = log_ratio(piece, 3, expert=expert)[voice, pitch - PITCH_MIN]
            now = int(piece.ticks[0])
            event = place.get((voice, now))
            if (
                event is None or piece.line[0, voice, -1, ONSET] == now
            ):  # the first note of a voice, or the second of a chord
                assert found == 0
            else:
                assert found == pytest.approx(wanted[event], abs=1e-9)
                seen += 1
        piece.feed(np.array([token]))
    assert seen == len(place)
    assert abs(wanted).max() > 0.5


def test_the_shipped_expert_prefers_the_resolution_of_a_leading_note():
    """Under a held C the soprano has gone A, B: it likes C better than the C sharp and the A sharp
    beside it.
    """
    piece = state_after()
    score = Score(
        notes=[Note(0, 96, 48, 1), Note(0, 24, 69, 0), Note(24, 24, 71, 0), Note(48, 24, 72, 0)],
        meters=[Meter(0, 4, 4)],
    )
    for token in encode(score)[:-4]:  # up to the step before the last note
        if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"] and piece.ticks[0] == 48:
            break
        piece.feed(np.array([token]))
    found = log_ratio(piece, 2)[0]
    assert found[72 - PITCH_MIN] > max(found[73 - PITCH_MIN], found[70 - PITCH_MIN])


def test_a_lower_voice_that_struck_first_is_not_known_yet():
    """As in the metric: of the notes of an onset those of higher voices are known."""
    names = "NOTE_72 VOICE_0 DUR_24 TIME_0 NOTE_48 VOICE_1 DUR_24 TIME_24"
    before = log_ratio(state(names), 2)
    assert np.array_equal(before[0], log_ratio(state(names + " NOTE_50 VOICE_1 DUR_24 TIME_0"), 2)[0])
    assert not np.array_equal(before[1], log_ratio(state(names + " NOTE_74 VOICE_0 DUR_24 TIME_0"), 2)[1])


def test_a_voice_has_what_its_idiom_says():
    """After a step up of the upper voice: of each VOICE token, and of a pitch that only this voice is near
    to.
    """
    text = "NOTE_67 VOICE_0 DUR_24 TIME_0 NOTE_40 VOICE_1 DUR_96 TIME_24 NOTE_69 VOICE_0 DUR_24 TIME_24"
    rule, (model_weight, weight) = Idiom(brief(form="fugue", voices=2)), IN_FUGUES
    wanted = weight * log_ratio(state(text), 2)[:, 71 - PITCH_MIN]
    moved = said(rule, state(text), np.full((1, 150), 2.0))[0]
    assert moved[TOKEN_TO_ID["NOTE_71"]] == pytest.approx(2 * model_weight + wanted[0], abs=0.01)
    moved = said(rule, state(text + " NOTE_71"))[0]
    np.testing.assert_allclose(moved[[TOKEN_TO_ID["VOICE_0"], TOKEN_TO_ID["VOICE_1"]]], wanted, rtol=1e-5)
    assert abs(wanted[0]) > 0.05
