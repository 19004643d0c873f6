"""What was asked for in tokens is used up."""

from __future__ import annotations

import numpy as np
import pytest

from musical_metrics.keys import final_triad
from musicgpt import Composer, Settings
from musicgpt.rules.base import BLOCK, DUR_TICKS
from musicgpt.rules.budget import LAST_BARS, Budget
from tokenization.score import DURATION, ONSET
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import brief, said, state


class Close:
    """An earlier rule that says what is left: bars, tokens of each, tokens of those before."""

    def __init__(self, bars: float, share: float):
        self.found = tuple(np.array([value]) for value in (bars, share, 64.0))

    def bars_left(self, state):
        return self.found


def test_steps_are_longer_where_bars_must_have_fewer_tokens():
    piece = state("NOTE_60 VOICE_0 DUR_96 TIME_96 NOTE_60 VOICE_0")
    short, long = TOKEN_TO_ID["DUR_6"], TOKEN_TO_ID["DUR_48"]
    for share, sign in ((32.0, 1), (128.0, -1), (64.0, 0)):
        scores = said(Budget(brief(Close(2, share), ends=False)), piece)[0]
        assert np.sign(np.round(scores[long] - scores[short])) == sign
        assert scores[TOKEN_TO_ID["TIME_6"]] == 0  # no step can come now
    before, last = (said(Budget(brief(Close(bars, 32.0), ends=False)), piece)[0] for bars in (2, 1))
    assert last[long] - last[short] > 1.9 * (before[long] - before[short])
    assert not said(Budget(brief(Close(LAST_BARS + 1, 32.0), ends=False)), piece).any()


def test_nothing_shorter_than_a_sixteenth_or_off_their_grid_becomes_likelier():
    piece = state("NOTE_60 VOICE_0 DUR_96 TIME_96 NOTE_60 VOICE_0")
    for share in (32.0, 128.0):
        scores = said(Budget(brief(Close(1, share), ends=False)), piece)[0, BLOCK["DUR"]]
        assert (scores[DUR_TICKS % 6 > 0] <= 0).all() and (scores[DUR_TICKS % 6 == 0] > 0).any()


def test_it_is_there_where_a_length_in_tokens_was_asked_for():
    assert Budget.applies(brief(Close(2, 9), ends=False))
    assert not Budget.applies(brief(Close(2, 9))) and not Budget.applies(brief(ends=False))


@pytest.mark.parametrize("form", ["fugue", "prelude"])
def test_a_piece_uses_its_tokens_and_closes(form):
    try:
        composer = Composer.from_pretrained()
    except FileNotFoundError:
        pytest.skip("no shipped weights")
    pieces = composer.compose(Settings(form=form, meter="3/4", seed=8, max_new_tokens=700), num=2)
    assert composer.compose(pieces[1].settings)[0].ids == pieces[1].ids
    for piece in pieces:
        # 6 % are left at the 95th percentile (`python -m benchmarks.endings`).
        assert 0.93 * 700 <= len(piece.ids) - 6 <= 700
        ends = piece.score.array[piece.score.array[:, ONSET] >= piece.score.bar_lines()[-3]]
        assert (ends[:, DURATION] >= 6).all() and not (ends[:, ONSET] % 6).any()  # it is filled by no burst
        assert final_triad(piece.score).value == 1
