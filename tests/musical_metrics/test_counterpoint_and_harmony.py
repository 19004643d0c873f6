"""Voices, dissonance, cadence and chords on hand-made scores."""

from __future__ import annotations

import itertools

import pytest

from musical_metrics import counterpoint, harmony
from tokenization.analysis.view import View


def test_crossing(voices, line):
    piece = voices(line([72, 60, 72, 72]), line([60, 62, 60, 60]))
    assert counterpoint.voice_crossing(piece).value == 1 / 4


def test_overlap_agrees_with_music21(voices, line):
    m21 = pytest.importorskip("music21")
    for upper, lower in itertools.product(
        itertools.product((62, 64, 67), repeat=2), itertools.product((57, 62, 65), repeat=2)
    ):
        if upper[0] < lower[0] or upper[1] < lower[1]:
            continue  # crossing is another metric
        quartet = m21.voiceLeading.VoiceLeadingQuartet(*(m21.note.Note(p) for p in (*upper, *lower)))
        ours = counterpoint.voice_overlap(voices(line(list(upper)), line(list(lower)))).value
        assert ours == float(quartet.voiceOverlap()), (upper, lower)


def test_strong_beats_of_common_time(voices, line):
    # Beats 1 and 3 of two bars: a third, a second, an octave, a tritone.
    piece = voices(line([64, 62, 72, 66], duration=48), line([60, 60, 60, 60], duration=48))
    assert counterpoint.strong_dissonance(piece).value == 2 / 4
    # In 3/4 the same notes have bars at 0, 72 and 144: a third, a second (held), a tritone.
    waltz = piece.replace(meters=[(0, 3, 4)])
    assert counterpoint.strong_dissonance(waltz).value == 2 / 3


def test_a_suspension_is_treated_and_a_leap_is_not(voices):
    # 7-6 suspension: D held over E on the third beat of the bar and resolved to C sharp.
    suspension = voices([(0, 72, 74), (72, 24, 73)], [(0, 48, 65), (48, 48, 64)])
    assert counterpoint.strong_dissonance(suspension).value == 1 / 2
    assert counterpoint.dissonance_treated(suspension).value == 1
    leap = voices([(0, 48, 67), (48, 24, 74), (72, 24, 67)], [(0, 48, 72), (48, 24, 64), (72, 24, 72)])
    assert counterpoint.dissonance_treated(leap).value == 0


def test_final_cadence(voices, line):
    # G major chord, C major chord: bass on the tonic, triad, dominant before.
    close = voices(line([74, 72], 48), line([71, 72], 48), line([55, 48], 48), key="C major")
    assert counterpoint.final_cadence(close).value == 1
    # The same in G major: neither bass nor triad is the tonic's, and no dominant (D with F sharp or A) comes
    # before.
    assert counterpoint.final_cadence(close.replace(key="G major")).value == 0
    # A major third at the end of a minor piece is a full close too.
    picardy = voices(line([71, 73], 48), line([68, 69], 48), line([52, 45], 48), key="a minor")
    assert counterpoint.final_cadence(picardy).value == 1
    plagal = voices(line([72, 72], 48), line([69, 67], 48), line([53, 48], 48), key="C major")
    assert counterpoint.final_cadence(plagal).value == pytest.approx(2 / 3)


def test_chord_fit(voices, line):
    chord = voices(line([67], 12), line([64], 12), line([60], 12))
    assert harmony.chord_fit(chord).value == 1
    # C-D-E flat clusters: the best template (C minor, or a seventh chord) holds two of three notes.
    cluster = voices(line([63], 12), line([62], 12), line([60], 12))
    assert harmony.chord_fit(cluster).value == pytest.approx(2 / 3)
    assert harmony.chord_fit(voices(line([60, 62, 64]))).value is None


def test_slices_weigh_by_time(voices):
    piece = voices([(6, 12, 60)], [(0, 24, 64)])
    profiles = harmony.slice_profiles(View(piece))
    assert profiles.shape == (2, 12)
    assert profiles[:, 0].tolist() == [6, 6]
    assert profiles[:, 4].tolist() == [12, 12]
