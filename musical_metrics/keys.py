"""Keys over the piece: how it begins, what is foreign to the scale of the moment, the cadences inside, the
chord at the end.
"""

from __future__ import annotations

import numpy as np

from tokenization.analysis.moments import cadences
from tokenization.analysis.view import View, as_view
from tokenization.key import Key
from tokenization.probe_tones import probe_tone_profiles
from tokenization.score import DURATION, ONSET, PITCH, Score

from .counterpoint import final_chord
from .measure import Measure, needs_key, needs_notes, nothing, ratio

OPENING_BARS = 4
# Ticks on each side of a note within which a scale must hold it: two quarters.
NEAR = 48
# Major, harmonic minor and melodic minor upwards, semitones above the tonic.
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11), (0, 2, 3, 5, 7, 9, 11))
# Bars of the window in which a local key is heard.
WINDOW_BARS = 4
# Bars at the beginning and at the end in which a cadence is not one of those inside.
EDGE_BARS = 2
_PROFILES = probe_tone_profiles()
# (36, 12)
_SCALES = np.array([np.isin((np.arange(12) - root) % 12, scale) for scale in SCALES for root in range(12)])


def fitting_key(array: np.ndarray) -> int:
    """The key (`Key.number`) whose profile correlates best with the sounding time of the pitch classes; of
    several that do the one whose tonic lies nearest above the lowest note.

    Krumhansl, *Cognitive Foundations of Musical Pitch* (1990), chapter 4. `array` holds notes as
    `Score.array` does.
    """
    weights = np.bincount(array[:, PITCH] % 12, weights=array[:, DURATION], minlength=12)
    lowest = int(array[:, PITCH].min())
    fits = np.round(_PROFILES @ (weights - weights.mean()), 6).reshape(2, 12)
    mode, above = divmod(int(np.roll(fits, -lowest % 12, axis=1).argmax()), 12)
    return 12 * mode + (lowest + above) % 12


@needs_key
def opening_in_key(view: View, key: Key) -> Measure:
    """1 if the first four bars are heard in the declared key (`fitting_key`), else 0."""
    end = view.bar_lines[min(OPENING_BARS, len(view.bar_lines) - 1)]
    opening = view.array[view.array[:, ONSET] < end]
    if not len(opening):
        return nothing(f"the first {OPENING_BARS} bars are empty")
    return Measure(float(fitting_key(opening) == key.number))


@needs_key
def opening_degree(view: View, key: Key) -> Measure:
    """1 if the first note (the highest, of several) is the tonic or the fifth of the declared key, else 0."""
    first = view.array[view.array[:, ONSET] == view.array[0, ONSET], PITCH].max()
    return Measure(float((first - key.pitch_class) % 12 in (0, 7)))


@needs_notes
def foreign_notes(view: View) -> Measure:
    """Share of the notes that are foreign to the scale of their surroundings.

    Of the notes that begin within two quarters the 36 major, harmonic and melodic minor scales hold as many
    as they can; a note is foreign that none of the best ones holds.
    """
    onsets, classes = view.array[:, ONSET], view.array[:, PITCH] % 12
    # (n + 1, 12): how many notes of each class came before
    before = np.concatenate(
        [np.zeros((1, 12), dtype=np.int64), np.cumsum(np.eye(12, dtype=np.int64)[classes], axis=0)]
    )
    first = np.searchsorted(onsets, onsets - NEAR, side="left")
    stop = np.searchsorted(onsets, onsets + NEAR, side="right")
    held = (before[stop] - before[first]) @ _SCALES.T  # (n, 36)
    best = held == held.max(axis=1, keepdims=True)
    inside = (best & _SCALES[:, classes].T).any(axis=1)
    return Measure(float(1 - inside.mean()))


def local_keys(view: View) -> np.ndarray:
    """The key heard in every four bars running (`fitting_key`), shape `(windows,)`; empty windows are left
    out.
    """
    bars = len(view.bar_lines) - 1
    bar = view.bar_of_note
    edges = np.searchsorted(bar, np.arange(bars + 1))
    found = []
    for first in range(max(1, bars - WINDOW_BARS + 1)):
        rows = view.array[edges[first] : edges[min(bars, first + WINDOW_BARS)]]
        if len(rows):
            found.append(fitting_key(rows))
    return np.array(found, dtype=np.int64)


@needs_key
def away_from_home(view: View, key: Key) -> Measure:
    """Share of the windows of four bars heard in another key than the declared one (`local_keys`)."""
    return Measure(float((local_keys(view) != key.number).mean()))


@needs_key
def near_keys(view: View, key: Key) -> Measure:
    """Share of the windows of four bars that are heard in the declared key or in one whose signature differs
    from it by one sharp or flat at most, relative keys included.

    These are where a piece of the time goes (Kirnberger, *Die Kunst des reinen Satzes*, 1771-79; Schoenberg,
    *Structural Functions of Harmony*, 1954).
    """
    found = local_keys(view)
    signature = np.where(found < 12, found, found + 3) % 12  # the tonic of the major key of this signature
    home = (key.pitch_class + 3 * (key.mode == "minor")) % 12
    return Measure(float(np.isin((signature - home) % 12, (0, 5, 7)).mean()))


@needs_notes
def key_changes(view: View) -> Measure:
    """How often the local key changes from one window of four bars to the next, in sixteen bars
    (`local_keys`).
    """
    found = local_keys(view)
    return ratio(
        (np.diff(found) != 0).sum(), len(found) - 1, "the piece has fewer than five bars", scale=16.0
    )


def inner_cadences(score: Score | View) -> Measure:
    """Authentic cadences (`cadences`) in sixteen bars, without those of the first and last two bars."""
    view = as_view(score)
    bars = len(view.bar_lines) - 1 - 2 * EDGE_BARS
    if bars < 1 or not len(view.array):
        return nothing(f"the piece has no bar beside its first and last {EDGE_BARS}")
    ticks = cadences(view)
    inside = (ticks >= view.bar_lines[EDGE_BARS]) & (ticks < view.bar_lines[-1 - EDGE_BARS])
    return Measure(16 * float(inside.sum()) / bars)


@needs_key
def final_triad(view: View, key: Key) -> Measure:
    """1 if the piece ends on the tonic triad over its root (in minor with either third), else 0."""
    _, over_tonic, in_triad = final_chord(view, key)
    return Measure(float(over_tonic and in_triad))
