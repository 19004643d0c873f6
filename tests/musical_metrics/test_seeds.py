"""The six basic metrics on hand-made scores whose value is worked out here, and against music21 where it
defines the same.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from musical_metrics import seeds
from tokenization.analysis.view import View
from tokenization.score import Score

C_SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


def test_out_of_key_by_notes_and_by_duration(voices):
    # Four notes in D minor: B flat (natural sixth), B and C sharp (raised), F sharp (outside), lasting 1, 1,
    # 1 and 3 quarters.
    piece = voices([(0, 24, 70), (24, 24, 71), (48, 24, 73), (72, 72, 66)], key="d minor")
    assert seeds.out_of_key_ratio(piece).value == 1 / 4
    assert seeds.out_of_key_ratio(piece, by_duration=True).value == 3 / 6


def test_out_of_key_needs_a_declared_key(voices, line):
    piece = voices(line(C_SCALE))
    assert seeds.out_of_key_ratio(piece) == (None, "no key is declared")
    guessed = piece.replace(key="C major", notices=["key estimated as C major (confidence 0.90)"])
    assert seeds.out_of_key_ratio(guessed).value is None
    assert "estimated" in seeds.out_of_key_ratio(guessed).reason


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_scales_are_those_of_music21(voices, line, mode):
    scale = pytest.importorskip("music21.scale")
    kinds = [scale.MajorScale] if mode == "major" else [scale.MinorScale, scale.MelodicMinorScale]
    for tonic in ("C", "D", "E", "F#", "A", "B"):
        theirs = {p.pitchClass for kind in kinds for p in kind(tonic).getPitches()}
        for pitch in range(60, 72):
            piece = voices(line([pitch]), key=f"{tonic} {mode}")
            assert seeds.out_of_key_ratio(piece).value == float(pitch % 12 not in theirs)


def test_interval_entropy_is_signed_and_within_a_voice(voices, line):
    # Upper voice: +2 -2 +2 -2; lower voice: +7. Five intervals: +2 twice, -2 twice, +7 once.
    piece = voices(line([60, 62, 60, 62, 60]), line([40, 47], duration=48))
    expected = -(2 * 0.4 * math.log2(0.4) + 0.2 * math.log2(0.2))
    assert seeds.interval_entropy(piece).value == pytest.approx(expected)
    corrected = seeds.interval_entropy(piece, correct=True).value
    assert corrected == pytest.approx(expected + 2 / (2 * 5 * math.log(2)))


def test_intervals_do_not_reach_across_rests(voices):
    # 60 to 62, an eighth of rest, 62 to 74: the leap of 12 is joined to nothing; a gap of a sixteenth is
    # articulation.
    rest = voices([(0, 24, 60), (24, 12, 62), (48, 24, 74), (72, 24, 76)])
    assert View(rest).intervals.tolist() == [2, 2]
    articulated = voices([(0, 24, 60), (24, 18, 62), (48, 24, 74), (72, 24, 76)])
    assert View(articulated).intervals.tolist() == [2, 12, 2]


def test_intervals_are_those_of_jsymbolic(voices, line):
    m21 = pytest.importorskip("music21")
    pitches = np.random.default_rng(3).integers(48, 84, 200).tolist()
    part = m21.stream.Part([m21.note.Note(p) for p in pitches])
    theirs = m21.features.jSymbolic.MelodicIntervalHistogramFeature(m21.stream.Score([part])).extract().vector
    ours = np.bincount(np.abs(View(voices(line(pitches))).intervals), minlength=len(theirs))
    assert np.allclose(ours / ours.sum(), theirs)


def test_rhythmic_variety(voices):
    piece = voices([(0, 24, 60), (24, 24, 62), (48, 12, 64), (60, 6, 65)])
    assert seeds.rhythmic_variety(piece).value == pytest.approx(1.5)  # 1/2, 1/4, 1/4
    assert seeds.rhythmic_variety(piece, normalised=True).value == pytest.approx(1.5 / math.log2(3))
    even = voices([(0, 24, 60), (24, 24, 62)])
    assert seeds.rhythmic_variety(even) == (0.0, None)
    assert seeds.rhythmic_variety(even, normalised=True) == (0.0, None)


def test_phrases(voices):
    # Upper voice: 2 quarters, rest, 1 quarter, rest, 3 quarters to the end. Lower voice: 2 quarters.
    upper = [(0, 24, 60), (24, 24, 62), (72, 24, 64), (120, 72, 65)]
    piece = voices(upper, [(0, 48, 48)])
    lengths, cut = seeds.phrases(piece)
    assert sorted(lengths.tolist()) == [1, 2, 2, 3]
    assert lengths[cut].tolist() == [3]
    # the one that the end cuts off is left out
    assert seeds.phrase_length(piece).value == pytest.approx(5 / 3)
    assert seeds.phrase_length(piece, kind="median").value == 2
    assert seeds.phrase_length(piece, kind="count").value == 4


def test_large_leaps(voices, line):
    piece = voices(line([60, 67, 75, 62, 63]))  # 7, 8, -13, 1
    assert seeds.large_leap_ratio(piece).value == 2 / 4
    assert seeds.large_leap_ratio(piece, threshold=12).value == 1 / 4


def test_parallel_fifths_per_thousand_chances(voices, line):
    # Four chances. G-C to A-D is parallel; A-D to B-F is not (the first is a fifth, the second is not); the
    # last two are no fifths.
    piece = voices(line([67, 69, 71, 72, 74]), line([60, 62, 65, 64, 62]))
    assert seeds.parallels(piece).value == pytest.approx(1000 / 4)
    assert seeds.parallels(piece, interval=0).value == 0


@pytest.mark.parametrize(
    ("upper", "lower", "value"),
    [
        ([67, 79], [60, 72], 1000.0),  # similar motion by an octave
        ([79, 67], [60, 72], 0.0),  # contrary
        ([67, 81], [60, 62], 1000.0),  # a fifth, then a twelfth, both rising
        ([66, 69], [60, 62], 0.0),  # from a diminished fifth
    ],
)
def test_what_counts_as_parallel(voices, line, upper, lower, value):
    assert seeds.parallels(voices(line(upper), line(lower))).value == value


def test_chances_need_both_voices_to_move_together(voices, line):
    repeated = voices(line([67, 67]), line([60, 60]))
    assert seeds.parallels(repeated).value is None
    crossing_rhythm = voices(line([67, 69, 71]), [(0, 36, 60), (36, 36, 62)])
    assert seeds.parallels(crossing_rhythm).value is None
    # The same notes sampled on the quarters: C-G at 0, C-A at 24, D-B at 48: one chance (24 to 48), no fifth.
    assert seeds.parallels(crossing_rhythm, sampled=True).value == 0


def test_sampled_fifths_see_what_ornaments_hide(voices, line):
    hidden = voices([(0, 12, 67), (12, 12, 72), (24, 24, 69)], line([60, 62]))
    assert seeds.parallels(hidden).value is None  # the voices never move from one common attack to the next
    assert seeds.parallels(hidden, sampled=True).value == 1000


def test_parallels_agree_with_music21(voices, line):
    """Over white keys (where seven semitones are always a perfect fifth), antiparallels apart, which music21
    counts too.
    """
    m21 = pytest.importorskip("music21")
    low, high = [48, 50, 53], [60, 62, 65, 67]
    for a, b in itertools.product(itertools.product(high, high), itertools.product(low, low)):
        if a[0] == a[1] or b[0] == b[1]:
            continue
        quartet = m21.voiceLeading.VoiceLeadingQuartet(*(m21.note.Note(p) for p in (*a, *b)))
        similar = (a[1] > a[0]) == (b[1] > b[0])
        ours = seeds.parallels(voices(line(list(a)), line(list(b))))
        assert ours.value == 1000 * (similar and quartet.parallelFifth()), (a, b)
        octave = seeds.parallels(voices(line(list(a)), line(list(b))), interval=0)
        assert octave.value == 1000 * (similar and quartet.parallelOctave()), (a, b)


def test_a_monophonic_collapse_is_not_perfect(line, voices):
    assert seeds.parallels(voices(line(C_SCALE))) == (None, "the piece has one voice")
    assert seeds.parallels(Score([])) == (None, "the piece has no notes")
