"""Whatever the piece: a finite value or a null with its reason, and in time."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musical_metrics.catalogue import NAMES, measure_all
from musical_metrics.pieces import describe
from musical_metrics.score import musical_score
from tokenization.analysis.view import View
from tokenization.score import Score


def check(score: Score) -> None:
    measures = measure_all(score)
    assert set(measures) == set(NAMES)
    for name, measure in measures.items():
        if measure.value is None:
            assert measure.reason, name
        else:
            assert math.isfinite(measure.value), name
            assert measure.reason is None, name
    found = musical_score(score)
    assert (found.value is None) == bool(found.reason)
    assert found.value is None or 0 <= found.value <= 100


notes = st.tuples(st.integers(0, 400), st.integers(1, 120), st.integers(0, 127), st.integers(0, 4))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(notes, max_size=40),
    st.sampled_from([None, "C major", "f# minor"]),
    st.sampled_from([None, "prelude", "fugue"]),
    st.sampled_from([(4, 4), (3, 8), (12, 16), (5, 4), (1, 64)]),
)
def test_any_score(rows, key, form, meter):
    check(Score(rows, key=key, form=form, meters=[(0, *meter)]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(notes.filter(lambda n: 20 < n[2] < 100), min_size=1, max_size=60), st.integers(-12, 12))
def test_transposition_changes_nothing(rows, semitones):
    piece = Score(rows, key="C major")
    ours, theirs = measure_all(piece), measure_all(piece.transposed(semitones))
    absolute = {"beyond_keyboard"}  # the ends of the keyboard stay where they are
    assert {n: m.value for n, m in ours.items() if n not in absolute} == {
        n: m.value for n, m in theirs.items() if n not in absolute
    }


@pytest.mark.parametrize("rows", [[], [(0, 24, 60, 0)], [(0, 24, 60, 0)] * 3, [(5000, 1, 60, 4)]])
def test_empty_and_tiny(rows):
    score = Score(rows, key="C major", form="fugue")
    check(score)
    assert musical_score(score).value is None
    assert isinstance(describe(View(score))["nearest_passage"], str)


def test_one_voice(wander):
    solo = wander(3, 300, voices=1)
    check(solo)
    measures = measure_all(solo)
    assert measures["parallel_fifths"] == (None, "the piece has one voice")
    assert measures["interval_entropy"].value > 0


def test_changes_of_meter():
    rows = [(i * 12, 12, 60 + i % 7, 0) for i in range(100)]
    check(Score(rows, meters=[(0, 4, 4), (192, 3, 8), (192 + 36 * 4, 5, 4)], key="C major"))


def test_unvoiced_notes_get_voices_and_say_so(wander):
    piece = wander(4, 300)
    flat = piece.array.copy()
    flat[:, 3] = 0
    unvoiced = piece.replace(notes=flat)
    check(unvoiced)
    assert View(unvoiced).voicing == "inferred"
    assert View(piece).voicing == "as in the score"
    assert musical_score(unvoiced).voicing == "inferred"
    assert len(View(unvoiced).voices) > 1


def test_ten_thousand_notes(wander):
    piece = wander(5, 10_000, voices=4)
    start = time.process_time()
    check(piece)
    assert len(piece) == 10_000
    assert time.process_time() - start < 5  # seconds of the processor; about one
