"""Crops, windows, augmentation and batches: what the model is given is always a legal stretch of a piece."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.codec import decode, encode, first_error
from tokenization.score import DURATION, ONSET, PITCH, VOICE, Meter, Score
from tokenization.vocabulary import BOS_ID, EOS_ID, TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID
from training.arguments import DataArguments, parse_arguments
from training.augmentation import (
    Stage,
    augment,
    read_stages,
    rescaled,
    stage_at,
    with_octave,
    with_pace,
    with_pitches,
    without_voice,
)
from training.batches import collate, crops, pack, plan_epoch
from training.crops import (
    cut_body,
    cut_prefix,
    cut_segment,
    drop_conditions,
    meter_at,
    notes_in,
    tokens_by_note,
    type_of_positions,
)
from training.errors import TrainingError
from training.evaluation import windows

from .conftest import make_pieces, random_score

SCORES = st.builds(
    lambda seed, notes, meters: random_score(np.random.default_rng(seed), notes, meters=meters).quantised(),
    st.integers(0, 2**32),
    st.integers(2, 90),
    st.sampled_from([("4/4",), ("3/4",), ("12/8", "4/4"), ("3/8", "2/2", "6/16")]),
)


@settings(max_examples=60, deadline=None)
@given(SCORES, st.data())
def test_a_crop_is_the_piece_moved_by_whole_bars(score: Score, data: st.DataObject):
    start = data.draw(st.integers(0, len(score) - 1))
    stop = data.draw(st.integers(start + 1, len(score)))
    ids = np.concatenate([cut_prefix(score, start), cut_body(score, start, stop)])
    assert first_error(ids) is None
    found = decode(ids).score
    onset = int(score.array[start, ONSET])
    meter = meter_at(score, onset)
    shift = onset - int(found.array[0, ONSET])
    assert (shift - meter.onset) % meter.bar_ticks == 0
    if start:
        assert found.array[0, ONSET] == (onset - meter.onset) % meter.bar_ticks
    else:
        assert shift == 0
    expected = score.array[start:stop].copy()
    expected[:, ONSET] -= shift
    np.testing.assert_array_equal(found.array, expected)
    assert found.meters[0].name == meter.name
    assert (ids[-1] == EOS_ID) == (stop == len(score))
    # What leads to the next note is there although the next note is not.
    if stop < len(score):
        is_time = TYPE_OF_ID[ids] == TYPE_INDEX["TIME"]
        assert is_time[-1] or TYPE_OF_ID[ids[-1]] == TYPE_INDEX["METER"]
        total = sum(int(t) for t in _time_values(ids))
        assert total == score.array[stop, ONSET] - shift


def _time_values(ids: np.ndarray) -> np.ndarray:
    from tokenization.vocabulary import VALUE_OF_ID

    return VALUE_OF_ID[ids[TYPE_OF_ID[ids] == TYPE_INDEX["TIME"]]]


def test_the_whole_piece_is_what_the_tokenizer_encodes():
    for piece in make_pieces(4):
        whole = np.concatenate([cut_prefix(piece.score, 0), cut_body(piece.score, 0, piece.num_notes)])
        np.testing.assert_array_equal(whole, encode(piece.score))


@settings(max_examples=40, deadline=None)
@given(SCORES, st.integers(64, 200))
def test_windows_count_every_note_and_token_once(score: Score, context: int):
    from training.crops import Piece

    piece = Piece("p", score, "1")
    found = list(windows(piece, 0, context))
    whole = encode(score)
    _, term = type_of_positions(whole)
    for place in range(4):
        assert sum(int((w.terms == place).sum()) for w in found) == int((term == place).sum())
    assert all(len(w.ids) <= context and first_error(w.ids) is None for w in found)
    if len(whole) > context and tokens_by_note(score).max() == 4:
        fit = notes_in(context) - 8
        # Each note after the first window is counted with at least a stride's worth of notes before it, or
        # all there are.
        for window in found[1:]:
            note, _ = type_of_positions(window.ids)
            assert note[window.terms >= 0].min() >= fit - max(1, int(fit * 0.5)) - 1


def test_windows_of_long_steps_and_many_meters_fit_and_count_once():
    from training.crops import Piece

    # Every step takes two TIME tokens, and every bar has another meter: six tokens a note.
    meters = [Meter(i * 108, *((4, 4), (3, 4))[i % 2]) for i in range(60)]
    score = Score([(i * 108, 12, 60, 0) for i in range(60)], meters=meters, key="C major").quantised()
    assert tokens_by_note(score)[:-1].min() >= 5
    found = list(windows(Piece("p", score, "1"), 0, 96))
    assert all(len(w.ids) <= 96 for w in found)
    assert sum(int((w.terms == 0).sum()) for w in found) == 60
    with pytest.raises(TrainingError, match="context of 8"):
        list(windows(Piece("p", score, "1"), 0, 8))


def test_terms_leave_out_prefix_first_time_meter_and_specials():
    words = "<bos> MODE_major METER_3/4 TIME_96 TIME_30 NOTE_60 VOICE_0 DUR_24 TIME_96 TIME_6 METER_4/4"
    words += " NOTE_62 VOICE_1 DUR_12 TIME_0 <eos>"
    note, term = type_of_positions(np.array([TOKEN_TO_ID[word] for word in words.split()]))
    assert term.tolist() == [-1] * 5 + [0, 1, 2, 3, 3, -1, 0, 1, 2, 3, -1]
    assert note.tolist() == [-1] * 5 + [0, 0, 0, 0, 0, -1, 1, 1, 1, 1, -1]


def test_prefix_dropout_keeps_a_meter_that_the_bars_need():
    rng = np.random.default_rng(0)
    prefix = [BOS_ID] + [
        TOKEN_TO_ID[t] for t in ("MODE_minor", "FORM_fugue", "METER_3/4", "VOICES_3", "TEMPO_slow")
    ]
    assert drop_conditions(prefix, 1.0, rng) == [BOS_ID, TOKEN_TO_ID["METER_3/4"]]
    assert drop_conditions(prefix, 0.0, rng) == prefix
    assert drop_conditions([BOS_ID, TOKEN_TO_ID["METER_4/4"]], 1.0, rng) == [BOS_ID]
    kept = [len(drop_conditions(prefix, 0.5, rng)) for _ in range(400)]
    assert 3.7 < np.mean(kept) < 4.3  # <bos>, METER and half of four


def test_what_a_crop_predicts():
    score = make_pieces(1)[0].score
    prefix = cut_prefix(score, 0)
    first = cut_segment(score, 0, 64, prefix)
    assert not first.predicted[0]
    assert first.predicted[1:].all()
    middle = cut_segment(score, 20, 64, cut_prefix(score, 20))
    place = int((TYPE_OF_ID[middle.ids] == TYPE_INDEX["NOTE"]).argmax())
    assert not middle.predicted[len(prefix) : place].any()
    assert middle.predicted[place:].all()
    heard = cut_segment(score, 20, 64, cut_prefix(score, 20), context_notes=3)
    begins = len(cut_prefix(score, 20))
    assert heard.predicted[1:begins].all()
    assert begins + int(heard.predicted[begins:].argmax()) == int(
        np.flatnonzero(TYPE_OF_ID[heard.ids] == TYPE_INDEX["NOTE"])[3]
    )
    assert (collate([[heard]]).terms == 0).sum() == (TYPE_OF_ID[heard.ids] == TYPE_INDEX["NOTE"]).sum() - 3
    assert cut_segment(score, 0, 64, prefix, context_notes=3).predicted[1:].all()
    assert not cut_segment(score, 0, 64, prefix, predict_prefix=False).predicted[:place].any()


# -- augmentation
# ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(SCORES, st.integers(0, 2**32))
def test_augmented_pieces_stay_what_the_tokens_hold(score: Score, seed: int):
    from training.crops import Piece

    stage = Stage(transpose=3, octave=0.5, tempo=0.3, rescale=0.5, drop_voice=0.5)
    changed, _ = augment(Piece("p", score, "1"), stage, np.random.default_rng(seed))
    assert changed.quantised() == changed
    assert decode(encode(changed)).score == changed


def test_each_augmentation_does_what_it_says():
    score = Score(
        [(0, 24, 72, 0), (0, 24, 60, 1), (0, 48, 48, 2), (24, 24, 74, 0)],
        meters=[Meter(0, 2, 4)],
        key="C major",
        tempo=80.0,
        form="fugue",
    ).quantised()
    np.testing.assert_array_equal(with_pitches(score, 2).array[:, PITCH], score.array[:, PITCH] + 2)
    assert with_pitches(score.replace(notes=[(0, 24, 91, 0)]), 2).array[0, PITCH] == 81
    np.testing.assert_array_equal(with_octave(score, up=True).array[:, PITCH], score.array[:, PITCH] + 12)
    assert with_octave(score.replace(notes=[(0, 24, 85, 0)]), up=True).array[0, PITCH] == 85
    assert without_voice(score, 1).array[:, VOICE].tolist() == [0, 1, 0]
    assert without_voice(without_voice(score, 1), 0).num_voices == 2
    double = rescaled(score, double=True)
    assert double.meters[0].name == "2/2"
    np.testing.assert_array_equal(double.array[:, [ONSET, DURATION]], 2 * score.array[:, [ONSET, DURATION]])
    np.testing.assert_array_equal(rescaled(double, double=False).array, score.array)
    wide = score.replace(meters=[Meter(0, 4, 4)])
    # There is no 4/2: a bar becomes two. There is no 18/8 either, and two bars of 9/8 would have the wrong
    # beats.
    assert rescaled(wide, double=True).meters == (Meter(0, 4, 4),)
    np.testing.assert_array_equal(rescaled(wide, double=True).array, double.array)
    assert rescaled(wide, double=False).meters == (Meter(0, 2, 4),)
    nine = score.replace(meters=[Meter(0, 9, 8)])
    assert rescaled(nine, double=True) is nine
    odd = score.replace(notes=[(0, 3, 60, 0)])
    assert rescaled(odd, double=False) is odd


def test_a_stage_changes_the_share_of_pieces_that_it_says():
    stage = Stage(share=0.5, transpose=1, transpose_share=1.0)
    pieces = make_pieces(60, notes=20)
    drawn = [augment(piece, stage, np.random.default_rng(i))[0] for i, piece in enumerate(pieces)]
    changed = sum(score is not piece.score for score, piece in zip(drawn, pieces, strict=True))
    assert 20 <= changed <= 40


def test_the_recipe_of_the_original_has_its_three_stages():
    arguments = parse_arguments(["--config", "seed"])
    stages = read_stages(arguments.augmentation.stages)
    at = [stage_at(stages, epoch / arguments.fit.epochs) for epoch in range(arguments.fit.epochs)]
    assert set(at[:10]) == {Stage(until=0.1)}
    assert set(at[10:30]) == {Stage(until=0.3, share=0.5, transpose=1, transpose_share=1.0, tempo=0.05)}
    assert set(at[30:]) == {Stage(until=1.0, share=0.8, transpose=2, transpose_share=1.0, tempo=0.15)}


def test_tempo_scaling_moves_the_tempo_token_alone():
    pieces = make_pieces(30, notes=40)
    stage = Stage(tempo=0.5)
    changed = 0
    for number, piece in enumerate(pieces):
        # Declared so fast that its surface moves as one between moderate and fast does.
        piece = replace(piece, tempo=80.0 * 5.2 / piece.score.replace(tempo=80.0).pace())
        piece = replace(piece, score=with_pace(piece.score, piece.tempo))
        score, _ = augment(piece, stage, np.random.default_rng(number))
        before, after = encode(piece.score), encode(score)
        assert len(before) == len(after)
        differ = np.flatnonzero(before != after)
        assert all(TYPE_OF_ID[before[differ]] == TYPE_INDEX["TEMPO"])
        changed += len(differ)
    assert changed > 3


# -- epochs
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", [False, True])
def test_an_epoch_is_the_same_again_and_covers_every_piece(packing):
    pieces = make_pieces(9) + make_pieces(2, seed=1, notes=10)
    data = DataArguments(length=256 if packing else 128, packing=packing)
    stage = Stage(octave=0.5, drop_voice=0.5)
    one, two, other = (plan_epoch(pieces, data, stage, 7, epoch, 4) for epoch in (3, 3, 4))
    ids = [[s.ids.tolist() for row in rows for s in row] for rows in one]
    assert ids == [[s.ids.tolist() for row in rows for s in row] for rows in two]
    assert ids != [[s.ids.tolist() for row in rows for s in row] for rows in other]
    sizes = {len(rows) for rows in one}
    assert max(sizes) - min(sizes) <= 1
    segments = [s for rows in one for row in rows for s in row]
    # voices may be dropped
    assert len(segments) >= sum(-(-p.num_notes * 4 // data.length) for p in pieces) * 0.8
    assert all(
        sum(len(s) for s in row) <= data.length and first_error(s.ids) is None
        for rows in one
        for row in rows
        for s in row
    )
    if packing:
        assert any(len(row) > 1 for rows in one for row in rows)


@pytest.mark.parametrize(("kept", "share"), [("kept", 1.0), ("left out", 2 / 7)])
def test_the_mode_of_a_transposed_piece(kept, share):
    """Of seven transpositions by -3 to 3 one is none, and one piece in six stays as it is for another reason:
    about 2 in 7 keep their MODE.
    """
    data = DataArguments(length=128, condition_dropout=0.0, mode_of_transposed=kept)
    plan = plan_epoch(make_pieces(60), data, Stage(transpose=3, transpose_share=5 / 6), 0, 0, 4)
    prefixes = [TYPE_OF_ID[s.ids[:8]].tolist() for rows in plan for row in rows for s in row]
    found = np.mean([TYPE_INDEX["MODE"] in prefix for prefix in prefixes])
    assert found == pytest.approx(share, abs=0.12)


def test_crops_cover_the_beginning_and_the_end():
    piece = make_pieces(1, notes=300)[0]
    data = DataArguments(length=128, condition_dropout=0.0)
    starts, ends = 0, 0
    for epoch in range(25):
        found = crops(piece.score, data, np.random.default_rng(epoch))
        starts += any(s.ids[:8].tolist() == encode(piece.score)[:8].tolist() for s in found)
        ends += any(s.ids[-1] == EOS_ID for s in found)
    assert starts > 3
    assert ends > 3


def test_packing_puts_every_segment_into_one_row():
    pieces = make_pieces(12, notes=10)
    segments = [cut_segment(p.score, 0, 128, cut_prefix(p.score, 0)) for p in pieces]
    rows = pack(segments, 256)
    assert sorted(id(s) for row in rows for s in row) == sorted(id(s) for s in segments)
    assert len(rows) < len(segments)
    batch = collate(rows)
    assert batch.input_ids.shape == batch.targets.shape == (len(rows), batch.input_ids.shape[1])
    begins = batch.input_ids == BOS_ID
    assert (batch.position_ids[begins] == 0).all()
    assert (batch.targets[begins] == -100).all()
    assert batch.num_targets == sum(int(s.predicted.sum()) for s in segments)
    assert (batch.terms == 0).sum() == sum(
        int((TYPE_OF_ID[s.ids] == TYPE_INDEX["NOTE"]).sum()) for s in segments
    )
