"""The subject of a fugue: what it is, and where it is stated."""

from __future__ import annotations

import numpy as np

from ..score import ONSET, PITCH, VOICE
from .view import View

MIN_SUBJECT, MAX_SUBJECT = 4, 20  # notes
SUBJECT_MATCH = 0.7  # share of a subject's steps that an entry must have
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


def statements(view: View, subject: Subject) -> np.ndarray:
    """Rows of `lines` at which the subject is stated, rising by voice and time."""
    if len(view.lines) < 2:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(subject_matches(view, subject, np.arange(len(view.lines) - 1)) >= SUBJECT_MATCH)
    # A subject that repeats a figure matches itself a little later: such matches are one statement.
    return rows[np.append(True, np.diff(rows) >= len(subject.steps))] if len(rows) else rows
