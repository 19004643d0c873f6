"""No long quotation: a voice does not go on as a movement of the train split does.

A small model that has read 79 movements knows some passages by heart, preludes' above all. A dozen notes in a
row are Bach's idiom, and his own movements share them with each other; a longer run is a quotation. It is
found as the metric of originality finds it, by the shipped index of the train split, at any pitch and speed
(`tokenization/analysis/windows.py`).
"""

from __future__ import annotations

import numpy as np

from tokenization.analysis.windows import STEPS, Index, shipped_index, window_hashes
from tokenization.score import ONSET, PITCH
from tokenization.vocabulary import DUR_TYPE

from ..state import NO_PITCH, State
from .base import BLOCK, FORBIDDEN, PITCHES, Brief, Rule

# Notes that a voice may share with one movement, as far as the index shows; it keeps one window in five, so
# that longer runs escape it (docs/results.md). A filter of all windows would see them, but hold enough to
# rebuild the scores from (docs/LOG.md).
LONGEST = 9


class Quotation(Rule):
    """Forbids notes with which a voice would quote too much; a prompt's notes are not counted, and the plan's
    notes are no choice.
    """

    after = ("DUR", "TIME")
    memory = ("first", "heard", "began")

    def __init__(self, brief: Brief, index: Index | None = None):
        super().__init__(brief)
        self.index, self.due = index or shipped_index(), brief.ask("due")
        self.first = np.repeat(brief.prompt.line_length, brief.rows, axis=0)  # notes that are not counted
        self.heard = self.first.copy()
        # (row, voice) -> place in the index -> number of the note with which the run that has come so far
        # began
        self.began: dict[tuple[int, int], dict[int, int]] = {}

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        struck = state.after(DUR_TYPE)
        if len(struck):
            self._hear(state, struck)
        runs = [key for key, began in self.began.items() if self._may_be_too_long(key, began, state)]
        if not runs:
            return None
        added = np.zeros(scores.shape, dtype=np.float32)
        for row, voice in runs:
            added[row, BLOCK["NOTE"]][self.too_long(state, row, voice)] = FORBIDDEN
        return added

    def _hear(self, state: State, rows: np.ndarray) -> None:
        """Takes the notes that have just been written into the runs."""
        voices = state.note_voice[rows]
        count = state.line_length[rows, voices]
        # Of notes that a voice strikes together only the first goes on its line.
        whole = (count > self.heard[rows, voices]) & (count - self.first[rows, voices] > STEPS)
        self.heard[rows, voices] = count
        if not whole.any():
            return
        rows, voices = rows[whole], voices[whole]
        lines = state.line[rows, voices]  # (notes, LINE, 3)
        hashes, kept = window_hashes(lines[..., PITCH], lines[..., ONSET])
        for i in kept.nonzero()[0].tolist():
            key = (int(rows[i]), int(voices[i]))
            began, now = self.began.pop(key, {}), int(self.heard[key]) - STEPS - 1
            _, places = self.index.hits(hashes[i : i + 1])
            if len(places):
                self.began[key] = {place: _begun(began, place, now) for place in places.tolist()}

    def _may_be_too_long(self, key: tuple[int, int], began: dict[int, int], state: State) -> bool:
        row, voice = key
        if state.kind[row] == DUR_TYPE or self.heard[key] - min(began.values()) < LONGEST:
            return False
        if self.due is not None and self.due()[row, 0] != NO_PITCH:
            return False
        return state.line[row, voice, -1, ONSET] < state.ticks[row]

    def too_long(self, state: State, row: int, voice: int) -> np.ndarray:
        """The pitches that would make a run longer than `LONGEST` now, bool of shape `(pitches,)`."""
        latest, end = state.line[row, voice, -STEPS:], int(self.heard[row, voice])
        shape = (len(PITCHES), STEPS + 1)
        pitches, onsets = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
        pitches[:, :-1], pitches[:, -1] = latest[:, PITCH], PITCHES
        onsets[:, :-1], onsets[:, -1] = latest[:, ONSET], state.ticks[row]
        hashes, kept = window_hashes(pitches, onsets)
        kept = kept.nonzero()[0]
        asked, places = self.index.hits(hashes[kept])
        began, found = self.began.get((row, voice), {}), np.zeros(len(PITCHES), dtype=bool)
        for i, place in zip(kept[asked].tolist(), places.tolist(), strict=True):
            found[i] |= end + 1 - _begun(began, place, end - STEPS) > LONGEST
        return found


def _begun(began: dict[int, int], place: int, now: int) -> int:
    """The note with which the run began that a kept window at a place of the index goes on with; `now`, the
    window's own first note, where it goes on with none. A place is a bar: the next one may have begun.
    """
    return min(began.get(place, now), began.get(place - 1, now))
