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


def test_a_prepared_dissonance_is_held_or_struck_again(voices):
    # A second on the third beat: D held over, D struck again, and D reached by a leap.
    below = [(0, 48, 65), (48, 48, 64)]
    held, again = [(0, 72, 74), (72, 24, 73)], [(0, 48, 74), (48, 24, 74), (72, 24, 73)]
    leapt = [(0, 48, 69), (48, 24, 74), (72, 24, 73)]
    found = [counterpoint.dissonance_prepared(voices(upper, below)).value for upper in (held, again, leapt)]
    assert found == [1, 1, 0]
    assert counterpoint.dissonance_prepared(voices([(0, 96, 64)], [(0, 96, 60)])).value is None


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


def test_roots_from_beat_to_beat(voices, line):
    # C major, F major (a fifth down), G7 (a second up), C major (a fifth down), C major in another position.
    soprano, alto, bass = [67, 72, 65, 67, 72], [64, 69, 62, 64, 67], [60, 53, 55, 48, 52]
    seventh = [(48, 24, 59)]
    piece = voices(line(soprano), line(alto), seventh, line(bass))
    assert harmony.roots(View(piece)).tolist() == [0, 5, 7, 0, 0]
    assert harmony.root_changes(piece).value == 3 / 4
    assert harmony.root_motion(piece, (5,)).value == pytest.approx(2 / 3)
    assert harmony.root_motion(piece, (1, 2, 10, 11)).value == pytest.approx(1 / 3)
    # What sounds longer within the beat decides: three sixteenths of C major and one of a neighbour note.
    passing = voices([(0, 18, 67), (18, 6, 69)], line([64]), line([60]))
    assert harmony.roots(View(passing)).tolist() == [0]
    assert harmony.root_changes(passing).value is None
    assert harmony.root_motion(voices(line([60, 62])), (5,)).value is None


@pytest.mark.parametrize("up", range(12))
def test_of_roots_that_fit_alike_the_bass_has_it_in_every_key(voices, line, up):
    for chord in ((60, 63, 66, 69), (60, 64, 68)):  # a diminished seventh, an augmented triad
        view = View(voices(*(line([pitch + up]) for pitch in chord[::-1])))
        assert harmony.roots(view).tolist() == [up]
