"""How the voices stand to each other: crossing, overlap, dissonance and its treatment, the final cadence."""

from __future__ import annotations

import numpy as np

from tokenization.analysis.moments import strong_pairs
from tokenization.analysis.view import SILENT, View, as_view
from tokenization.score import DURATION, ONSET, PITCH, Score

from .measure import NO_NOTES, Measure, needs_voices, nothing, ratio

# The triad on the tonic, semitones above it.
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}


@needs_voices
def voice_crossing(view: View) -> Measure:
    """Share of the sounding pairs of neighbouring voices, taken at every onset, in which the higher voice has
    the lower pitch.
    """
    pitches = view.pitches(view.rows)
    upper, lower = pitches[:, :-1], pitches[:, 1:]
    both = (upper != SILENT) & (lower != SILENT)
    return ratio((both & (upper < lower)).sum(), both.sum(), "no two voices ever sound together")


@needs_voices
def voice_overlap(view: View) -> Measure:
    """Share of the steps of neighbouring voices in which one moves past the pitch that the other has just
    left.

    A step is two onsets running at which both voices sound; overlap is music21's `voiceOverlap` (the upper
    voice goes below where the lower was, or the lower above where the upper was), counted where the new
    sonority does not also cross.
    """
    pitches = view.pitches(view.rows)
    upper, lower = pitches[:, :-1], pitches[:, 1:]
    both = (upper != SILENT) & (lower != SILENT)
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


@needs_voices
def dissonance_treated(view: View) -> Measure:
    """Share of the dissonant pairs on strong beats that counterpoint would allow.

    A pair is treated if one of its notes is prepared (held over from before the beat, or a repetition of the
    voice's pitch) or begins there by step (appoggiatura), and one of the two leaves by step (one or two
    semitones).
    """
    pairs, dissonant, beats = strong_pairs(view)
    pairs, times = pairs[dissonant], view.strong_beats[beats[dissonant]]
    lines, last = view.lines, len(view.lines) - 1
    moved = np.zeros(len(lines) + 1, dtype=np.int64)  # interval that leads to each note; 99 after a rest
    moved[:] = 99
    moved[view.steps + 1] = view.intervals
    held = lines[pairs, ONSET] < times[:, None]  # (p, 2)
    prepared = held | (np.abs(moved[pairs]) <= 2)
    leaves = np.abs(moved[np.minimum(pairs, last) + 1])
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
    pairs, dissonant, beats = strong_pairs(view)
    pairs, times = pairs[dissonant], view.strong_beats[beats[dissonant]]
    repeats = np.zeros(len(view.lines), dtype=bool)
    repeats[view.steps + 1] = view.intervals == 0
    prepared = (view.lines[pairs, ONSET] < times[:, None]) | repeats[pairs]  # (p, 2)
    return ratio(prepared.any(axis=1).sum(), len(pairs), "no dissonance falls on a strong beat")


def bass_and_final(view: View) -> tuple[int, np.ndarray]:
    """Lowest pitch of the notes that sound to the end (within an eighth of it), and the pitches of all of
    them.
    """
    ends = view.array[:, ONSET] + view.array[:, DURATION]
    final = view.array[ends > view.score.end - 12, PITCH]
    return int(final.min()), final


def final_cadence(score: Score | View) -> Measure:
    """How much the end is a full close in the declared key, 0 to 1: the mean of three questions.

    The lowest final note is the tonic; every final note belongs to the tonic triad (a major third also in
    minor); the dominant sounds in the half note before the first of the final notes begins, and so does the
    leading note or the second degree.
    """
    view = as_view(score)
    if view.score.key is None:
        return nothing("no key is declared")
    if not len(view.array):
        return nothing(NO_NOTES)
    tonic, mode = view.score.key.pitch_class, view.score.key.mode
    bass, final = bass_and_final(view)
    triad = set(TRIADS[mode]) | {4}
    ends = view.array[:, ONSET] + view.array[:, DURATION]
    begin = int(view.array[ends > view.score.end - 12, ONSET].min())
    before = view.array[(ends > begin - 48) & (view.array[:, ONSET] < begin)]
    degrees = (before[:, PITCH] - tonic) % 12
    dominant = bool(np.isin(degrees, (7,)).any() and np.isin(degrees, (11, 2)).any())
    answers = (bass % 12 == tonic, {(int(p) - tonic) % 12 for p in final} <= triad, dominant)
    return Measure(sum(map(bool, answers)) / 3)


__all__ = [
    "bass_and_final",
    "dissonance_prepared",
    "dissonance_treated",
    "final_cadence",
    "strong_dissonance",
    "voice_crossing",
    "voice_overlap",
]
