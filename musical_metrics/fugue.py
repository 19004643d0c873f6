"""The fugue: its subject, who states it, how it is answered, what is set against it, and how closely the
entries follow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np

from tokenization.analysis.moments import phrase_starts
from tokenization.analysis.subjects import SUBJECT_MATCH, Subject, find_subject, statements, subject_matches
from tokenization.analysis.view import View, as_view
from tokenization.score import ONSET, PITCH, VOICE, Score

from .measure import Measure, nothing, ratio
from .recurrence import degrees

# Entries follow in stretto when the next one begins before so much of the subject is over.
STRETTO = 0.9
# Steps of an answer that are compared with the subject's: where a tonal answer differs it does so in its
# head.
HEAD = 8
# A countersubject has so many steps; it returns when so many of them come again.
MIN_COUNTERSUBJECT, COUNTERSUBJECT_MATCH = 4, 0.6


def _needs_subject(metric: Callable[[View, Subject], Measure]) -> Callable[[Score | View], Measure]:
    """A metric of fugues, which is given the subject."""

    @wraps(metric)
    def measured(score: Score | View) -> Measure:
        view = as_view(score)
        subject = find_subject(view)
        return nothing(subject) if isinstance(subject, str) else metric(view, subject)

    return measured


@_needs_subject
def subject_entries(view: View, subject: Subject) -> Measure:
    """Share of the voices that enter with the subject of the fugue: its first notes, at any pitch.

    The first voice states it; each other voice counts if its first notes, or those of one of its first three
    phrases, match (`subject_matches` of at least 0.7).
    """
    entered = 0
    phrases = phrase_starts(view)
    for voice, start, stop in zip(view.voices, view.starts, view.starts[1:], strict=False):
        begins = phrases[(phrases >= start) & (phrases < stop)][:3]
        entered += bool(
            voice == subject.voice or (subject_matches(view, subject, begins) >= SUBJECT_MATCH).any()
        )
    return Measure(entered / len(view.voices))


@_needs_subject
def subject_recurrence(view: View, subject: Subject) -> Measure:
    """Statements of the subject in the whole piece per voice, the exposition included."""
    return ratio(len(statements(view, subject)), len(view.voices), "the piece has no voices")


@_needs_subject
def entry_density(view: View, subject: Subject) -> Measure:
    """Statements of the subject in sixteen bars."""
    return ratio(len(statements(view, subject)), len(view.bar_lines) - 1, "the piece has no bar", scale=16)


@_needs_subject
def stretti(view: View, subject: Subject) -> Measure:
    """How many statements begin before nine tenths of the one before them are over, in whatever voice."""
    onsets = np.sort(view.lines[statements(view, subject), ONSET])
    return Measure(float((np.diff(onsets) < STRETTO * subject.length).sum()))


@_needs_subject
def inversions(view: View, subject: Subject) -> Measure:
    """How many times the subject is stated upside down: in its rhythm, each interval about as large the other
    way.
    """
    return Measure(float(len(statements(view, Subject(subject.steps * [-1, 1], subject.voice)))))


@_needs_subject
def tonal_answer(view: View, subject: Subject) -> Measure:
    """1 if the second voice answers with the subject changed in its first eight steps (a tonal answer), 0 if
    it transposes it exactly.
    """
    entries = np.argsort(view.lines[view.starts[:-1], ONSET], kind="stable")
    answer, end = int(view.starts[entries[1]]), int(view.starts[entries[1] + 1])
    if subject_matches(view, subject, np.array([answer]))[0] < SUBJECT_MATCH:
        return nothing("the second voice does not enter with the subject")
    size = min(HEAD, len(subject.steps))
    if end - answer <= size:
        return nothing("the second voice breaks off within the subject's first eight steps")
    steps = np.diff(view.lines[answer : answer + size + 1, PITCH])
    return Measure(float((steps != subject.steps[:size, 0]).any()))


def _steps_in(view: View, voice: int, start: int, length: int) -> set[tuple[int, int]]:
    """What a voice does from a tick on: (ticks to there, degrees of the key from the note before) of every
    step within `length` ticks.
    """
    line = view.lines[view.lines[:, VOICE] == voice]
    line = line[(line[:, ONSET] >= start) & (line[:, ONSET] <= start + length)]
    moved = np.diff(degrees(line[:, PITCH], view.score.key))
    return set(zip((line[1:, ONSET] - start).tolist(), moved.tolist(), strict=True))


@_needs_subject
def countersubject_returns(view: View, subject: Subject) -> Measure:
    """Share of the later statements against which some voice plays the countersubject again.

    The countersubject is what the first voice plays against the answer; it returns where six tenths of its
    steps (time from the entry, degrees of the key) come again in a voice that does not state the subject.
    """
    answered = int(np.sort(view.lines[view.starts[:-1], ONSET])[1])
    model = _steps_in(view, subject.voice, answered, subject.length)
    if len(model) < MIN_COUNTERSUBJECT:
        return nothing("too little is set against the answer to come back")
    later = [
        row
        for row in statements(view, subject).tolist()
        if view.lines[row, ONSET] > answered + subject.length / 2
    ]
    returned = 0
    for row in later:
        others = [int(voice) for voice in view.voices if voice != view.lines[row, VOICE]]
        shared = [
            len(model & _steps_in(view, voice, int(view.lines[row, ONSET]), subject.length))
            for voice in others
        ]
        returned += max(shared, default=0) >= COUNTERSUBJECT_MATCH * len(model)
    return ratio(returned, len(later), "the subject is not stated again after the answer")
