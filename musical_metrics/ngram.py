"""An independent n-gram of the train split: how surprising the next interval and the next rhythm of each
voice are.

Two interpolated Witten-Bell models (Witten and Bell 1991; as in Chen and Goodman 1999, section 2.5), each
with contexts from none to long. Both are invariant under transposition and need no key:

- pitch: the melodic interval to the next note of a voice, given the two intervals before it, the strength of
  the beat, and how the voice's last pitch stands to the lowest and the highest note known to sound (modulo
  12). "Known" are the notes that began earlier and the simultaneous ones of higher voices, so that the
  probabilities of all notes multiply to that of the pitches.
- rhythm: the time from one note of a voice to its next, given the two times before it and the place in the
  quarter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenization.analysis.ngram import (
    NO_INTERVAL,
    NO_TIME,
    NOBODY,
    TIME_CLASSES,
    TIMES,
    Events,
    Models,
    NGram,
    beat_strength,
    interval_class,
    ngram_of,
    pitch_contexts,
    shipped_ngrams,
)
from tokenization.analysis.view import SILENT, View, as_view
from tokenization.score import ONSET, PITCH, VOICE, Score

from .measure import NO_STEPS, Measure, nothing


def _before(values: np.ndarray, voices: np.ndarray, back: int, none: int) -> np.ndarray:
    """The value `back` places earlier in the same voice, `none` where there is none."""
    earlier = np.full(len(values), none, dtype=np.int64)
    earlier[back:] = np.where(voices[back:] == voices[:-back], values[:-back], none)
    return earlier


def _known_extremes(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest pitch known to sound when each note of `lines` begins (see above), `SILENT` where
    none: `(m,)` each.
    """
    at = np.searchsorted(view.times, view.lines[:, ONSET])
    column = np.searchsorted(view.voices, view.lines[:, VOICE])
    pitches = view.pitches(view.rows)[at]  # (m, v)
    order = np.arange(len(view.voices))
    known = (pitches != SILENT) & (
        (order < column[:, None]) | ((order > column[:, None]) & ~view.attacks[at])
    )
    lowest = np.where(known, pitches, 999).min(axis=1, initial=999)
    highest = np.where(known, pitches, SILENT).max(axis=1, initial=SILENT)
    return np.where(lowest == 999, SILENT, lowest), highest


def pitch_events(view: View) -> Events:
    """The intervals of all voices with their contexts."""
    lines = view.lines
    if not len(lines):
        return Events(np.zeros(0, dtype=np.int64), np.zeros((0, 5), dtype=np.int64))
    pitch, voice = lines[:, PITCH], lines[:, VOICE]
    last = _before(pitch, voice, 1, SILENT)
    symbols = np.where(last == SILENT, NO_INTERVAL, interval_class(pitch - last))
    one, two = (_before(symbols, voice, back, NO_INTERVAL) for back in (1, 2))
    low, high = (np.where(p == SILENT, NOBODY, (last - p) % 12) for p in _known_extremes(view))
    contexts = pitch_contexts(one, two, low, high, beat_strength(lines[:, ONSET]))
    return Events(symbols[last != SILENT], contexts[last != SILENT])


def rhythm_events(view: View) -> Events:
    """The times between the notes of all voices with their contexts."""
    lines = view.lines
    if len(lines) < 2:
        return Events(np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.int64))
    table = np.full(max(TIMES) + 2, len(TIMES), dtype=np.int64)
    table[list(TIMES)] = np.arange(len(TIMES))
    follows = view.same_voice
    times = np.clip(np.diff(lines[:, ONSET]), 0, len(table) - 1)
    symbols = np.where(follows, table[times], NO_TIME)
    voice = lines[:-1, VOICE]
    one, two = (_before(symbols, voice, back, NO_TIME) for back in (1, 2))
    place = lines[:-1, ONSET] % 24
    c1 = one
    c2 = one * 24 + place
    c3 = c2 * TIME_CLASSES + two
    contexts = np.stack([np.zeros_like(c1), c1, c2, c3], axis=1)
    return Events(symbols[follows], contexts[follows])


def fit(views: Sequence[View]) -> Models:
    """Count both models on some pieces."""
    return Models(
        ngram_of([pitch_events(v) for v in views], NO_INTERVAL),
        ngram_of([rhythm_events(v) for v in views], NO_TIME),
    )


def _nll(model: NGram, events: Events) -> Measure:
    return (
        Measure(float(-model.log_probabilities(events).mean())) if len(events.symbols) else nothing(NO_STEPS)
    )


def pitch_nll(score: Score | View, models: Models | None = None) -> Measure:
    """Nats a note that the pitches cost under the n-gram, given the rhythm.

    Args:
        score (`Score` or `View`): any.
        models (`Models`, *optional*): the shipped ones when not given.
    """
    return _nll((models or shipped_ngrams()).pitch, pitch_events(as_view(score)))


def rhythm_nll(score: Score | View, models: Models | None = None) -> Measure:
    """Nats a note that the rhythm of the voices costs under the n-gram."""
    return _nll((models or shipped_ngrams()).rhythm, rhythm_events(as_view(score)))
