"""How voices move, how many sound, and how notes lie in the beats, counted by hand."""

from __future__ import annotations

import pytest

from musical_metrics import melody, rhythm, texture
from musical_metrics.measure import NO_STEPS, ONE_VOICE


def test_seconds_repetitions_turns_and_recovered_leaps(voices, line):
    # Steps: +2, 0, +7, -1, -5, +2, -2.
    piece = voices(line([60, 62, 62, 69, 68, 63, 65, 63]))
    assert melody.steps_by_second(piece).value == pytest.approx(4 / 6)
    assert melody.repeated_pitches(piece).value == pytest.approx(1 / 7)
    # Both leaps, of a fifth up and of a fourth down, are answered by a second the other way.
    assert melody.leaps_recovered(piece).value == 1
    # (7, -1) turns, (-1, -5) does not, (-5, 2) and (2, -2) do; pairs with a repetition are left out.
    assert melody.turns(piece).value == 3 / 4
    on = voices(line([60, 67, 69, 62, 64]))  # a leap that goes on, one that is answered
    assert melody.leaps_recovered(on).value == 1 / 2


def test_nothing_of_a_melody_reaches_across_rests_or_voices(voices, line):
    apart = voices(line([60, 67]) + line([66, 60], start=72), line([72]))
    assert melody.leaps_recovered(apart).value is None
    assert melody.steps_by_second(apart).value == 0
    assert melody.turns(apart).reason == "no voice has three notes in a row"
    assert melody.steps_by_second(voices(line([60]), line([62]))).reason == NO_STEPS


def test_voices_that_sound_and_strike(voices, line):
    # Two bars: the lower voice is silent in the first one and holds one note in the second.
    piece = voices(line([72, 74, 76, 77, 79, 77, 76, 74]), [(96, 96, 60)])
    assert texture.voices_sounding(piece).value == pytest.approx((4 * 1 + 4 * 2) / (8 * 2))
    assert texture.changing_texture(piece).value == 0.5  # bars of 1 and of 2 voices
    assert texture.struck_together(piece).value == 1 / 4
    assert texture.outer_distance(piece).value == (19 + 17 + 16 + 14) / 4
    alone = voices(line([72, 74, 76, 77]))
    assert texture.voices_sounding(alone).value == 1
    assert texture.struck_together(alone).reason == ONE_VOICE
    assert texture.changing_texture(alone).value is None


def test_time_and_not_onsets_weigh_the_voices_that_sound(voices):
    piece = voices([(0, 72, 72), (72, 24, 74)], [(72, 24, 60)])
    assert texture.voices_sounding(piece).value == (3 * 1 + 1 * 2) / (4 * 2)


def test_beats_syncopations_and_values(voices, line):
    # Quarter, eighth and a quarter over the beat, eighth, half: beats 1, 2 and 4 of five are struck, 3 is not.
    notes = [(0, 24, 60), (24, 12, 62), (36, 24, 64), (60, 12, 65), (72, 24, 67), (96, 24, 69)]
    piece = voices(notes)
    assert rhythm.beats_struck(piece).value == 4 / 5
    assert rhythm.syncopation(piece).value == pytest.approx(1 / 6)
    assert rhythm.syncopation(voices([(0, 48, 60), (48, 48, 62)])).value == 0  # long, but on beats
    # Steps of 24, 12, 24, 12, 24: never as long as the one before.
    assert rhythm.values_kept(piece).value == 0
    even = voices(line([60, 62, 64, 65], 12))
    assert rhythm.values_kept(even).value == 1
    assert rhythm.beats_struck(even).value == 1
    assert rhythm.values_kept(voices(line([60, 62]))).value is None


def test_beats_of_compound_and_changing_meters(voices, line):
    eighths = line([60] * 9, 12)
    # In 6/8 the beats are ticks 0, 36 and 72; then, in 2/4, 72 and 96.
    assert (
        rhythm.beats_struck(voices([(0, 30, 60), (36, 30, 60), (90, 6, 60)], meters=[(0, 6, 8)])).value
        == 2 / 3
    )
    changing = voices(eighths, meters=[(0, 6, 8), (72, 2, 4)])
    assert rhythm.beats_struck(changing).value == 1
    # A note of an eighth and a half: between beats over the next one in 2/4, not in 6/8.
    assert rhythm.syncopation(voices([(12, 18, 60)], meters=[(0, 2, 4)])).value == 1
    assert rhythm.syncopation(voices([(12, 18, 60)], meters=[(0, 6, 8)])).value == 0
