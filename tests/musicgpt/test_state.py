from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_musicgpt import stepping_musicgpt
from musicgpt.state import NEVER, NO_PITCH, State, read_notes
from tests.musicgpt.states import state_after
from tokenization import Meter, Score, decode, encode
from tokenization.score import DURATION, ONSET, PITCH, VOICE
from tokenization.vocabulary import TOKEN_TO_ID, TYPES


@st.composite
def scores(draw) -> Score:
    durations = st.sampled_from([3, 6, 12, 24, 96])
    note = st.tuples(st.integers(0, 1500), durations, st.integers(28, 91), st.integers(0, 4))
    rows = draw(st.lists(note, min_size=1, max_size=60))
    meters = [Meter(0, 4, 4)] + ([Meter(96 * draw(st.integers(1, 6)), 3, 8)] if draw(st.booleans()) else [])
    return Score(rows, meters=meters, key=draw(st.sampled_from(["C major", "A minor"])))


@given(scores())
@settings(max_examples=60, deadline=None)
def test_reading_token_by_token_gives_what_decode_gives(score):
    ids = encode(score)
    assert decode(ids).score.notes == read_notes(state_after(), ids.tolist())


def test_bars_and_ticks_are_what_the_score_has():
    rows = [(18 * i, 30, 60 + i % 7, i % 4) for i in range(60)]
    score = Score(rows, meters=[Meter(0, 3, 4), Meter(432, 6, 8), Meter(576, 4, 4)]).quantised()
    ids = encode(score)[:-1].tolist()
    state = state_after(ids, 2)
    assert state.num_notes.tolist() == [60, 60]
    now = int(state.ticks[0])
    assert now == int(score.array[-1, ONSET])
    lines = [int(line) for line in score.bar_lines() if line <= now]
    assert (now - int(state.bar_position[0]), int(state.bar[0])) == (lines[-1], len(lines) - 1)
    assert state.tokens == len(ids)
    assert state.onset[0, 0] == max(onset for onset, *_, voice in score.array.tolist() if voice == 0)
    np.testing.assert_array_equal(state.notes[1, :60], score.array)


def test_rows_at_different_tokens_are_each_what_they_are_alone(wandering):
    """Two pieces whose tokens do not stand in step."""
    pieces = [encode(wandering(seed)).tolist()[:200] for seed in (1, 2)]
    pieces[1] = [*pieces[1][:3], *pieces[1][:-3]]
    together = state_after((), 2)
    together.follow(np.array(pieces))
    for row, ids in enumerate(pieces):
        alone = state_after(ids)
        fields = "ticks bar bar_position kind pitch end pitch_before line bar_tokens"
        for name in fields.split():
            np.testing.assert_array_equal(getattr(together, name)[row], getattr(alone, name)[0], err_msg=name)


def test_a_voice_keeps_its_last_notes():
    """The upper one of notes that it strikes together counts for its line, the last one for what sounds."""
    names = "<bos> TIME_0 NOTE_60 VOICE_0 DUR_12 TIME_12 NOTE_64 VOICE_0 DUR_12 TIME_0 NOTE_62 VOICE_0 DUR_6"
    state = state_after([TOKEN_TO_ID[name] for name in names.split()])
    assert state.line[0, 0, -2:].tolist() == [[0, 12, 60], [12, 12, 64]] and state.line_length[0, 0] == 2
    assert (state.pitch[0, 0], state.onset[0, 0], state.end[0, 0]) == (62, 12, 18)
    assert (state.pitch_before[0, 0], state.end_before[0, 0]) == (60, 12)


def test_a_note_that_stands_twice_is_read_once():
    names = "TIME_0 NOTE_60 VOICE_0 DUR_12 TIME_0 NOTE_60 VOICE_0 DUR_24"
    names += " TIME_0 NOTE_60 VOICE_1 DUR_12 TIME_12 NOTE_60 VOICE_0 DUR_12"
    notes = read_notes(state_after(), [TOKEN_TO_ID[name] for name in names.split()])
    assert [tuple(note) for note in notes] == [(0, 12, 60, 0), (0, 12, 60, 1), (12, 12, 60, 0)]


def test_what_rules_see_is_the_state_of_the_model():
    """They know it by the names and numbers that `musicgpt.state` gives."""
    state, model = state_after(), stepping_musicgpt
    assert all(hasattr(state, name) for name in State.__annotations__)
    assert model.KINDS == TYPES and (model.NO_PITCH, model.NEVER) == (NO_PITCH, NEVER)
    assert (model.ONSET, model.DURATION, model.PITCH, model.VOICE) == (ONSET, DURATION, PITCH, VOICE)
