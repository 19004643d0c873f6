"""Subject, entries, answers, countersubject and stretto on hand-made fugues."""

from __future__ import annotations

import pytest

from musical_metrics import fugue
from tokenization.analysis.subjects import NOT_A_FUGUE
from tokenization.analysis.view import View

SUBJECT = [60, 62, 64, 65, 67, 64, 60]


def test_subject_entries_real_and_tonal(voices, line):
    answer = [p + 7 for p in SUBJECT]
    tonal = [67, 67, 71, 72, 74, 71, 67]  # the first step narrowed, as in a tonal answer
    rest = [55, 60, 55, 48, 41, 55, 43]
    free = line([72, 74, 71, 72, 67, 69, 71], start=7 * 24)
    for entry, expected in ((answer, 1.0), (tonal, 1.0), (rest, 0.5)):
        piece = voices(line(SUBJECT) + free, line([p - 12 for p in entry], start=7 * 24), form="fugue")
        assert fugue.subject_entries(piece).value == expected, entry
    assert fugue.subject_entries(piece.replace(form="prelude")).value is None


def test_subject_in_another_rhythm_is_no_entry(voices, line):
    piece = voices(
        line(SUBJECT) + line([72] * 7, start=168), line(SUBJECT, duration=12, start=168), form="fugue"
    )
    assert fugue.subject_entries(piece).value == 0.5


def test_statements(voices, line):
    piece = voices(
        line(SUBJECT + [72, 71, 69, 67] + SUBJECT), line([p - 12 for p in SUBJECT], start=168), form="fugue"
    )
    assert fugue.subject_recurrence(piece).value == 3 / 2


def test_no_subject(voices, line):
    together = voices(line(SUBJECT), line(SUBJECT), form="fugue")
    assert "begin together" in fugue.find_subject(View(together))
    short = voices(line(SUBJECT), line(SUBJECT, start=48), form="fugue")
    assert fugue.subject_entries(short) == (None, "the first voice is alone for fewer than 4 notes")


def test_entries_in_sixteen_bars_and_stretti(voices, line):
    # Seven quarters of subject: at 0, at 168 in the second voice, at 336 in the first, and at 408, before
    # that one is half over.
    apart = line(SUBJECT) + line([72] * 7, start=168) + line(SUBJECT, start=336)
    close = line([p - 12 for p in SUBJECT], start=168) + line([p - 5 for p in SUBJECT], start=408)
    piece = voices(apart, close, form="fugue")
    assert fugue.entry_density(piece).value == 16 * 4 / 6  # the last note ends at 576, six bars
    assert fugue.stretti(piece).value == 1
    later = line([p - 12 for p in SUBJECT], start=168) + line([p - 5 for p in SUBJECT], start=504)
    assert fugue.stretti(voices(apart, later, form="fugue")).value == 0


def test_answers_real_and_tonal(voices, line):
    free = line([72, 74, 71, 72, 67, 69, 71], start=168)
    for answer, expected in (([p - 5 for p in SUBJECT], 0.0), ([55, 55, 59, 60, 62, 59, 55], 1.0)):
        piece = voices(line(SUBJECT) + free, line(answer, start=168), form="fugue")
        assert fugue.tonal_answer(piece).value == expected
    none = voices(line(SUBJECT) + free, line([55, 60, 55, 48, 41, 55, 43], start=168), form="fugue")
    assert "does not enter" in fugue.tonal_answer(none).reason
    cut = voices(line(SUBJECT) + free, line([p - 5 for p in SUBJECT][:-1], start=168), form="fugue")
    assert "breaks off" in fugue.tonal_answer(cut).reason


@pytest.mark.parametrize(
    ("against", "expected"), [([76, 74, 72, 74, 71, 72, 74], 1.0), ([72, 79, 67, 72, 76, 65, 72], 0.0)]
)
def test_a_countersubject_returns_in_another_voice(voices, line, against, expected):
    first = (
        line(SUBJECT)
        + line([72, 71, 69, 71, 67, 69, 71], start=168)
        + line([p + 12 for p in SUBJECT], start=504)
    )
    second = line([p - 5 for p in SUBJECT], start=168) + line([p - 12 for p in against], start=504)
    measure = fugue.countersubject_returns(voices(first, second, key="C major", form="fugue"))
    assert measure.value == expected


def test_nothing_of_a_fugue_in_a_prelude_or_without_a_subject(voices, line):
    together = voices(line(SUBJECT), line(SUBJECT), form="fugue")
    measures = (fugue.entry_density, fugue.stretti, fugue.tonal_answer, fugue.countersubject_returns)
    for measure in measures:
        assert "begin together" in measure(together).reason
        assert measure(together.replace(form="prelude")) == (None, NOT_A_FUGUE)


def test_statements_upside_down(voices, line):
    upside_down = [79, 77, 76, 74, 72, 76, 79]
    for melody, count in ((SUBJECT, 0), (upside_down, 1)):
        second = line([p - 12 for p in melody], start=168)
        piece = voices(line(SUBJECT) + line([72, 79, 71, 79] * 2, start=168), second, form="fugue")
        assert fugue.inversions(piece).value == count
    slower = voices(line(SUBJECT), line(upside_down, duration=48, start=168), form="fugue")
    assert fugue.inversions(slower).value == 0
