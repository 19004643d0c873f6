from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from musicgpt.note_reader import NoteReader
from tokenization import Meter, Score, decode, encode
from tokenization.score import ONSET, PITCH
from tokenization.vocabulary import TOKEN_TO_ID


@st.composite
def scores(draw) -> Score:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 1500),
                st.sampled_from([3, 6, 12, 24, 96]),
                st.integers(28, 91),
                st.integers(0, 4),
            ),
            min_size=1,
            max_size=60,
        )
    )
    meters = [Meter(0, 4, 4)] + ([Meter(96 * draw(st.integers(1, 6)), 3, 8)] if draw(st.booleans()) else [])
    return Score(rows, meters=meters, key=draw(st.sampled_from(["C major", "A minor"])))


@given(scores())
@settings(max_examples=60, deadline=None)
def test_reading_token_by_token_gives_what_decode_gives(score):
    ids = encode(score)
    reader = NoteReader()
    notes = reader.feed_all(ids.tolist())
    whole = decode(ids).score
    assert whole.notes == notes
    assert list(whole.meters[1:]) == reader.meters


def test_shift_and_transposition_move_every_note():
    score = Score([(0, 24, 60, 0), (24, 24, 64, 0), (48, 24, 67, 0)], key="C major")
    moved = Score(NoteReader(now=10, transposition=-3, shift=5).feed_all(encode(score).tolist()))
    expected = score.array.copy()
    expected[:, ONSET] += 15
    expected[:, PITCH] -= 3
    np.testing.assert_array_equal(moved.array, expected)


def test_a_note_that_stands_twice_is_read_once():
    names = [
        "TIME_0",
        "NOTE_60",
        "VOICE_0",
        "DUR_12",
        "TIME_0",
        "NOTE_60",
        "VOICE_0",
        "DUR_24",
        "TIME_0",
        "NOTE_60",
        "VOICE_1",
        "DUR_12",
        "TIME_12",
        "NOTE_60",
        "VOICE_0",
        "DUR_12",
    ]
    notes = NoteReader().feed_all([TOKEN_TO_ID[name] for name in names])
    assert [tuple(note) for note in notes] == [(0, 12, 60, 0), (0, 12, 60, 1), (12, 12, 60, 0)]
