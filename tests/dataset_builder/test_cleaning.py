from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.cleaning import (
    clean,
    cut_overlaps,
    drop_duplicates,
    normalise,
    order_voices,
    settle_key,
    tempo_class,
)
from dataset_builder.ornaments import collapse_trills
from dataset_builder.pieces import Piece
from dataset_builder.repeats import fold_repeats
from tokenization.key import Key
from tokenization.reading import read_score
from tokenization.score import Note, Score

notes_strategy = st.lists(
    st.builds(Note, st.integers(0, 200), st.integers(1, 60), st.integers(40, 60), st.integers(0, 4)),
    min_size=1,
    max_size=40,
)


def piece(**fields) -> Piece:
    return Piece(id="x", path=Path("x.mid"), **fields)


def test_voices_are_numbered_from_the_top_without_gaps():
    score = Score([Note(0, 24, 50, 0), Note(0, 24, 70, 2), Note(0, 24, 60, 4), Note(24, 24, 71, 2)])
    ordered, changed = order_voices(score)
    assert {(note.pitch, note.voice) for note in ordered.notes} == {(50, 2), (70, 0), (60, 1), (71, 0)}
    assert changed == 4
    assert order_voices(ordered) == (ordered, 0)


def test_inferred_voices_are_counted():
    score = Score(
        [Note(0, 24, 60, 0), Note(24, 24, 62, 0)], notices=("voices inferred (1 from 3 tracks or layers)",)
    )
    assert order_voices(score)[1] == 2


@settings(max_examples=60, deadline=None)
@given(notes_strategy)
def test_note_stages_leave_what_an_instrument_can_play(notes):
    """After the stages no voice has a pitch twice at once, nothing is longer than before, and a second pass
    changes nothing.
    """
    score = Score(notes)
    single, dropped = drop_duplicates(score)
    cut, shortened = cut_overlaps(single)
    cut = order_voices(cut)[0]
    assert len(score) - dropped == len(single) == len(cut)
    assert sorted(cut.array[:, [0, 2]].tolist()) == sorted(single.array[:, [0, 2]].tolist())
    assert single.array[:, 1].sum() - cut.array[:, 1].sum() >= shortened
    for voice in range(5):
        for pitch in range(40, 61):
            part = cut.array[(cut.array[:, 3] == voice) & (cut.array[:, 2] == pitch)]
            assert (part[:-1, 0] + part[:-1, 1] <= part[1:, 0]).all()
    assert drop_duplicates(cut)[1] == cut_overlaps(cut)[1] == order_voices(cut)[1] == 0


def test_duplicates_keep_the_longest_and_unisons_of_two_voices():
    score = Score([Note(0, 12, 60, 0), Note(0, 24, 60, 0), Note(0, 24, 60, 1)])
    cleaned, dropped = drop_duplicates(score)
    assert dropped == 1
    assert cleaned.notes == [Note(0, 24, 60, 0), Note(0, 24, 60, 1)]


def test_overlaps_are_cut_only_in_the_same_voice():
    score = Score([Note(0, 48, 60, 0), Note(24, 24, 60, 0), Note(0, 48, 64, 0), Note(0, 48, 60, 1)])
    cut, count = cut_overlaps(score)
    assert count == 1
    assert Note(0, 24, 60, 0) in cut.notes
    assert Note(0, 48, 60, 1) in cut.notes
    assert Note(0, 48, 64, 0) in cut.notes


def test_notes_beside_the_grid_are_counted(tmp_path, new_score, new_table):
    odd = {"midi": 60, "voice": "alto", "bar": 1, "time_signature": "4/4", "bar_pos_q": "0"}
    extra = (
        {**odd, "onset_q": "1/7", "dur_q": "1", "grace": 0},
        {**odd, "onset_q": "1/5", "dur_q": "1", "grace": 1},
        {**odd, "onset_q": "1/24", "dur_q": "1/96", "grace": 0},
    )
    path = new_table(tmp_path / "x.tsv", new_score(1), extra)
    changes = clean(read_score(path), Piece(id="x", path=path)).changes
    assert changes["grid"] == 2
    assert changes["grace_notes"] == 1


