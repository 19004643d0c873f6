"""Pieces close with dominant and tonic, whatever the model says, and within their tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modeling_musicgpt import MusicGPTConfig
from modeling_musicgpt.grammar_musicgpt import Grammar
from musical_metrics.counterpoint import final_cadence
from musical_metrics.keys import final_triad
from musical_metrics.playability import TENTH, narrowest_hands
from musicgpt import Composer, Settings
from musicgpt.rules.base import BLOCK, FORBIDDEN
from musicgpt.rules.close import (
    DOMINANT,
    ENOUGH,
    LATE,
    LATE_ELSEWHERE,
    SHORTEST,
    TONIC,
    TRIAD,
    Cadence,
    Close,
)
from tests.musicgpt.states import state_after
from tokenization import Meter, Score, decode, encode, first_error, prefix_ids
from tokenization.score import DURATION, ONSET, PITCH, VOICE
from tokenization.vocabulary import DURATIONS, EOS_ID, PITCH_MIN, TOKEN_TO_ID

from . import cases
from .cases import EVEN, brief, said, written


def write(seed, meter="4/4", mode="major", limit=4000, batch=1, steps=lambda made: EVEN, **asked):
    """Random pieces that never think of ending, in even steps or those of `steps(tokens made)`, under `Close`."""
    prefix = prefix_ids(mode=mode, meter=meter)
    prompt = state_after(prefix)
    seeds = range(seed, seed + batch)
    rule = Close(
        brief(rows=batch, seeds=seeds, mode=mode, meter=meter, max_new_tokens=limit, prompt=prompt, **asked)
    )

    def taste(scores: torch.Tensor, made: int) -> None:
        scores[:, 128:] -= 50
        scores[:, steps(made)] += 50
        scores[:, EOS_ID] -= 99

    return written([rule], prefix, limit, taste, seed, batch)


def ends_well(ids: list[int], score: Score) -> None:
    """Dominant before the last chord, which is the tonic triad on the last bar line, or in the middle of a bar of
    4/4, and lasts until the end of the bar, the bass on the tonic.
    """
    score = score.normalised()
    bar, notes, mode = score.meters[-1].bar_ticks, score.array, score.key.mode
    line = notes[-1, ONSET]
    assert ids[-1] == EOS_ID and first_error(ids) is None
    place = (line - score.meters[-1].onset) % bar
    assert place == 0 or (place == 48 and score.meters[-1].name == "4/4")
    chord = notes[notes[:, ONSET] == line]
    assert (chord[:, DURATION] == bar - place).all()
    assert (np.diff(chord[:, PITCH]) < 0).all() and (np.diff(chord[:, VOICE]) > 0).all()
    assert set(chord[:, PITCH] % 12) <= set(TRIAD[mode]) and chord[-1, PITCH] % 12 == TONIC[mode]
    assert not {0, 1} <= set(chord[:, PITCH] % 12)  # one third
    assert narrowest_hands(np.sort(chord[:, PITCH])) <= TENTH
    before = notes[(notes[:, ONSET] >= line - (24 if bar >= 72 else 12)) & (notes[:, ONSET] < line)]
    assert len(before) and set(before[:, PITCH] % 12) <= set(DOMINANT[mode])


@pytest.mark.parametrize("meter", ["4/4", "3/8", "12/8"])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_piece_with_a_limit_closes_within_it(meter, mode):
    for ids in write(3, meter, mode, limit=420, batch=3, min_bars=1000, ends=False):
        ends_well(ids, decode(ids).score)
        assert len(ids) > 200


def test_a_piece_of_no_asked_length_closes_when_it_is_long_enough():
    pieces = write(4, batch=3)
    assert len({*map(len, pieces)}) > 1  # each row by itself
    for ids in pieces:
        score = decode(ids).score
        ends_well(ids, score)
        bars, notes = score.array[-1, ONSET] // 96, (score.array[:, ONSET] < score.array[-1, ONSET]).sum()
        assert bars >= SHORTEST[0] and notes >= SHORTEST[1]
        assert bars in (SHORTEST[0], ENOUGH[0]) or notes >= ENOUGH[1] or notes <= SHORTEST[1] + 30


def test_the_shipped_model_closes_pieces_and_continuations():
    try:
        composer = Composer.from_pretrained()
    except FileNotFoundError:
        pytest.skip("no shipped weights")
    pieces = composer.compose(
        Settings(key="F# minor", form="fugue", max_new_tokens=600, min_bars=1000, seed=4), num=4
    )
    for piece in pieces:
        ends_well(piece.ids, piece.score)
    assert np.mean([final_cadence(piece.score).value for piece in pieces]) > 0.6
    rows = [(12 * i, 12, 62 + (i * 5) % 12, i % 3) for i in range(40)]
    prompt = Score(rows, meters=[Meter(0, 4, 4), Meter(192, 3, 4)], key="D minor")
    [piece] = composer.compose(Settings(max_new_tokens=400, min_bars=1000, seed=1), prompt=prompt)
    ends_well(piece.ids, piece.score)


def open_to(text: str) -> set[str]:
    """The tokens left by a close in C major, begun with a bar of 4/4, after what its last bar has."""
    tokens, grammar = cases.ids(text), Grammar(MusicGPTConfig())
    state, close = state_after(tokens[:2]), Close(brief(max_new_tokens=4000))
    close.cadences[0] = Cadence(state, 0, "major")
    for length in range(2, len(tokens) + 1):
        state.follow(np.array([tokens[:length]]))
        legal = grammar.mask(torch.tensor([tokens[:length]])).numpy()
        scores = said(close, state, np.where(legal, 0.0, -np.inf))[0]
    return {token for token, i in TOKEN_TO_ID.items() if scores[i] > -np.inf}


def degrees(tokens: set[str]) -> set[int]:
    return {int(token[5:]) % 12 for token in tokens if token.startswith("NOTE")}


def test_the_dominant_has_its_root_and_its_third_or_fifth():
    bar = "NOTE_72 VOICE_0 DUR_72 TIME_0 NOTE_48 VOICE_1 DUR_72 TIME_72 "
    assert degrees(open_to(bar)) == {7, 11, 2}  # the seventh says nothing yet
    after_fifth = bar + "NOTE_74 VOICE_0 DUR_24 "
    assert "TIME_24" not in open_to(after_fifth) and "TIME_0" in open_to(after_fifth)
    assert degrees(open_to(after_fifth + "TIME_0")) == {7}
    after_root = bar + "NOTE_67 VOICE_0 DUR_24 TIME_0"
    assert degrees(open_to(after_root)) == {11, 2, 7}  # near the bass its root, above it what is missing
    whole = after_fifth + "TIME_0 NOTE_43 VOICE_1 DUR_24 "
    assert "TIME_24" in open_to(whole) and degrees(open_to(whole + "TIME_12")) == {7, 11, 2, 5}
    late = bar + "NOTE_74 VOICE_0 DUR_18 TIME_18"
    assert degrees(open_to(late)) == {7, 11, 2, 5}  # too late to ask for the root
    held = bar.replace("NOTE_48 VOICE_1 DUR_72", "NOTE_43 VOICE_1 DUR_96")
    # no voice is left that could strike the third
    assert "TIME_24" in open_to(held + "NOTE_77 VOICE_0 DUR_24")


def test_no_note_begins_where_no_duration_ends_at_the_bar_line():
    """A note a tick before the final chord would sound on into it."""
    text = "NOTE_72 VOICE_0 DUR_72 TIME_0 NOTE_43 VOICE_1 DUR_72 TIME_72 NOTE_74 VOICE_0 DUR_12 TIME_0 "
    text += "NOTE_43 VOICE_1 DUR_12 TIME_12 NOTE_71 VOICE_0 DUR_8 TIME_8 NOTE_74 VOICE_0 DUR_2"  # tick 92
    steps = {int(token[5:]) for token in open_to(text) if token.startswith("TIME")}
    assert max(steps) == 4 and 2 in steps and 3 not in steps


@pytest.mark.parametrize(("bars", "meter"), [(8, "4/4"), (21, "3/8")])
def test_a_piece_has_the_bars_that_were_asked_for(bars, meter):
    for ids in write(5, meter, batch=2, bars=bars):
        score = decode(ids).score
        ends_well(ids, score)
        assert score.array[-1, ONSET] == (bars - 1) * score.meters[0].bar_ticks


def test_the_model_ends_no_piece_itself_not_even_on_the_tonic():
    chord = Score([(0, 24, 71, 0), *((24, 72, pitch, voice) for voice, pitch in enumerate((76, 67, 48)))])
    state = state_after(encode(chord)[:-1].tolist())
    assert said(Close(brief(max_new_tokens=1000)), state)[0, EOS_ID] == -np.inf


def test_a_short_piece_is_left_alone():
    """There is no room for a close in a few tokens: only the bar is brought to an end."""
    assert not Close.applies(brief(max_new_tokens=255))
    assert Close.applies(brief(max_new_tokens=256))


def test_the_asked_length_goes_before_the_close():
    """Bars and notes that must be there count the bars before the final chord."""
    tokens = encode(Score([(24 * i, 24, 60, 0) for i in range(240)]))[:-2].tolist()  # 60 bars, 240 notes
    state = state_after([*tokens, TOKEN_TO_ID["TIME_24"]])
    for bars, notes, closes in ((61, 240, True), (62, 240, False), (61, 241, False)):
        close = Close(brief(max_new_tokens=4000, min_bars=bars, min_notes=notes))
        scores = said(close, state)
        assert close.closing().tolist() == [closes]
        assert scores[0, TOKEN_TO_ID["NOTE_61"]] == 0  # whatever note: the dominant is far


def test_after_the_final_chord_there_is_only_the_end():
    state, close = state_after(cases.ids("NOTE_60 VOICE_0 DUR_96 TIME_0")), Close(brief(max_new_tokens=1000))
    close.cadences[0] = Cadence(state, 0, "major")
    close.cadences[0].left = []
    scores = said(close, state)
    assert np.flatnonzero(scores[0] > FORBIDDEN).tolist() == [EOS_ID]


@pytest.mark.parametrize(
    ("mode", "highest", "classes"),
    [("major", 72, {4}), ("major", 76, {0, 4, 7}), ("minor", 69, {0, 1}), ("minor", 73, {1, 4, 9})],
)
def test_the_last_voice_above_the_bass_has_the_third_that_is_missing(mode, highest, classes):
    before = "NOTE_71 VOICE_0 DUR_96 TIME_0 NOTE_62 VOICE_1 DUR_96 TIME_0 NOTE_43 VOICE_2 DUR_96 TIME_96 "
    close = Close(brief(mode=mode, max_new_tokens=1000))
    cadence = close.cadences[0] = Cadence(cases.state(before), 0, mode)
    cadence.left, cadence.line, cadence.written = [1, 2], 96, [highest]
    here = cases.state(before + f"NOTE_{highest} VOICE_0 DUR_96 TIME_0")
    may = np.flatnonzero(said(close, here)[0, BLOCK["NOTE"]] > FORBIDDEN) + PITCH_MIN
    assert set((may % 12).tolist()) == classes


@pytest.mark.parametrize("seed", range(4))
def test_a_bar_with_more_tokens_than_any_before_does_not_keep_a_piece_from_its_close(seed):
    """Few notes at first, then so many at once that one bar would use up what is left."""

    def steps(made: int) -> list[int]:
        return [TOKEN_TO_ID[f"TIME_{ticks}"] for ticks in ((24, 48) if made < 150 else (0, 1))]

    [ids] = write(seed, limit=420, steps=steps, ends=False, min_bars=1000)
    notes = decode(ids).score.array
    chord = notes[notes[:, ONSET] == notes[-1, ONSET]]
    assert ids[-1] == EOS_ID and notes[-1, ONSET] % 96 == 0 and chord[-1, PITCH] % 12 == TONIC["major"]
    assert set(chord[:, PITCH] % 12) <= set(TRIAD["major"])


def test_the_smallest_budget_is_enough_for_a_close():
    """Where one bar takes a third of it, the model's own end at a bar line would come first."""
    settings = Settings(key="F# minor", form="fugue", voices=5, meter="3/2", max_new_tokens=256, seed=10)
    for piece in Composer.from_pretrained().compose(settings, num=2):
        array = piece.score.array
        assert piece.ids[-1] == EOS_ID and array[-1, ONSET] % piece.score.meters[-1].bar_ticks == 0
        assert final_triad(piece.score).value == 1


