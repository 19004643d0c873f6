"""How loud each note is played, so that one hears how a piece is made. No note is moved, lengthened or
invented.

The rules and where they come from. The sizes, in units of MIDI velocity, are this project's own choice:
small, neither fitted to performances nor tried on listeners.

* The highest note that sounds is the loudest, the bass a little louder than the middle: pianists play the
  voice that is meant to be heard louder (Goebl, "Melody lead in piano performance", J. Acoust. Soc. Am. 110,
  2001), and without that the ear takes the outer voices.
* A voice that states the subject of the fugue comes forward, as players do it (a convention, for which no
  measurement is cited here). Statements are those of `tokenization.analysis.subjects.statements`.
* High-loud and phrase arch of the KTH rules (Friberg, Bresin and Sundberg, "Overview of the KTH rule system
  for musical performance", Advances in Cognitive Psychology 2, 2006): louder as a voice rises, and louder
  towards the middle of its phrase, softer at both ends.
* Into a cadence (`tokenization.analysis.moments.cadences`) the music grows.
* Beats are marked, bar lines more; a dissonance on a strong beat is louder than its resolution by step (a
  rule of the time: Quantz, "Versuch einer Anweisung die Flöte traversiere zu spielen", 1752, chapter 17,
  section 6, grades dissonances by their loudness; C. P. E. Bach's "Versuch" of 1753 has it in its chapter on
  performance).
"""

from __future__ import annotations

import numpy as np

from tokenization.analysis.moments import cadences, phrase_starts, strong_pairs
from tokenization.analysis.subjects import Subject, find_subject, statements
from tokenization.analysis.view import View
from tokenization.note_values import grid
from tokenization.score import DURATION, ONSET, PITCH, Score
from tokenization.vocabulary import TICKS_PER_QUARTER

BASE, SOFTEST, LOUDEST = 66, 40, 100
TOP, BOTTOM = 6, 2  # the highest and the lowest note that sound
ENTRY = 8
A_SEMITONE, MOST = 0.25, 4  # above the mean of the voice, and no more than so much
ARCH = 2  # up in the middle of a phrase, down at its ends
BAR_LINE, BEAT = 3, 1
DISSONANCE, RESOLUTION = 3, -4
CADENCE, BEFORE = 5, 2 * TICKS_PER_QUARTER  # reached within so many ticks before its chord


def velocities(score: Score) -> np.ndarray:
    """MIDI velocity of every note, `int64` of shape `(notes,)` in the order of `score.array`; the same for
    the same score.

    Args:
        score (`Score`): any; where its voices are no lines they are inferred, as for the metrics.
    """
    if not len(score):
        return np.zeros(0, dtype=np.int64)
    view = View(score)
    loud = BASE + _outer(view) + _metrical(view) + _cadential(view)
    # Rules for lines hold for all notes that a voice begins together.
    key = view.array[:, 3] * (score.end + 1) + view.array[:, ONSET]
    line_key = view.lines[:, 3] * (score.end + 1) + view.lines[:, ONSET]
    loud += (_entries(view) + _contour(view) + _dissonances(view))[np.searchsorted(line_key, key)]
    return np.clip(np.rint(loud), SOFTEST, LOUDEST).astype(np.int64)


def _outer(view: View) -> np.ndarray:
    """For notes `(n,)`: whether one is the highest or the lowest of all that sound as it begins."""
    array, ends = view.array, view.array[:, ONSET] + view.array[:, DURATION]
    high, low = np.zeros(len(array), dtype=np.int64), np.zeros(len(array), dtype=np.int64)
    for onset in view.times.tolist():
        sounding = array[(array[:, ONSET] <= onset) & (ends > onset), PITCH]
        here = array[:, ONSET] == onset
        high[here], low[here] = sounding.max(), sounding.min()
    return np.where(array[:, PITCH] == high, TOP, np.where(array[:, PITCH] == low, BOTTOM, 0)).astype(float)


def _metrical(view: View) -> np.ndarray:
    """For notes `(n,)`: bar lines and beats."""
    onsets, loud = view.array[:, ONSET], np.zeros(len(view.array))
    for meter in view.score.meters:
        held = onsets >= meter.onset
        loud[held] = np.where((onsets[held] - meter.onset) % grid(meter).beat == 0, BEAT, 0)
    loud[view.place_of_note == 0] = BAR_LINE
    return loud


def _cadential(view: View) -> np.ndarray:
    """For notes `(n,)`: growing towards each cadence, its chord the loudest."""
    onsets, loud = view.array[:, ONSET], np.zeros(len(view.array))
    for tick in cadences(view).tolist():
        near = (onsets > tick - BEFORE) & (onsets <= tick)
        loud[near] = np.maximum(loud[near], CADENCE * (1 - (tick - onsets[near]) / BEFORE))
    return loud


def _entries(view: View) -> np.ndarray:
    """For rows of `view.lines` `(m,)`: the notes of every statement of the subject."""
    loud = np.zeros(len(view.lines))
    subject = find_subject(view)
    if isinstance(subject, Subject):
        for row in statements(view, subject).tolist():
            loud[row : row + len(subject.steps) + 1] = ENTRY
    return loud


def _contour(view: View) -> np.ndarray:
    """For rows of `view.lines` `(m,)`: high-loud and phrase arch."""
    lines = view.lines
    loud = np.zeros(len(lines))
    for start, stop in zip(view.starts, view.starts[1:], strict=False):
        pitches = lines[start:stop, PITCH]
        loud[start:stop] += np.clip(A_SEMITONE * (pitches - pitches.mean()), -MOST, MOST)
    first = phrase_starts(view)
    for start, stop in zip(first, np.append(first[1:], len(lines)), strict=True):
        onsets = lines[start:stop, ONSET]
        place = (onsets - onsets[0]) / max(1, onsets[-1] - onsets[0])  # 0 to 1
        loud[start:stop] += ARCH * (1 - 2 * (2 * place - 1) ** 2)
    return loud


def _dissonances(view: View) -> np.ndarray:
    """For rows of `view.lines` `(m,)`: struck dissonances on strong beats that resolve by step, and their
    resolutions.
    """
    lines, loud = view.lines, np.zeros(len(view.lines))
    if len(view.voices) < 2:
        return loud
    pairs, dissonant, beats = strong_pairs(view)
    steps = set(view.steps.tolist())
    for pair, beat in zip(
        pairs[dissonant].tolist(), view.strong_beats[beats[dissonant]].tolist(), strict=True
    ):
        for row in pair:
            if row in steps and 0 < lines[row, PITCH] - lines[row + 1, PITCH] <= 2:
                loud[row] = DISSONANCE if lines[row, ONSET] == beat else loud[row]
                loud[row + 1] = RESOLUTION
    return loud
