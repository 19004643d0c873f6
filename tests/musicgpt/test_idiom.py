"""The expert beside the model says of each note what the metric's n-gram says of it in the finished piece."""

from __future__ import annotations

import numpy as np
import pytest

from musical_metrics.ngram import NO_INTERVAL, NGram, pitch_events
from musical_metrics.view import View
from musicgpt.idiom import LIMIT, Idiom
from musicgpt.progress import Progress
from tokenization import encode
from tokenization.score import Meter, Note, Score
from tokenization.vocabulary import PITCH_MIN, TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID


@pytest.fixture(scope="module")
def counted(wandering) -> NGram:
    return NGram.count([pitch_events(View(wandering(seed))) for seed in range(4)], NO_INTERVAL)


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

    idiom, piece, ids = Idiom(counted), Progress(), encode(score)
    seen = 0
    for k, token in enumerate(ids):
        if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"]:
            voice, pitch = int(VALUE_OF_ID[ids[k + 1]]), int(VALUE_OF_ID[token])
            opinion = idiom.opinion(piece, 3)[voice, pitch - PITCH_MIN]
            event = place.get((voice, piece.now))
            line = piece.lines[voice]
            if (
                event is None or line[-1].onset == piece.now
            ):  # the first note of a voice, or the second of a chord
                assert opinion == 0
            else:
                assert opinion == pytest.approx(wanted[event], abs=1e-9)
                seen += 1
        piece.feed(token)
    assert seen == len(place)
    assert abs(wanted).max() > 0.5


def test_the_shipped_expert_prefers_the_resolution_of_a_leading_note():
    """Under a held C the soprano has gone A, B: it likes C better than the C sharp and the A sharp beside
    it.
    """
    piece = Progress()
    score = Score(
        notes=[Note(0, 96, 48, 1), Note(0, 24, 69, 0), Note(24, 24, 71, 0), Note(48, 24, 72, 0)],
        meters=[Meter(0, 4, 4)],
    )
    for token in encode(score)[:-4]:  # up to the step before the last note
        if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"] and piece.now == 48:
            break
        piece.feed(token)
    opinion = Idiom().opinion(piece, 2)[0]
    assert opinion[72 - PITCH_MIN] > max(opinion[73 - PITCH_MIN], opinion[70 - PITCH_MIN])


def test_a_lower_voice_that_struck_first_is_not_known_yet():
    """As in the metric: of the notes of an onset those of higher voices are known."""
    before, after = Progress(), Progress()
    names = [
        "<bos>",
        "TIME_0",
        "NOTE_72",
        "VOICE_0",
        "DUR_24",
        "TIME_0",
        "NOTE_48",
        "VOICE_1",
        "DUR_24",
        "TIME_24",
    ]
    for token in names:
        before.feed(TOKEN_TO_ID[token])
    for token in [*names, "NOTE_50", "VOICE_1", "DUR_24", "TIME_0"]:
        after.feed(TOKEN_TO_ID[token])
    idiom = Idiom()
    assert np.array_equal(idiom.opinion(before, 2)[0], idiom.opinion(after, 2)[0])
    higher = Progress()
    for token in [*names, "NOTE_74", "VOICE_0", "DUR_24", "TIME_0"]:
        higher.feed(TOKEN_TO_ID[token])
    assert not np.array_equal(idiom.opinion(before, 2)[1], idiom.opinion(higher, 2)[1])