@pytest.mark.parametrize(("room", "last"), [(4000, 96), (60, 0)])
def test_no_note_sounds_on_after_the_final_chord(room, last):
    """No note lasts beyond the next bar, and where the tokens are nearly used up none beyond this one."""
    bar = "".join(f"NOTE_{60 + i} VOICE_0 DUR_12 TIME_12 " for i in range(8))
    piece = cases.state(bar + "NOTE_60 VOICE_0")
    rule = Close(brief(mode="major", max_new_tokens=piece.tokens - 2 + room))
    rule.bars = piece.bar.copy()  # within a bar: no cadence begins here
    scores, lengths = said(rule, piece)[0, BLOCK["DUR"]], np.array(DURATIONS)
    assert ((scores == FORBIDDEN) == (lengths > 96 + last)).all()


def test_the_last_chord_of_4_4_often_comes_in_the_middle_of_its_bar():
    here = state_after(cases.ids(""))
    late, usual = (Cadence(here, 0, "major", is_late=is_late) for is_late in (True, False))
    assert (late.line, late.last, late.dominant_from) == (144, 48, 120)
    assert (usual.line, usual.last, usual.dominant_from) == (96, 96, 72)

    def share(form: str, meter: str, **asked) -> float:
        rule = Close(brief(form=form, meter=meter, seeds=range(400), rows=400, **asked))
        state = state_after(prefix_ids(mode="major", meter=meter), 400)
        return float(np.mean([rule._is_late(state, row) for row in range(400)]))

    assert share("fugue", "4/4") == pytest.approx(LATE, abs=0.07)
    assert share("prelude", "4/4") == pytest.approx(LATE_ELSEWHERE, abs=0.07)
    assert share("fugue", "3/4") == share("fugue", "2/2") == share("fugue", "4/4", ends=False) == 0
