"""Scores to ids and back, the grammar, and what happens to ids that break it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenization.samples import LEGAL_SCORES, SCORES
from tokenization.codec import SUCCESSORS, decode, encode, first_error, prefix_ids, token_errors
from tokenization.errors import ScoreError, TokenError
from tokenization.key import Key
from tokenization.score import Score
from tokenization.vocabulary import (
    EOS_ID,
    OFFSET,
    PITCH_MAX,
    PITCH_MIN,
    TOKEN_TO_ID,
    TOKENS,
    TYPES,
    VOCAB_SIZE,
)


def ids_of(text: str) -> list[int]:
    return [TOKEN_TO_ID[token] for token in text.split()]


LEGAL = "<bos> MODE_minor METER_3/4 TIME_0 NOTE_57 VOICE_0 DUR_24 TIME_24 NOTE_60 VOICE_1 DUR_12 TIME_0 <eos>"


def test_vocabulary_is_the_contract():
    assert VOCAB_SIZE == 150
    sizes = " ".join(f"{kind} {sum(token.type == kind for token in TOKENS)}" for kind in TYPES)
    assert sizes == "SPECIAL 4 MODE 2 FORM 2 METER 12 VOICES 4 TEMPO 3 NOTE 64 VOICE 5 DUR 32 TIME 22"
    assert [token.id for token in TOKENS] == list(range(150)) == sorted(TOKEN_TO_ID.values())
    assert ids_of("<pad> <bos> <eos> <unk> NOTE_28 VOICE_0 DUR_2 TIME_0") == [0, 1, 2, 3, 27, 91, 96, 128]


@settings(max_examples=120)
@given(SCORES)
def test_decoding_gives_exactly_the_quantised_score(score: Score):
    ids = encode(score)
    quantised, changes = score.quantised_with_changes()
    assert first_error(ids) is None
    decoded = decode(ids)
    assert decoded.score == quantised and decoded.dropped == 0
    assert quantised.quantised() == quantised
    errors = token_errors(ids)
    assert (errors["type"], errors["time"], errors["duplicate"]) == (0, 0, 0)
    assert len(score) - changes.duplicates == len(quantised)


@settings(max_examples=100)
@given(LEGAL_SCORES)
def test_legal_notes_keep_everything(score: Score):
    quantised, changes = score.quantised_with_changes()
    assert changes.pitches == changes.durations == 0
    if not changes.silences and not changes.duplicates:
        assert np.array_equal(quantised.array, score.normalised().array)


def test_pitches_outside_are_moved_by_octaves_and_counted():
    score = Score([(0, 24, 27, 0), (24, 24, 92, 0), (48, 24, 60, 0), (72, 24, 3, 0)])
    quantised, changes = score.quantised_with_changes()
    assert quantised.array[:, 2].tolist() == [39, 80, 60, 39] and changes.pitches == 3
    assert "pitches moved by octaves" in changes.describe()
    assert ((quantised.array[:, 2] >= PITCH_MIN) & (quantised.array[:, 2] <= PITCH_MAX)).all()


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("MODE_minor TIME_0", 0, "must be <bos>"),
        ("<bos> NOTE_60", 1, "after <bos> comes MODE"),
        ("<bos> FORM_fugue MODE_major", 2, "MODE_major"),
        ("<bos> TIME_0 NOTE_60 DUR_24", 3, "comes VOICE"),
        ("<bos> TIME_0 NOTE_60 VOICE_0 DUR_24 NOTE_62", 5, "comes TIME"),
        ("<bos> TIME_24 TIME_0 NOTE_60", 2, "TIME_0"),
        ("<bos> TIME_96 TIME_96 TIME_96 TIME_96 TIME_96", 5, "TIME_96"),
        ("<bos> TIME_0 <eos>", 2, "<eos>"),
        ("<bos> TIME_24 METER_3/4 NOTE_60", 2, "METER"),
        ("<bos> TIME_0 NOTE_60 VOICE_0 DUR_24 TIME_0 METER_3/4", 6, "METER"),
        ("<bos> TIME_0 NOTE_60 VOICE_0 DUR_24 TIME_24 METER_3/4 TIME_24", 7, "TIME"),
        ("<bos> TIME_0 <pad> NOTE_60", 2, "<pad>"),
        ("<bos> TIME_0 <unk>", 2, "<unk>"),
    ],
)
def test_strict_decoding_names_the_first_illegal_token(text: str, position: int, words: str):
    with pytest.raises(TokenError, match=f"Token {position} ") as caught:
        decode(ids_of(text))
    assert caught.value.position == position and words in str(caught.value)
    assert token_errors(ids_of(text))["share"] > 0


def test_ids_outside_the_vocabulary_and_what_follows_the_end():
    with pytest.raises(TokenError, match="outside the vocabulary of 150"):
        decode([1, 150])
    with pytest.raises(TokenError, match="must be <bos>"):
        decode([])
    legal = ids_of(LEGAL)
    assert decode([*legal, 999, 3, 57]).score == decode(legal).score
    padded = [0, 0, *legal, 0, 0]
    assert decode(padded).score == decode(legal).score
    cut = [0, *legal[:7], 0]  # a piece cut inside its first note, padded on both sides
    assert len(decode(cut).score) == 1 and len(decode(cut[:6]).score) == 0


def test_lenient_decoding_skips_to_the_next_legal_note_and_says_so():
    text = (
        "<bos> MODE_minor NOTE_50 TIME_12 NOTE_60 VOICE_0 DUR_24 TIME_12 VOICE_1 NOTE_61 VOICE_0 TIME_12"
        " <unk> NOTE_62 VOICE_1 DUR_12 TIME_0 <eos> NOTE_63"
    )
    decoded = decode(ids_of(text), strict=False)
    # steps are kept: the music stays in time
    assert decoded.score.array.tolist() == [[12, 24, 60, 0], [36, 12, 62, 1]]
    assert decoded.dropped == 5 and decoded.first_error.position == 2
    assert "5 tokens dropped" in decoded.score.notices[0] and "Token 2 is NOTE_50" in decoded.score.notices[0]


@settings(max_examples=150)
@given(
    st.lists(st.one_of(st.integers(0, 149), st.integers(-3, 200)), max_size=40),
    SCORES,
    st.integers(0, 200),
    st.integers(0, 5),
)
def test_lenient_decoding_takes_anything(noise: list[int], score: Score, at: int, lost: int):
    ids = encode(score).tolist()
    ids[at : at + lost] = noise
    decoded = decode(ids, strict=False)
    error = first_error(ids)
    assert (decoded.first_error is None) == (error is None)
    if error is None:
        assert decoded.dropped == 0
    if len(decoded.score):
        assert decode(encode(decoded.score)).score == decoded.score.quantised()


def test_token_errors_count_by_kind():
    twice = "<bos> TIME_0 NOTE_60 VOICE_0 DUR_24 TIME_0 NOTE_60 VOICE_0 DUR_12 TIME_0 <eos>"
    assert token_errors(ids_of(twice))["duplicate"] == 1
    upwards = "<bos> TIME_0 NOTE_48 VOICE_1 DUR_24 TIME_0 NOTE_60 VOICE_0 DUR_24 TIME_0 <eos>"
    one_late = {"type": 0, "time": 1, "duplicate": 0, "tokens": 11, "share": 1 / 11}
    assert token_errors(ids_of(upwards)) == one_late
    both = token_errors(ids_of("<bos> TIME_24 TIME_0 NOTE_48 NOTE_50"))
    assert (both["time"], both["type"]) == (1, 1)
    assert token_errors([])["share"] == 0.0


def test_successors_agree_with_the_table():
    for token in TOKENS:
        after = {
            TOKENS[i].type if TOKENS[i].type != "SPECIAL" else TOKENS[i].text
            for i in np.flatnonzero(SUCCESSORS[token.id])
        }
        assert after <= {*token.followed_by, "<pad>", "<bos>"}
    assert not SUCCESSORS[OFFSET["TIME"], OFFSET["TIME"] + 1] and SUCCESSORS[OFFSET["TIME"], EOS_ID]


def test_prefix():
    assert prefix_ids(mode="minor", form="fugue", meter="3/4", voices=3, tempo="fast") == ids_of(
        "<bos> MODE_minor FORM_fugue METER_3/4 VOICES_3 TEMPO_fast"
    )
    with pytest.raises(ScoreError, match="Unknown meter '5/4': it must be one of 2/4"):
        prefix_ids(meter="5/4")
    with pytest.raises(ScoreError, match="without notes"):
        encode(Score([]))


NO_NOTES = [
    [(0.5, 24, 60, 0)], [(0, float("nan"), 60, 0)], [("a", 1, 2, 3)], [(0, 24, 60, 0), (1,)], [(0, 24, 60)],
    [(0, 10**30, 60, 0)], [(0, 24, 60, 5)], [None],
]  # fmt: skip


@pytest.mark.parametrize("notes", NO_NOTES, ids=str)
def test_notes_that_are_none_are_refused_in_words(notes: list):
    with pytest.raises(ScoreError, match=r"\.$"):
        Score(notes)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"meters": [[0, 4]]}, "rows of onset"),
        ({"meters": [[0, 4.5, 4]]}, "whole numbers"),
        ({"meters": 4}, "rows of onset"),
        ({"tempo": "120"}, "tempo '120'"),
        ({"title": 5}, "title must be text"),
        ({"transposition": "up"}, "a whole number"),
        ({"info": ["a"]}, "a dict of texts"),
        ({"original_meters": [[1]]}, "rows of onset"),
        ({"notes": {"onset": [0.5], "duration": [24], "pitch": [60], "voice": [0]}}, "whole numbers"),
    ],
)
def test_a_dict_that_is_no_score_is_refused_in_words(field: dict, words: str):
    with pytest.raises(ScoreError, match=words):
        Score.from_dict({**Score([(0, 24, 60, 0)]).to_dict(), **field})


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (None, "flat sequence"),
        ("text", "flat sequence"),
        ([1.5], "must be integers, not float64"),
        ([10**30], "must be integers"),
        ([[1, 4, 10, 128]], r"flat sequence of ids; this has shape \(1, 4\)"),
        (5, "flat sequence"),
        ([None], "must be integers"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_row_of_ids_is_refused_in_words(ids, words: str, strict: bool):
    with pytest.raises(TokenError, match=words):
        decode(ids, strict=strict)


def test_whole_floats_are_notes_and_impossible_tempi_are_none():
    assert Score(np.array([[0.0, 24.0, 60.0, 0.0]])) == Score([(0, 24, 60, 0)])
    for tempo in (0, -5.0, float("nan"), float("inf")):
        with pytest.raises(ScoreError, match="Unknown tempo"):
            Score([(0, 24, 60, 0)], tempo=tempo)


PEOPLE = {"Es dur": "Eb major", "as moll": "Ab minor", "fis moll": "F# minor", "es": "Eb minor"}
PEOPLE |= {"Cs major": "C# major", "Bbm": "Bb minor"}


@pytest.mark.parametrize(("text", "name"), PEOPLE.items())
def test_keys_as_people_write_them(text: str, name: str):
    assert str(Key.parse(text)) == name


def test_every_key_signature_has_a_key_of_each_mode():
    majors = [Key.of_signature(fifths, "major").tonic for fifths in range(-7, 8)]
    minors = [Key.of_signature(fifths, "minor") for fifths in range(-7, 8)]
    assert " ".join(majors) == "Cb Gb Db Ab Eb Bb F C G D A E B F# C#"
    assert " ".join(key.tonic for key in minors) == "Ab Eb Bb F C G D A E B F# C# G# D# A#"
    assert [key.fifths for key in minors] == list(range(-7, 8))
