"""Of several beginnings the best one is taken, and comes first."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musicgpt import Composer, Settings
from musicgpt.beginnings import CANDIDATES, UntilOver, penalty
from musicgpt.rules.base import FORBIDDEN
from musicgpt.rules.beginning import DISORDERED, Beginning, opening_penalty, subject_penalty
from tokenization.score import Note
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import brief, ids, said, state

# BWV 847 and 846, their subjects in the tokens' keys: A minor and C major.
BACH = {
    "minor": "12:69 18:68 24:69 36:64 48:65 60:69 66:68 72:69 84:71 96:64 108:69 114:68 120:69 132:71"
    " 144:62 150:64 156:65 180:64 186:62 192:60",
    "major": "12:60 24:62 36:64 48:65 66:67 69:65 72:64 84:69 96:62 108:67 126:69 132:67 138:65 144:64"
    " 150:65 156:64 162:62 168:64",
}


def notes(text: str) -> list[Note]:
    """Notes of one voice from `onset:pitch`, each as long as it is to the next."""
    places = [tuple(map(int, word.split(":"))) for word in text.split()]
    ends = [onset for onset, _ in places[1:]] + [places[-1][0] + 12]
    return [Note(onset, end - onset, pitch, 0) for (onset, pitch), end in zip(places, ends, strict=True)]


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_subject_of_bach_s_is_better_than_what_can_be_done_to_it(mode):
    subject = notes(BACH[mode])
    own = subject_penalty(subject, mode, 96)
    assert own < 3.5  # the finder of keys hears the major one in D minor
    slow = [note._replace(onset=4 * note.onset, duration=4 * note.duration) for note in subject]
    even = [Note(12 * i, 12, note.pitch, 0) for i, note in enumerate(subject)]
    still = [note._replace(pitch=subject[0].pitch + i % 2) for i, note in enumerate(subject)]
    wide = [note._replace(pitch=note.pitch + 24 * (i % 2)) for i, note in enumerate(subject)]
    long = [*subject, *(Note(200 + 6 * i, 6, 60 + i % 5, 0) for i in range(20))]
    for worse in (slow, even, still, wide, long):
        assert subject_penalty(worse, mode, 96) > own


def test_a_subject_in_another_key_costs():
    subject = notes(BACH["minor"])
    other = [note._replace(pitch=note.pitch + 1) for note in subject]
    assert subject_penalty(other, "minor", 96) > subject_penalty(subject, "minor", 96) + 2
    assert subject_penalty(subject[:5], "minor", 96) > subject_penalty(subject, "minor", 96)  # too short


def test_a_subject_leaves_room_for_the_voices_above_it():
    subject, three = notes(BACH["major"]), brief(form="fugue", voices=3)
    for octave, voice, is_crowded in ((0, 1, False), (12, 0, False), (12, 2, True)):
        moved = [note._replace(pitch=note.pitch + octave, voice=voice) for note in subject]
        wanted = subject_penalty(moved, "major", 96) + DISORDERED * is_crowded
        assert penalty(three, moved, None) == wanted


def test_an_opening_moves_and_is_in_its_key():
    def bars(*chords: tuple[int, ...], step: int = 6) -> list[Note]:
        bass = [
            Note(96 * k + 48 * half, 48, chord[0], 1) for k, chord in enumerate(chords) for half in (0, 1)
        ]
        broken = [
            Note(96 * k + tick, 12 if tick % 24 == 0 else step, chord[1 + tick // step % (len(chord) - 1)], 0)
            for k, chord in enumerate(chords)
            for tick in range(0, 96, step)
        ]
        return sorted([*bass, *broken], key=lambda note: (note.onset, note.voice))

    tonic, dominant = (48, 60, 64, 67, 72, 76), (43, 62, 65, 67, 71, 74)
    own = opening_penalty(bars(tonic, dominant), "major", 96)
    assert own < opening_penalty(bars(tonic, tonic), "major", 96)  # nothing happens
    assert own < opening_penalty(bars(tonic, dominant, step=48), "major", 96)  # too slow
    sharper = [note._replace(pitch=note.pitch + 6) for note in bars(tonic, dominant)]
    assert own < opening_penalty(sharper, "major", 96)


def test_the_tokens_of_a_beginning_come_first():
    rule = Beginning(brief(rows=2))
    rule.tokens = [[TOKEN_TO_ID["NOTE_60"], TOKEN_TO_ID["VOICE_1"]], []]
    scores = said(rule, state("", 2))
    assert np.flatnonzero(scores[0] > FORBIDDEN).tolist() == [TOKEN_TO_ID["NOTE_60"]]
    assert not scores[1].any()
    assert np.flatnonzero(said(rule, state("NOTE_60", 2))[0] > FORBIDDEN).tolist() == [TOKEN_TO_ID["VOICE_1"]]
    assert not said(rule, state("NOTE_60 VOICE_1", 2)).any()


@pytest.mark.parametrize("form", ["fugue", "prelude"])
def test_a_piece_begins_with_the_best_of_its_candidates(form, monkeypatch):
    """Each piece of a batch with its own, and the choice is what the penalties say."""
    import musicgpt.beginnings as beginnings

    heard: list[list[Note]] = []

    def penalty(what, notes, bits):
        heard.append(list(notes))
        return -len(heard)  # the last one is the best

    monkeypatch.setattr(beginnings, "penalty", penalty)
    try:
        composer = Composer.from_pretrained()
    except FileNotFoundError:
        pytest.skip("no shipped weights")
    settings = Settings(form=form, seed=5, max_new_tokens=256)
    [piece] = composer.compose(settings)
    first, last = heard[0], heard[-1]
    assert 2 <= len(heard) <= CANDIDATES
    assert piece.score.notes[: len(last)] == last and piece.score.notes[: len(first)] != first
    if form == "fugue":
        assert len({note.voice for note in last}) == 1
    assert composer.compose(settings, num=2)[0].score == piece.score


def test_each_candidate_ends_with_its_own_beginning():
    """The first row is over with its second voice, and stays so; its tokens go up to the step before that."""
    alone = ids(
        "NOTE_60 VOICE_1 DUR_12 TIME_12 NOTE_62 VOICE_1 DUR_12 TIME_12 NOTE_64 VOICE_1 DUR_12 TIME_12"
    )
    other = [*alone[:-4], TOKEN_TO_ID["NOTE_67"], TOKEN_TO_ID["VOICE_0"], *alone[-2:]]
    until = UntilOver(brief(rows=2, form="fugue"))
    rows = np.array([other, alone])
    ended = [until(torch.from_numpy(rows[:, :k]), None).tolist() for k in range(3, rows.shape[1] + 1)]
    assert ended == [[k >= len(alone) - 1, False] for k in range(3, len(alone) + 1)]
    assert until.tried[0].tokens == other[2:-4] and [n.pitch for n in until.tried[0].notes] == [60, 62]
    assert until.tried[1] == ([], [])
