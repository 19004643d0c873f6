"""Spans, range and width, on scores whose answer can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from musical_metrics.catalogue import measure_all
from musical_metrics.playability import beyond_keyboard, narrowest_hands, wide_hands, widest_voice
from tokenization import Score


@pytest.mark.parametrize(
    "pitches, span",
    [
        ((60,), 0),
        ((36, 84), 0),
        ((48, 60, 72), 12),
        ((40, 57, 74), 17),
        ((36, 48, 64, 76), 12),
        ((36, 60, 84, 90), 24),
        ((30, 60, 90), 30),
    ],
)
def test_two_hands_share_notes_as_well_as_can_be(pitches, span):
    assert narrowest_hands(np.array(pitches)) == span


def test_moments_at_which_a_hand_strikes_or_holds_more_than_a_tenth():
    rows = [(0, 24, 40, 2), (0, 24, 57, 1), (0, 24, 74, 0)]  # 17 semitones either way
    rows += [(24, 48, 40, 2), (24, 24, 56, 1), (24, 24, 72, 0)]  # a tenth each
    rows += [(48, 24, 57, 1), (48, 24, 74, 0)]  # too wide only with the bass that is held
    score = Score(rows, key="C major")
    assert wide_hands(score).value == pytest.approx(1 / 3)
    assert wide_hands(score, held=True).value == pytest.approx(2 / 3)
    assert wide_hands(Score([(0, 24, 30, 1), (0, 24, 90, 0)])).value == 0


def test_range_and_width():
    notes = ((35, 1), (36, 1), (84, 0), (85, 0), (60, 0))
    score = Score([(24 * i, 24, *note) for i, note in enumerate(notes)], key="C major")
    assert beyond_keyboard(score).value == pytest.approx(2 / 5)
    assert widest_voice(score).value == 25


def test_without_notes_there_is_a_reason_and_they_are_facts_of_every_piece():
    for metric in (wide_hands, beyond_keyboard, widest_voice):
        assert metric(Score([])) == (None, "the piece has no notes")
    assert measure_all(Score([(0, 24, 30, 0)], key="C"))["beyond_keyboard"].value == 1
