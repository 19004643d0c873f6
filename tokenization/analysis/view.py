"""`View`: what several metrics need of a score (its lines, its sonorities, its bars), each worked out
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ..note_values import grid
from ..score import DURATION, ONSET, PITCH, VOICE, Meter, Score

# A silence of at least this many ticks (an eighth note) within a voice is a rest; a shorter one is
# articulation.
REST = 12
# A voice in which more than this share of the notes begin together with another one of the same voice is no
# line.
MAX_CHORDS = 0.25
SILENT = -1


class View:
    """A score with its derived tables.

    Args:
        score (`Score`): any score. If its voices are not lines (all notes of a keyboard piece in one voice,
            say), they are inferred by `tokenization.infer_voices`.

    Attributes:
        array (integer array of shape `(n, 4)`): the notes, with the voices that the metrics use.
        voicing (`str`): where those come from: `"as in the score"` or `"inferred"` (here, or by the reader of
            the file).
        key_estimated (`bool`): whether the reader had to guess the key.
    """

    def __init__(self, score: Score):
        self.score = score
        self.array = score.array
        self.voicing = "inferred" if _noted(score, "voices inferred") else "as in the score"
        self.key_estimated = _noted(score, "key estimated")
        if len(score) > 1 and _share_of_chords(score.array) > MAX_CHORDS:
            from ..voices import infer_voices

            self.array, self.voicing = score.array.copy(), "inferred"
            self.array[:, VOICE] = infer_voices(score.array)

    # -- lines: one voice, one note at a time

    @cached_property
    def lines(self) -> np.ndarray:
        """The notes by voice, then onset, shape `(m, 4)`; of notes that a voice begins together the
        highest.
        """
        array = self.array[np.lexsort((-self.array[:, PITCH], self.array[:, ONSET], self.array[:, VOICE]))]
        same = (np.diff(array[:, [VOICE, ONSET]], axis=0) == 0).all(axis=1)
        return array[np.append(True, ~same)] if len(array) else array

    @cached_property
    def same_voice(self) -> np.ndarray:
        """Whether note `i + 1` of `lines` belongs to the voice of note `i`, bool of shape `(m - 1,)`."""
        return np.diff(self.lines[:, VOICE]) == 0

    @cached_property
    def steps(self) -> np.ndarray:
        """Indices `i` such that notes `i` and `i + 1` of `lines` follow each other in a voice with no rest
        between.
        """
        ends = self.lines[:-1, ONSET] + self.lines[:-1, DURATION]
        return np.flatnonzero(self.same_voice & (self.lines[1:, ONSET] - ends < REST))

    @cached_property
    def intervals(self) -> np.ndarray:
        """Signed semitones of the `steps`."""
        return self.lines[self.steps + 1, PITCH] - self.lines[self.steps, PITCH]

    @cached_property
    def step_pairs(self) -> np.ndarray:
        """Positions `j` such that `steps[j]` and `steps[j + 1]` share their middle note."""
        return np.flatnonzero(np.diff(self.steps) == 1)

    # -- sonorities: what sounds at each onset

    @cached_property
    def voices(self) -> np.ndarray:
        """The voices that have notes, rising (0 = the highest part)."""
        return np.unique(self.lines[:, VOICE])

    @cached_property
    def times(self) -> np.ndarray:
        """The different onsets, rising, shape `(t,)`."""
        return np.unique(self.array[:, ONSET])

    @cached_property
    def starts(self) -> np.ndarray:
        """First row of each voice in `lines` and the end of the last, shape `(v + 1,)`."""
        return np.append(np.searchsorted(self.lines[:, VOICE], self.voices), len(self.lines))

    def sounding(self, times: np.ndarray) -> np.ndarray:
        """Row in `lines` of the note that each voice sounds at each time, `SILENT` where none: `(t, v)`."""
        rows = np.full((len(times), len(self.voices)), SILENT, dtype=np.int64)
        ends = self.lines[:, ONSET] + self.lines[:, DURATION]
        for v, (start, stop) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            last = start + np.searchsorted(self.lines[start:stop, ONSET], times, side="right") - 1  # (t,)
            on = (last >= start) & (ends[np.maximum(last, start)] > times)
            rows[on, v] = last[on]
        return rows

    def pitches(self, rows: np.ndarray) -> np.ndarray:
        """Pitches of rows of `lines`; `SILENT` stays."""
        return np.where(rows == SILENT, SILENT, self.lines[rows, PITCH])

    @cached_property
    def rows(self) -> np.ndarray:
        """`sounding` at every onset, `(t, v)`."""
        return self.sounding(self.times)

    @cached_property
    def attacks(self) -> np.ndarray:
        """Whether each voice begins a note at each onset, bool `(t, v)`."""
        return (self.rows != SILENT) & (self.lines[self.rows, ONSET] == self.times[:, None])

    @cached_property
    def next_rows(self) -> np.ndarray:
        """Row in `lines` of the note that follows the one sounding, in each voice at each onset, with no rest
        between; `SILENT` where none does: `(t, v)`.
        """
        return np.where(np.isin(self.rows, self.steps), self.rows + 1, SILENT)

    # -- bars

    @cached_property
    def bar_lines(self) -> np.ndarray:
        """Ticks of all bar lines, shape `(bars + 1,)`."""
        return self.score.bar_lines()

    def bar_of(self, ticks: np.ndarray) -> np.ndarray:
        """Index of the bar in which each moment lies."""
        return np.searchsorted(self.bar_lines, ticks, side="right") - 1

    @cached_property
    def bar_of_note(self) -> np.ndarray:
        """Index of the bar in which each note of `array` begins."""
        return self.bar_of(self.array[:, ONSET])

    @cached_property
    def place_of_note(self) -> np.ndarray:
        """Ticks from the bar line to each note of `array`."""
        return self.array[:, ONSET] - self.bar_lines[self.bar_of_note]

    @cached_property
    def strong_beats(self) -> np.ndarray:
        """Ticks of the strong beats: every bar line, and the half bar where the bar is a whole note or longer
        and even.
        """
        beats = [self.bar_lines[:-1]]
        for meter, lines in self._meters_with_lines():
            if meter.bar_ticks >= 96 and meter.numerator % 2 == 0:
                beats.append(lines + meter.bar_ticks // 2)
        return np.unique(np.concatenate(beats))

    @cached_property
    def beats(self) -> np.ndarray:
        """Ticks of all beats, rising: at most a quarter in simple meters, dotted in compound ones."""
        beats = [np.zeros(1, dtype=np.int64)]
        for meter, lines in self._meters_with_lines():
            beats.append((lines[:, None] + np.arange(0, meter.bar_ticks, grid(meter).beat)).reshape(-1))
        return np.unique(np.concatenate(beats))

    def _meters_with_lines(self) -> Iterator[tuple[Meter, np.ndarray]]:
        """Each meter and the bar lines at which its bars begin."""
        ends = [m.onset for m in self.score.meters[1:]] + [int(self.bar_lines[-1])]
        for meter, end in zip(self.score.meters, ends, strict=True):
            yield meter, self.bar_lines[(self.bar_lines >= meter.onset) & (self.bar_lines < end)]

    def after_beat(self, ticks: np.ndarray) -> np.ndarray:
        """How many ticks after the last beat each moment lies; 0 is on a beat."""
        return ticks - self.beats[np.searchsorted(self.beats, ticks, side="right") - 1]


def as_view(score: Score | View) -> View:
    """The score's view; a view is returned as it is."""
    return score if isinstance(score, View) else View(score)


def _noted(score: Score, words: str) -> bool:
    """Whether the reader of the score noted something that begins with the words."""
    return any(notice.startswith(words) for notice in score.notices)


def _share_of_chords(array: np.ndarray) -> float:
    """Share of the notes that begin together with another note of the same voice."""
    order = np.lexsort((array[:, ONSET], array[:, VOICE]))
    same = (np.diff(array[order][:, [VOICE, ONSET]], axis=0) == 0).all(axis=1)
    return float((np.append(same, False) | np.append(False, same)).mean())
