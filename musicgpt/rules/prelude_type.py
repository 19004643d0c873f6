"""Types of preludes: an invention, in which another voice answers the opening; a figuration of even notes; a
cantabile, in which long and short notes alternate.

Of the train split's 39 preludes 9 are inventions, 13 figurations and 17 cantabile, by the criteria of
`benchmarks/prelude_types.py` (Ledbetter, *Bach's Well-tempered Clavier*, 2002, describes such types). What
tells them apart there is how they open; they keep their figures (.32, .29, .28) and their chords (in .45, .45
and .40 of the half bars) nearly alike, so one strength holds for all. A piece draws one of the 39, of as many
voices: its type, and how much the durations of its first bars vary, by which its beginning is chosen. In an
invention the opening comes at once in another voice an octave or two away: with voices exchanged where the
bar is good so (invertible counterpoint), else with something new against it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tokenization.score import Note
from tokenization.vocabulary import DUR_TYPE, TIME_TYPE, VOICE_TYPE

from ..state import NO_PITCH, State
from .base import LOW, VOCAB_SIZE, Brief, Rule
from .beginning import BARS
from .fugue import Plan
from .replay import Replay, harshness, in_order, in_reach, limit_durations, limit_steps
from .returns import exchanged
from .subject import OCTAVE

INVENTION, FIGURATION, CANTABILE = "invention", "figuration", "cantabile"
# Bits of the durations of the first two bars of each movement, of those of two voices and of those of more.
OPENINGS = {
    INVENTION: ((0.62, 0.93, 1.38, 1.44, 1.68), (0.97, 1.15, 1.8, 2.11)),
    FIGURATION: ((0.0, 0.72, 1.04, 1.06), (0.73, 0.81, 0.96, 0.96, 1.0, 1.04, 1.06, 1.07, 1.15)),
    CANTABILE: (
        (1.65, 2.06),
        (0.68, 1.1, 1.22, 1.31, 1.37, 1.37, 1.53, 1.54, 1.62, 1.63, 1.74, 1.79, 1.94, 2.28, 2.53),
    ),
}
# Of what is answered notes, at least, and pitches; and the largest share of dissonant pairs in it.
LEAST_NOTES, LEAST_PITCHES, HARSHEST = 5, 4, 0.25
# The model's own first bars have `PLAIN` bits. Where more are drawn, the logits of durations and steps in
# time are divided by 1 and so much a bit, up to `WARMEST`.
PLAIN, WARMTH, WARMEST = 0.9, 0.4, 1.3
# What it costs a beginning (`beginning.py`) that nothing in it can be answered.
UNANSWERED = 2.0


class Drawn(NamedTuple):
    """A type, and the bits of the durations of its first bars."""

    name: str
    bits: float


class Answer(Plan):
    """Notes of one voice that come, whatever the others do: the plan of a fugue with one statement."""

    def _schedule(self, last: int) -> None:
        """Nothing follows."""


class PreludeType(Rule):
    """Draws the type of each piece, and lets a voice answer the opening of an invention."""

    after = ("DUR", "TIME", "NOTE", "VOICE")
    memory = ("types", "answers", "replays", "is_open", "unanswered", "heat", "_due")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.types = [self._draw(seed) for seed in brief.seeds]
        self.answers: list[Answer | None] = [None] * brief.rows
        self.replays: list[Replay | None] = [None] * brief.rows
        bits = np.array([one.bits for one in self.types])
        self.heat = np.clip(1 + WARMTH * (bits - PLAIN), 1, WARMEST)[:, None]
        self.is_open = np.array(self.inventions())  # the opening is not over
        self.unanswered = np.zeros(brief.rows, dtype=bool)
        self._due = np.full((brief.rows, 3), NO_PITCH)

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """To preludes from their first note on, of which nothing is given."""
        return brief.form != "fugue" and not brief.is_continuation and brief.frame is None

    def _draw(self, seed: int) -> Drawn:
        voices = self.brief.voices
        found = [
            Drawn(name, value)
            for name, (two, more) in OPENINGS.items()
            for value in ((*two, *more) if voices is None else two if voices <= 2 else more)
        ]
        return found[int(np.random.default_rng((seed, 9)).integers(len(found)))]

    def prelude_types(self) -> list[Drawn]:
        """The type of each piece."""
        return self.types

    def against_beginnings(self) -> np.ndarray:
        """What there is against each beginning that was made with it, `(rows,)`."""
        return UNANSWERED * self.unanswered

    def inventions(self) -> list[bool]:
        """Which pieces are inventions."""
        return [one.name == INVENTION for one in self.types]

    def due(self) -> np.ndarray:
        """Of each row pitch, voice and duration of the note of the answer that is to be struck now, `(rows,
        3)`; `NO_PITCH` where there is none.
        """
        return self._due

    def stated(self) -> list[list[Note]]:
        """The notes of each piece's answer that are to come."""
        return [
            answer.now if answer else replay.left if replay else []
            for answer, replay in zip(self.answers, self.replays, strict=True)
        ]

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        self._due[:] = NO_PITCH
        if min(state.bar.tolist()) >= BARS and not any((*self.answers, *self.replays)):
            return None
        added = np.zeros((state.rows, VOCAB_SIZE), dtype=np.float32)
        warm = (state.bar < BARS) & np.isin(state.kind, (VOICE_TYPE, DUR_TYPE))
        added[warm] = (1 / self.heat[warm] - 1) * np.maximum(scores[warm], LOW)
        for row in range(state.rows):
            if self.is_open[row]:
                self._open(state, row, added[row])
            replay, answer = self.replays[row], self.answers[row]
            if replay:
                if replay.follow(state, row):
                    replay.add(state, row, added[row])
                else:
                    self.replays[row] = None
            elif answer:
                answer.follow(state, row)
                if answer.now:
                    answer.add(added[row])
                    if note := answer.due:
                        self._due[row] = note.pitch, note.voice, note.duration
                else:
                    self.answers[row] = None
        return added

    def _open(self, state: State, row: int, added: np.ndarray) -> None:
        """The opening ends with its bar; then it is answered."""
        now, end = int(state.ticks[row]), int(state.bar_ticks[row])
        if now < end:
            limit_steps(added, now, end)
            if state.kind[row] == VOICE_TYPE:
                limit_durations(added, now, end)
        elif state.kind[row] == TIME_TYPE:
            self.is_open[row] = False
            array = state.notes[row, : state.num_notes[row]]
            self._answer(row, [Note(*note) for note in array.tolist()], end)
            self.unanswered[row] = not (self.replays[row] or self.answers[row])

    def _answer(self, row: int, notes: list[Note], end: int) -> None:
        """Plan the answer to an opening that ends at a tick: with voices exchanged, if that is good, else the
        line alone that has most notes.
        """
        lines: dict[int, list[Note]] = {}
        for note in notes:
            lines.setdefault(note.voice, []).append(note._replace(onset=note.onset + end))
        lead = max(lines, key=lambda voice: len(lines[voice]), default=-1)
        if (
            lead < 0
            or len(lines[lead]) < LEAST_NOTES
            or len({note.pitch for note in lines[lead]}) < LEAST_PITCHES
        ):
            return
        ways = []
        if len(lines) == 2 and harshness(notes) <= HARSHEST:
            ways = exchanged([note for line in lines.values() for note in line])
        for way in ways:
            if self._is_on_keyboard(way) and in_reach(way):
                self.replays[row] = Replay(way)
                return
        self._answer_line(row, lines[lead], lead, end)

    def _answer_line(self, row: int, line: list[Note], lead: int, bar: int) -> None:
        """Let the lowest voice have a line, of notes struck together the highest, or the highest voice what
        the lowest had.
        """
        tops = {note.onset: note for note in sorted(line, key=in_order, reverse=True)}
        ends = dict(zip(sorted(tops), [*sorted(tops)[1:], 2 * bar], strict=True))
        line = [tops[at]._replace(duration=min(tops[at].duration, ends[at] - at)) for at in sorted(tops)]
        voices = self.brief.voices or max(2, lead + 1)
        other, octave = (voices - 1, -OCTAVE) if lead < voices - 1 else (0, OCTAVE)
        for octaves in (octave, 2 * octave):
            moved = [note._replace(pitch=note.pitch + octaves, voice=other) for note in line]
            if self._is_on_keyboard(moved):
                answer = self.answers[row] = Answer(voices, self.brief.mode, keyboard=self.brief.keyboard)
                answer.take(moved, bar)
                return

    def _is_on_keyboard(self, notes: list[Note]) -> bool:
        low, high = self.brief.keyboard
        return all(low <= note.pitch <= high for note in notes)
