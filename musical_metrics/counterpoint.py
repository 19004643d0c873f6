"""How the voices stand to each other: crossing, overlap, dissonance and its treatment, the final cadence."""

from __future__ import annotations

import numpy as np

from tokenization.analysis.moments import strong_pairs
from tokenization.analysis.view import SILENT, View
from tokenization.key import Key
from tokenization.score import DURATION, ONSET, PITCH

from .measure import Measure, needs_key, needs_voices, ratio

# The triad on the tonic, semitones above it.
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}


def _neighbours(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pitches of the higher and the lower of every two neighbouring voices at every onset, and whether both
    sound, `(t, v - 1)` each.
    """
    pitches = view.pitches(view.rows)
    upper, lower = pitches[:, :-1], pitches[:, 1:]
    return upper, lower, (upper != SILENT) & (lower != SILENT)


@needs_voices
def voice_crossing(view: View) -> Measure:
    """Share of the sounding pairs of neighbouring voices, taken at every onset, in which the higher voice has
    the lower pitch.
    """
    upper, lower, both = _neighbours(view)
    return ratio((both & (upper < lower)).sum(), both.sum(), "no two voices ever sound together")


@needs_voices
def voice_overlap(view: View) -> Measure:
    """Share of the steps of neighbouring voices in which one moves past the pitch that the other has just
    left.

    A step is two onsets running at which both voices sound; overlap is music21's `voiceOverlap` (the upper
    voice goes below where the lower was, or the lower above where the upper was), counted where the new
    sonority does not also cross.
    """
    upper, lower, both = _neighbours(view)
    steps = both[:-1] & both[1:]
    past = (upper[1:] < lower[:-1]) | (lower[1:] > upper[:-1])
    past &= (upper[1:] >= lower[1:]) & (upper[:-1] >= lower[:-1])
    return ratio((steps & past).sum(), steps.sum(), "no two voices sound together at two onsets running")


@needs_voices
def strong_dissonance(view: View) -> Measure:
    """Share of the strong beats with two voices or more on which a second, a seventh or a tritone sounds
    (compounds included).
    """
    _, dissonant, beats = strong_pairs(view)
    return ratio(
        len(np.unique(beats[dissonant])),
        len(np.unique(beats)),
        "no two voices sound together on a strong beat",
    )


def _dissonances(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `lines` of the dissonant pairs on strong beats, and which of these notes are held over from
    before the beat, `(p, 2)` both.
    """
    pairs, dissonant, beats = strong_pairs(view)
    pairs = pairs[dissonant]
    return pairs, view.lines[pairs, ONSET] < view.strong_beats[beats[dissonant], None]


@needs_voices
def dissonance_treated(view: View) -> Measure:
    """Share of the dissonant pairs on strong beats that counterpoint would allow.

    A pair is treated if one of its notes is prepared (held over from before the beat, or a repetition of the
    voice's pitch) or begins there by step (appoggiatura), and one of the two leaves by step (one or two
    semitones).
    """
    pairs, held = _dissonances(view)
    moved = np.full(len(view.lines) + 1, 99)  # interval that leads to each note; 99 after a rest
    moved[view.steps + 1] = view.intervals
    prepared = held | (np.abs(moved[pairs]) <= 2)
    leaves = np.abs(moved[pairs + 1])
    by_step = (leaves == 1) | (leaves == 2)
    return ratio(
        (prepared.any(axis=1) & by_step.any(axis=1)).sum(), len(pairs), "no dissonance falls on a strong beat"
    )


@needs_voices
def dissonance_prepared(view: View) -> Measure:
    """Share of the dissonant pairs on strong beats of which one note is prepared: it sounds on from before
    the beat, or repeats the pitch that its voice has just had (Fux, *Gradus ad Parnassum*, 1725, fourth
    species).
    """
    pairs, held = _dissonances(view)
    repeats = np.zeros(len(view.lines), dtype=bool)
    repeats[view.steps + 1] = view.intervals == 0
    return ratio(
        (held | repeats[pairs]).any(axis=1).sum(), len(pairs), "no dissonance falls on a strong beat"
    )


def final_chord(view: View, key: Key) -> tuple[np.ndarray, bool, bool]:
    """The notes that sound to the end (within an eighth of it), `(n, 4)`, whether the lowest is the tonic,
    and whether all belong to the tonic triad (a major third also in minor).
    """
    ends = view.array[:, ONSET] + view.array[:, DURATION]
    final = view.array[ends > view.score.end - 12]
    degrees = (final[:, PITCH] - key.pitch_class) % 12
    in_triad = np.isin(degrees, (*TRIADS[key.mode], 4)).all()
    return final, degrees[final[:, PITCH].argmin()] == 0, bool(in_triad)


@needs_key
def final_cadence(view: View, key: Key) -> Measure:
    """How much the end is a full close in the declared key, 0 to 1: the mean of three questions.

    The lowest final note is the tonic; every final note belongs to the tonic triad (a major third also in
    minor); the dominant sounds in the half note before the first of the final notes begins, and so does the
    leading note or the second degree.
    """
    final, over_tonic, in_triad = final_chord(view, key)
    begin = final[:, ONSET].min()
    ends = view.array[:, ONSET] + view.array[:, DURATION]
    before = view.array[(ends > begin - 48) & (view.array[:, ONSET] < begin)]
    degrees = (before[:, PITCH] - key.pitch_class) % 12
    dominant = (degrees == 7).any() and np.isin(degrees, (11, 2)).any()
    return Measure(sum(map(bool, (over_tonic, in_triad, dominant))) / 3)
