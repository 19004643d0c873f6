"""A piece goes on where the model's context is full."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from musicgpt import Composer, Settings
from musicgpt.window import last_bars
from tokenization import Meter, Note, Score, decode, encode, first_error, prefix_ids
from tokenization.vocabulary import EOS_ID, PAD_ID

# What takes long in a piece of few bars is the choice of its beginning.
RULES = ["tonal_plan", "close", "returns", "fugue", "harmony", "counterpoint"]
CONTEXT = 120


@pytest.fixture
def short(composer) -> Composer:
    """A composer whose model reads few tokens."""
    found = Composer(composer.model, rules=RULES)
    found.context = CONTEXT
    return found


def piece(bars: int, *meters: Meter) -> Score:
    """Three notes in each bar of 4/4, of which the first bar's come a quaver late."""
    notes = [
        Note(96 * bar + 12 * (bar == 0) + 24 * k, 12, 60 + (bar + k) % 12, k % 2)
        for bar in range(bars)
        for k in range(3)
    ]
    return Score(notes, meters=meters or [Meter(0, 4, 4)], key="C major", form="fugue")


def test_what_is_kept_is_the_end_from_a_bar_line():
    ids = encode(piece(20)).tolist()[:-1]
    kept = last_bars(ids, 96 * 19, 96, 100)
    assert 100 - 12 - 4 < len(kept) <= 100 and first_error(kept) is None
    prefix = next(i for i in range(len(ids)) if ids[i] != kept[i])
    assert kept[prefix + 1 :] == ids[len(ids) - len(kept) + prefix + 1 :]
    read, all_bars = decode(kept).score.array, decode(ids).score.array
    bars = len(read) // 3
    assert len(read) == 3 * bars and read[0, 0] == 0
    assert (read[:, 0] + 96 * (20 - bars) == all_bars[-len(read) :, 0]).all()
    assert last_bars(ids, 0, 96, 1000)[prefix:] == ids[prefix:]  # an upbeat's rest stays


def test_a_bar_that_is_too_long_is_kept_from_an_onset_on():
    notes = [Note(24 * (k // 40), 24, 40 + k % 40, 0) for k in range(160)]  # 160 tokens an onset
    ids = encode(Score(notes, meters=[Meter(0, 4, 4)])).tolist()[:-1]
    kept = last_bars(ids, 0, 96, 400)
    read = decode(kept).score
    assert len(kept) <= 400 and len(read) == 80 and read.array[0, 0] == 48
    assert len(decode(last_bars(ids, 0, 96, 20)).score) == 1


def test_the_prefix_has_the_meter_in_force():
    changed = piece(10, Meter(0, 4, 4), Meter(96 * 6, 2, 4))
    kept = decode(last_bars(encode(changed).tolist()[:-1], 96 * 6, 48, 1000)).score
    assert [meter.name for meter in kept.meters] == ["2/4"] and len(kept) == 12 and kept.array[0, 0] == 0


def test_a_piece_beyond_the_context_is_the_same_however_it_is_made(short, monkeypatch):
    settings = Settings(form="fugue", voices=2, meter="3/4", max_new_tokens=300, seed=3)
    pieces = short.compose(settings, num=2)
    assert short.model.stock_loop_because is None
    for made in pieces:
        assert made.finished and first_error(made.ids) is None and made.ids.count(EOS_ID) == 1
        assert 2 * CONTEXT < len(made.ids) <= 310 and len(decode(made.ids).score) == len(made.score)
    [alone] = short.compose(settings.with_seed(4))
    assert alone.ids == pieces[1].ids
    stream = short.stream(settings)
    notes = list(stream)
    assert notes == pieces[0].score.notes and stream.composition.ids == pieces[0].ids
    monkeypatch.setattr(short.model, "fast_decoding", False)
    assert [made.ids for made in short.compose(settings, num=2)] == [made.ids for made in pieces]


def test_bars_beyond_the_context_are_met(short):
    counted = []
    pieces = short.compose(
        Settings(form="prelude", voices=2, meter="3/4", bars=24, seed=1),
        num=2,
        progress=lambda done, of: counted.append(done),
    )
    for made in pieces:
        assert len(made.ids) > 1.5 * CONTEXT and abs(len(made.score.bar_lines()) - 1 - 24) <= 1
        assert {note.pitch % 12 for note in made.score.notes[-2:]} <= {0, 4, 7}
    assert counted == sorted(counted) and len({len(made.ids) for made in pieces}) == 2


def test_a_stopped_piece_is_not_taken_up_again(short):
    stop = threading.Event()
    stream = short.stream(Settings(voices=2, max_new_tokens=600, seed=1), stop=stop)
    for _ in stream:
        if stream.num_tokens > CONTEXT + 20:
            stop.set()
    assert CONTEXT < len(stream.composition.ids) < CONTEXT + 60 and not stream.composition.finished


def test_what_the_model_ends_by_itself_ends_at_a_bar_line_of_the_last_window(composer):
    alone = Composer(composer.model, rules=["length"])
    alone.context, wanted = CONTEXT, Settings(voices=2, min_bars=1000, seed=2)
    [asked] = alone.compose(replace(wanted, max_new_tokens=300))
    [unasked] = alone.compose(wanted)
    assert asked.finished and 2 * CONTEXT < len(asked.ids) <= 310
    assert unasked.finished and len(unasked.ids) <= CONTEXT


@pytest.mark.parametrize("rules, length", [(RULES, {"bars": 22}), ([], {"max_new_tokens": 300})])
def test_rows_that_end_in_earlier_windows_stay_ended(short, monkeypatch, rules, length):
    from musicgpt.generate import generate

    monkeypatch.setattr(short.model.config, "max_position_embeddings", CONTEXT)
    ids = torch.tensor([prefix_ids("major", "prelude", "3/4", 2)] * 6)
    made = generate(ids, model=short.model, do_sample=True, rules=rules, seed=1, **length)
    lengths = [row.index(EOS_ID) + 1 for row in made.tolist()]
    assert len({(length - CONTEXT) // (CONTEXT // 2) for length in lengths}) > 1  # windows
    assert max(lengths) == made.shape[1] and all(
        set(row[length:]) <= {PAD_ID} for row, length in zip(made.tolist(), lengths, strict=True)
    )
