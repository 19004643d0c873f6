"""The fugue: its subject, who states it, how it is answered, what is set against it, and how closely the
entries follow.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import ONSET, PITCH, VOICE, Score

from .measure import Measure, nothing, ratio
from .recurrence import degrees
from .view import View, as_view

MIN_SUBJECT, MAX_SUBJECT = 4, 20  # notes
SUBJECT_MATCH = 0.7  # share of a subject's steps that an entry must have
# Entries follow in stretto when the next one begins before so much of the subject is over.
STRETTO = 0.9
# Steps of an answer that are compared with the subject's: where a tonal answer differs it does so in its
# head.
HEAD = 8
# A countersubject has so many steps; it returns when so many of them come again.
MIN_COUNTERSUBJECT, COUNTERSUBJECT_MATCH = 4, 0.6
NOT_A_FUGUE = "preludes have no subject"


class Subject:
    """The opening of a fugue: what the first voice plays alone, cut to at most `MAX_SUBJECT` notes.

    Attributes:
        steps (integer array of shape `(notes - 1, 2)`): the interval in semitones and the time in ticks to
            the next note.
        voice (`int`): the voice that begins.
    """

    def __init__(self, steps: np.ndarray, voice: int):
        self.steps, self.voice = steps, voice

    @property
    def length(self) -> int:
        """Ticks from its first note to its last."""
        return int(self.steps[:, 1].sum())


def find_subject(view: View) -> Subject | str:
    """The subject, or the reason why none is found."""
    if view.score.form == "prelude":
        return NOT_A_FUGUE
    if len(view.voices) < 2:
        return "the piece has fewer than two voices"
    lines, starts = view.lines, view.starts
    entries = lines[starts[:-1], ONSET]
    order = np.argsort(entries, kind="stable")
    if entries[order[0]] == entries[order[1]]:
        return "two voices begin together, so there is no subject alone"
    first = int(order[0])
    own = lines[starts[first] : starts[first + 1]]
    alone = own[own[:, ONSET] < entries[order[1]]][:MAX_SUBJECT]
    if len(alone) < MIN_SUBJECT:
        return f"the first voice is alone for fewer than {MIN_SUBJECT} notes"
    return Subject(np.diff(alone[:, [PITCH, ONSET]], axis=0), int(view.voices[first]))


def subject_matches(view: View, subject: Subject, at: np.ndarray) -> np.ndarray:
    """Share of the subject's steps that the line has from each row `at` of `lines`, shape `(len(at),)`.

    A step matches if it takes the same time and its interval differs by two semitones at most in the same
    direction (a real answer, or a tonal one, or the subject in the other mode).
    """
    lines, length = view.lines, len(subject.steps)
    rows = at[:, None] + np.arange(length)  # (a, length)
    inside = rows + 1 < len(lines)
    rows = np.minimum(rows, len(lines) - 2)
    inside &= lines[rows, VOICE] == lines[rows + 1, VOICE]
    moved = lines[rows + 1] - lines[rows]  # (a, length, 4)
    near = np.abs(moved[..., PITCH] - subject.steps[:, 0]) <= 2
    same_way = np.sign(moved[..., PITCH]) * np.sign(subject.steps[:, 0]) >= 0
    return (inside & near & same_way & (moved[..., ONSET] == subject.steps[:, 1])).mean(axis=1)


def subject_entries(score: Score | View) -> Measure:
    """Share of the voices that enter with the subject of the fugue: its first notes, at any pitch.

    The first voice states it; each other voice counts if its first notes, or those of one of its first three
    phrases, match (`subject_matches` of at least 0.7).
    """
    view = as_view(score)
    subject = find_subject(view)
    if isinstance(subject, str):
        return nothing(subject)
    entered = 0
    after_rest = np.ones(len(view.lines), dtype=bool)
    after_rest[view.steps + 1] = False
    for voice, start, stop in zip(view.voices, view.starts, view.starts[1:], strict=False):
        begins = start + np.flatnonzero(after_rest[start:stop])[:3]
        entered += bool(
            voice == subject.voice or (subject_matches(view, subject, begins) >= SUBJECT_MATCH).any()
        )
    return Measure(entered / len(view.voices))


def subject_recurrence(score: Score | View) -> Measure:
    """Statements of the subject in the whole piece per voice, the exposition included."""
    view = as_view(score)
    subject = find_subject(view)
    if isinstance(subject, str):
        return nothing(subject)
    return ratio(len(statements(view, subject)), len(view.voices), "the piece has no voices")


def statements(view: View, subject: Subject) -> np.ndarray:
    """Rows of `lines` at which the subject is stated, rising by voice and time."""
    if len(view.lines) < 2:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(subject_matches(view, subject, np.arange(len(view.lines) - 1)) >= SUBJECT_MATCH)
    # A subject that repeats a figure matches itself a little later: such matches are one statement.
    return rows[np.append(True, np.diff(rows) >= len(subject.steps))] if len(rows) else rows


def entry_density(score: Score | View) -> Measure:
    """Statements of the subject in sixteen bars."""
    view = as_view(score)
    subject = find_subject(view)
    if isinstance(subject, str):
        return nothing(subject)
    return ratio(len(statements(view, subject)), len(view.bar_lines) - 1, "the piece has no bar", scale=16)


def stretti(score: Score | View) -> Measure:
    """How many statements begin before nine tenths of the one before them are over, in whatever voice."""
    view = as_view(score)
    subject = find_subject(view)
    if isinstance(subject, str):
        return nothing(subject)
    onsets = np.sort(view.lines[statements(view, subject), ONSET])
    return Measure(float((np.diff(onsets) < STRETTO * subject.length).sum()))


def tonal_answer(score: Score | View) -> Measure:
    """1 if the second voice answers with the subject changed in its first eight steps (a tonal answer), 0 if
    it transposes it exactly.
    """
    view = as_view(score)
    subject = find_subject(view)
    if isinstance(subject, str):
        return nothing(subject)
    entries = np.argsort(view.lines[view.starts[:-1], ONSET], kind="stable")
    answer = int(view.starts[entries[1]])
    if subject_matches(view, subject, np.array([answer]))[0] < SUBJECT_MATCH:
        return nothing("the second voice does not enter with the subject")
    size = min(HEAD, len(subject.steps))
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


def countersubject_returns(score: Score | View) -> Measure:
    """Share of the later statements against which some voice plays the countersubject again.

    The countersubject is what the first voice plays against the answer; it returns where six tenths of its
    steps (time from the entry, degrees of the key) come again in a voice that does not state the subject.
    """
    view = as_view(score)
    subject = find_subject(view)
    if isinstance(subject, str):
        return nothing(subject)
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


__all__ = [
    "Subject",
    "countersubject_returns",
    "entry_density",
    "find_subject",
    "statements",
    "stretti",
    "subject_entries",
    "subject_matches",
    "subject_recurrence",
    "tonal_answer",
]
