"""Whether two hands can play it on the keyboard of Bach's time: spans, range, width of the voices."""

from __future__ import annotations

import numpy as np

from tokenization.analysis.view import View, as_view
from tokenization.score import DURATION, ONSET, PITCH, Score

from .measure import NO_NOTES, Measure, needs_notes, ratio

TENTH = 16  # semitones of a major tenth
KEYBOARD = (36, 84)  # C2 and C6, between which most of the Well-Tempered Clavier stays


def narrowest_hands(pitches: np.ndarray) -> int:
    """Semitones that the wider hand spans when two hands share notes that sound together, the lower ones
    left, as well as can be.

    Args:
        pitches (integer array of shape `(notes,)`): rising, at least one.
    """
    left = pitches - pitches[0]  # span of the left hand up to each note
    right = np.append(pitches[-1] - pitches[1:], 0)  # and of the right hand from the next one on
    return int(np.maximum(left, right).min())


@needs_notes
def wide_hands(view: View, held: bool = False) -> Measure:
    """Share of the moments at which notes begin where a hand must strike more than a major tenth at once.

    Staves and fingerings are not asked: at each moment the notes are shared out between two hands so that the
    wider one is as narrow as can be. So this is a least: what it counts no dealing of the notes makes
    playable without a roll.

    Args:
        view (`Score` or `View`): the piece.
        held (`bool`): whether the notes that still sound count as well, not only those struck.
    """
    array = view.array
    ends = array[:, ONSET] + array[:, DURATION]
    onsets, starts = np.unique(array[:, ONSET], return_index=True)
    wide = 0
    for onset, start, stop in zip(onsets.tolist(), starts, np.append(starts[1:], len(array)), strict=True):
        rows = np.flatnonzero(ends[:stop] > onset) if held else np.arange(start, stop)
        wide += narrowest_hands(np.sort(array[rows, PITCH])) > TENTH
    return ratio(wide, len(onsets), NO_NOTES)


def beyond_keyboard(score: Score | View) -> Measure:
    """Share of the notes below C2 or above C6."""
    pitches = as_view(score).array[:, PITCH]
    return ratio(((pitches < KEYBOARD[0]) | (pitches > KEYBOARD[1])).sum(), len(pitches), NO_NOTES)


@needs_notes
def widest_voice(view: View) -> Measure:
    """Semitones between the lowest and the highest note of the voice in which they lie farthest apart."""
    return Measure(float(max(np.ptp(view.array[view.array[:, 3] == voice, PITCH]) for voice in view.voices)))
