"""Openings, foreign notes, cadences and the last chord on hand-made scores."""

from __future__ import annotations

import pytest

from musical_metrics import keys
from musical_metrics.measure import NO_KEY
from tokenization.analysis.view import View

SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


@pytest.mark.parametrize(
    ("move", "key", "expected"), [(0, "C major", 1.0), (2, "C major", 0.0), (2, "D major", 1.0)]
)
def test_the_key_of_the_opening(voices, line, move, key, expected):
    opening = [p + move for p in [60, 64, 67, 72, *SCALE, 67, 64, 60, 60]]
    # What comes after four bars does not count.
    piece = voices(line(opening + [66, 68, 70, 73] * 9), key=key)
    assert keys.opening_in_key(piece).value == expected


def test_the_key_of_the_opening_in_minor(voices, line):
    piece = voices(line([57, 60, 64, 69, 68, 69, 71, 72, 71, 69, 68, 64, 57, 60, 64, 57]))
    found = {
        key: keys.opening_in_key(piece.replace(key=key)).value for key in ("A minor", "A major", "C major")
    }
    assert found == {"A minor": 1.0, "A major": 0.0, "C major": 0.0}


@pytest.mark.parametrize("up", range(12))
def test_of_keys_that_fit_alike_the_bass_has_it(voices, line, up):
    piece = voices(*(line([pitch + up]) for pitch in (68, 64, 60)))  # an augmented triad
    assert keys.fitting_key(piece.array) == up


def test_the_first_note(voices, line):
    for first, expected in ((60, 1.0), (67, 1.0), (62, 0.0)):
        assert keys.opening_degree(voices(line([first, 60, 64]), key="C major")).value == expected
    # of a chord the highest
    assert keys.opening_degree(voices(line([64]), line([60]), key="C major")).value == 0.0
    assert keys.opening_degree(voices(line([60]))).reason == NO_KEY


def test_foreign_notes(voices, line):
    assert keys.foreign_notes(voices(line(SCALE * 2))).value == 0
    # No scale has C, C sharp and D; those with C and D hold four of the five notes, those with C sharp and D
    # three.
    assert keys.foreign_notes(voices(line([60, 62, 61, 62, 60]))).value == pytest.approx(1 / 5)
    # A scale of its own, far enough away, has no foreign notes.
    far = line(SCALE) + line([p + 1 for p in SCALE], start=24 * 20)
    assert keys.foreign_notes(voices(far)).value == 0


def cadence(at: int, tonic: int = 60) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Dominant in the quarter before `at`, tonic at it, in two voices."""
    return [(at - 24, 24, tonic + 11), (at, 24, tonic + 16)], [(at - 24, 24, tonic - 5), (at, 24, tonic - 12)]


def test_cadences_inside(voices, line):
    first, second = cadence(4 * 96), cadence(8 * 96 + 48, tonic=67)
    upper = [*line([64] * 4), *first[0], *second[0], (15 * 96, 96, 64)]
    lower = [*line([60] * 4), *first[1], *second[1], (15 * 96, 96, 60)]
    piece = voices(upper, lower, key="C major")
    assert keys.cadences(View(piece)).tolist() == [4 * 96, 8 * 96 + 48]
    # sixteen bars without the first two and the last two
    assert keys.inner_cadences(piece).value == 16 * 2 / 12
    # Without the leading note, without the third of the tonic, and where the bass does not come from the
    # dominant there is none.
    for wrong in ((4 * 96 - 24, 24, 74), (4 * 96, 24, 67)):
        changed = [wrong if note[0] == wrong[0] else note for note in upper]
        assert len(keys.cadences(View(voices(changed, lower)))) == 1
    from_b = [(o, d, 59 if o == 4 * 96 - 24 else p) for o, d, p in lower]
    assert len(keys.cadences(View(voices(upper, from_b)))) == 1
    # Nor where the bass comes home under a seventh chord.
    with_seventh = voices(upper, [*lower], [(4 * 96, 24, 58)])
    assert keys.cadences(View(with_seventh)).tolist() == [8 * 96 + 48]
    # At the beginning it is not one of those inside.
    early = cadence(96)
    assert keys.inner_cadences(voices([*early[0], (900, 96, 64)], [*early[1], (900, 96, 60)])).value == 0
    assert keys.inner_cadences(voices(line([60] * 8))).value is None


def test_local_keys(voices, line):
    home = [60, 64, 67, 72, 71, 67, 65, 62, 60, 64, 67, 64, 65, 67, 59, 60]  # four bars of C major
    fifth, far = [p + 7 for p in home], [p + 6 for p in home]
    there = voices(line(home + fifth), key="C major")
    found = keys.local_keys(View(there)).tolist()
    assert len(found) == 5 and found[0] == 0 and found[-1] == 7
    away = sum(key != 0 for key in found) / 5
    assert keys.away_from_home(there).value == away
    assert keys.near_keys(there).value == sum(key in (0, 5, 7, 21, 16, 14) for key in found) / 5
    assert keys.near_keys(voices(line(far), key="C major")).value == 0
    assert keys.away_from_home(voices(line(home), key="C major")).value == 0
    assert (
        keys.key_changes(there).value == 16 * sum(a != b for a, b in zip(found, found[1:], strict=False)) / 4
    )
    assert keys.key_changes(voices(line(home))).value is None
    assert keys.near_keys(voices(line(home))).reason == NO_KEY


@pytest.mark.parametrize(("heard", "near"), [("G major", 1), ("E minor", 1), ("D minor", 1), ("C minor", 0)])
def test_near_keys_are_those_of_one_sharp_or_flat(monkeypatch, voices, line, heard, near):
    from tokenization.key import Key

    key = Key.parse(heard)
    monkeypatch.setattr(keys, "fitting_key", lambda _: key.pitch_class + 12 * (key.mode == "minor"))
    assert keys.near_keys(voices(line([60] * 4), key="C major")).value == near
    assert keys.near_keys(voices(line([60] * 4), key="A minor")).value == near


def test_the_last_chord(voices, line):
    ends = voices([(0, 96, 64)], [(0, 96, 60)], key="C major")
    assert keys.final_triad(ends).value == 1
    assert keys.final_triad(ends.replace(key="A minor")).value == 0
    # the Picardy third
    assert keys.final_triad(voices([(0, 96, 61)], [(0, 96, 57)], key="A minor")).value == 1
    # not over its root
    assert keys.final_triad(voices([(0, 96, 64)], [(0, 96, 55)], key="C major")).value == 0