def test_performed_midi_is_counted_too(tmp_path):
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(initial_tempo=100, resolution=480)
    piano = pretty_midi.Instrument(0)
    quarter = 0.6
    for i, off in enumerate((0, 0, 0.013, 0, -0.007)):
        piano.notes.append(pretty_midi.Note(80, 60 + i, quarter * (i + 1) + off, quarter * (i + 2)))
    midi.instruments.append(piano)
    midi.write(str(tmp_path / "x.mid"))
    score = read_score(tmp_path / "x.mid")
    assert clean(score, piece()).changes["grid"] == 2
    assert "2 notes moved onto the grid of 24 ticks a quarter" in score.notices


@pytest.mark.parametrize("tonic", ["C", "Eb", "F#", "A"])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_every_key_comes_to_c_major_or_a_minor_and_back(new_score, tonic, mode):
    key = Key(tonic, mode)
    score = new_score(3, key.pitch_class if key.pitch_class < 7 else key.pitch_class - 12, mode == "minor")
    settled, _ = settle_key(score, piece(tonic=tonic, mode=mode))
    moved, count = normalise(settled)
    assert str(moved.key) == ("C major" if mode == "major" else "A minor")
    assert -6 <= moved.transposition <= 5
    assert count == (len(score) if moved.transposition else 0)
    assert moved.original_key == key
    back = moved.restored()
    assert back.key == key
    assert np.array_equal(back.array, score.array)


def test_tempo_class_follows_the_pace():
    fast, slow = (Score([Note(i * step, step, 60, 0) for i in range(40)]) for step in (3, 48))
    assert tempo_class(fast)[0].tempo_class == "fast"
    assert tempo_class(slow)[0].tempo_class == "slow"
    assert tempo_class(slow.replace(tempo_class="moderate")) == (slow.replace(tempo_class="moderate"), 0)


def test_a_trill_becomes_the_note_it_adorns():
    trill = [Note(96 + 3 * i, 3, 72 + 2 * (i % 2), 0) for i in range(8)]
    around = [Note(0, 96, 71, 0), Note(120, 72, 71, 0), Note(96, 96, 60, 1)]
    folded, dropped = collapse_trills(Score(around + trill))
    assert dropped == 7
    assert sorted(folded.notes) == sorted([*around, Note(96, 24, 72, 0)])
    # The notes of a trill may have been dealt out to two voices.
    dealt = [note._replace(voice=i % 2) for i, note in enumerate(trill)]
    assert collapse_trills(Score(around + dealt))[1] == 7


@pytest.mark.parametrize(
    "notes",
    [
        [Note(3 * i, 3, 72 + 2 * (i % 2), 0) for i in range(3)],  # too few
        [Note(6 * i, 6, 72 + 2 * (i % 2), 0) for i in range(8)],  # sixteenths
        [Note(3 * i, 3, 72 + 4 * (i % 2), 0) for i in range(8)],  # a third apart
        [Note(3 * i, 3, 72 + i, 0) for i in range(8)],  # a scale
        [Note(4 * i, 3, 72 + 2 * (i % 2), 0) for i in range(8)],  # gaps
    ],
)
def test_what_is_no_trill_stays(notes):
    score = Score(notes)
    assert collapse_trills(score) == (score, 0)


@pytest.mark.parametrize("pickup", [0, 72])
def test_repeats_are_folded(new_score, pickup):
    one, two = (new_score(seed, bars=9).array for seed in (1, 2))
    length = 9 * 96
    passes = [one, one + [length, 0, 0, 0], two + [2 * length, 0, 0, 0], two + [3 * length, 0, 0, 0]]
    folded, dropped = fold_repeats(Score(np.concatenate(passes) + [pickup, 0, 0, 0]))
    assert dropped == len(one) + len(two)
    assert folded == Score(np.concatenate([one, two + [length, 0, 0, 0]]) + [pickup, 0, 0, 0])
    assert fold_repeats(folded) == (folded, 0)


def test_folding_is_only_for_files_that_write_out(new_score):
    one = new_score(1, bars=9).array
    score = Score(np.concatenate([one, one + [9 * 96, 0, 0, 0]]), key="C major")
    assert len(clean(score, piece()).score) == 2 * len(one)
    cleaned = clean(score, piece(written_out=True))
    assert (len(cleaned.score), cleaned.changes["repeats"]) == (len(one), len(one))


def test_only_the_bars_of_the_piece(new_score):
    score = new_score(5).replace(key=Key("C", "major"))
    cleaned = clean(score, piece(only_bars=2))
    assert np.array_equal(cleaned.score.array[:, 0], score.array[score.array[:, 0] < 192, 0])
    assert cleaned.changes["excerpt"] == len(score) - len(cleaned.score) > 0
