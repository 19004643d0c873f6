"""What the benchmark of given notes counts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from benchmarks.given import answer_faults, faults, masks, own_subjects, parallels
from musicgpt.given import Given, Region
from tokenization import Score


def test_faults_are_missing_notes_and_notes_where_none_may_be():
    given = Given(Score([(0, 24, 60, 0), (24, 24, 62, 0)]), (Region(0, 48, (1,)),), 2)

    def of(*rows):
        return faults(SimpleNamespace(score=Score(rows)), given)

    good = [(0, 24, 60, 0), (24, 24, 62, 0)]
    assert of(*good, (0, 24, 50, 1)) == 0
    assert of(good[0]) == 2  # one is missing, in the set and in the count
    assert of(*good, (48, 24, 50, 1)) == 1  # behind the region
    assert of(*good, (0, 24, 50, 0)) == 2  # in the other voice, where a given note sounds


def test_parallels_are_of_fifths_and_octaves_that_move():
    fifths = [(0, 24, 67, 0), (0, 24, 60, 1), (24, 24, 69, 0), (24, 24, 62, 1)]
    assert parallels(np.array(fifths)) == 1
    assert parallels(np.array([(0, 24, 67, 0), (0, 24, 60, 1), (24, 24, 67, 0), (24, 24, 60, 1)])) == 0
    assert parallels(np.array([(0, 24, 64, 0), (0, 24, 60, 1), (24, 24, 65, 0), (24, 24, 62, 1)])) == 0


def test_answers_are_judged_by_the_textbook():
    # WTC I, C minor: C B C G Ab ..., answered G F# G C Eb ...: tonal at its dominant only.
    subject = np.array([72, 71, 72, 67, 68])
    assert answer_faults(subject, subject + 7, 0) == []
    assert answer_faults(subject, subject + [7, 7, 7, 5, 7], 0) == []
    assert answer_faults(subject, subject + [7, 7, 6, 5, 7], 0) == ["neither fifth nor fourth"]
    assert answer_faults(subject, subject[:-1] + 7, 0) == ["of another length"]
    jump = np.array([60, 67, 65, 64, 62])
    assert answer_faults(jump, jump + [7, 5, 7, 7, 7], 0) == []
    assert answer_faults(jump, jump + 7, 0) and answer_faults(jump, jump + 5, 0)
    away = np.array([60, 64, 66, 67])
    assert answer_faults(away, away + [7, 7, 5, 5], 0) == [] != answer_faults(away, away + 7, 0)


def test_our_subjects_are_melodies():
    cases = list(own_subjects())
    assert len(cases) == len({tuple(case.melody.notes) for case in cases}) == 50
    assert {case.melody.meters[0].name for case in cases} >= {"4/4", "3/4", "6/8", "9/8", "12/8", "2/2"}
    for case in cases:
        assert Given.subject(case.melody, case.voices).is_subject


def test_random_masks_are_kept_by_a_model_of_random_weights(monkeypatch, capsys):
    notes = [
        (24 * i, 24 if i % 3 else 12, 72 - 12 * v + i * (3 + v) % 7, v) for i in range(64) for v in range(3)
    ]
    monkeypatch.setattr("benchmarks.given.masked_pieces", lambda source: [Score(notes, key="C major")])
    masks(None, SimpleNamespace(source=None, random=True, pieces=6, fillings=2))
    said = capsys.readouterr().out
    assert "6 masks over 1 pieces, each filled 2 times" in said and " 0 new notes" not in said
    assert said.rstrip().endswith(" 0 refused: 0 faults")
