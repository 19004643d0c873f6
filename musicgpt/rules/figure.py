"""A figure is kept: a bar goes on in the rhythm, the voices and the steps of the bar before.

Neighbouring bars of Bach's preludes share 30 % of what their voices do at each place, those of his fugues
29 % (`figure_kept` in `docs/metrics.md`); the model alone forgets its figure: 20 and 17 %. What the bar
before did at the same place gains here, whatever the harmony: the step in time, the voice, the duration, and
the step of the scale.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import ONSET, VOICE
from tokenization.vocabulary import (
    DUR_TYPE,
    NEAREST_DURATION,
    NOTE_TYPE,
    OFFSET,
    PITCH_MAX,
    PITCH_MIN,
    TIME_STEPS,
    TIME_TYPE,
    VOICE_TYPE,
)

from ..state import NO_PITCH, State
from .base import VOCAB_SIZE, Brief, Rule
from .keys import HOME
from .replay import degree_of, scale_of

# A bar of which so much has the pitches of the bar before stands still; then those pitches lose so many nats
# for each bar that does, up to three.
ALIKE, STILL = 0.75, 1.5
# Nats for a step in time and a duration, for a voice, and for a step of the scale, in fugues and elsewhere.
IN_FUGUES, ELSEWHERE = (0.7, 0.7, 0.4), (0.35, 0.35, 1.15)
_STEP_TOKEN = {ticks: OFFSET["TIME"] + place for place, ticks in enumerate(TIME_STEPS)}


class Bar:
    """What the voices did in a bar.

    Args:
        notes (array of shape `(n, 4)`): of the bar, sorted as in `State.notes`.
        line (`int`): tick at which it began.
        key (`int`): whose degrees count.
    """

    def __init__(self, notes: np.ndarray, line: int, key: int):
        self.events: list[tuple[int, int]] = []  # place in the bar and voice
        self.durations: dict[tuple[int, int], int] = {}
        self.pitches: dict[tuple[int, int], int] = {}
        self.steps: dict[tuple[int, int], int] = {}  # of the scale, from the voice's note before in the bar
        latest: dict[int, int] = {}
        for onset, duration, pitch, voice in notes.tolist():
            event, degree = (onset - line, voice), degree_of(pitch, key)[0]
            if event in self.durations:  # a second note of the voice at once
                continue
            self.events.append(event)
            self.durations[event], self.pitches[event] = duration, pitch
            if voice in latest:
                self.steps[event] = degree - latest[voice]
            latest[voice] = degree

    def stands_still(self, before: Bar | None) -> bool:
        """Whether most of its notes have the pitches of the bar before."""
        if before is None or not self.events:
            return False
        same = sum(before.pitches.get(event) == pitch for event, pitch in self.pitches.items())
        return same >= ALIKE * len(self.events)

    def after(self, place: int, voice: int) -> int | None:
        """Ticks from a note to the next one, `None` where it was the last."""
        return next((at - place for at, other in self.events if (at, other) > (place, voice)), None)

    def voices(self, place: int, after: int) -> list[int]:
        """The voices that struck at a place, from those below a voice on."""
        return [voice for at, voice in self.events if at == place and voice > after]


class Figure(Rule):
    """Likes what the bar before did at the same place."""

    memory = ("bars", "before", "still")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.rhythm, self.voice, self.step = IN_FUGUES if brief.form == "fugue" else ELSEWHERE
        self.key = HOME[brief.mode]
        self.bars = np.full(brief.rows, -1)
        self.before: list[Bar | None] = [None] * brief.rows
        self.still = np.zeros(brief.rows, dtype=np.int64)  # bars running that stood still

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        added = None
        for row in range(state.rows):
            if state.bar[row] != self.bars[row]:
                self.bars[row] = state.bar[row]
                read = self._read(state, row)
                self.still[row] = min(3, self.still[row] + 1) if read.stands_still(self.before[row]) else 0
                self.before[row] = read
            bar = self.before[row]
            if bar is not None and bar.events:
                added = np.zeros((state.rows, VOCAB_SIZE), dtype=np.float32) if added is None else added
                self._add(state, row, bar, added[row])
        return added

    def _read(self, state: State, row: int) -> Bar:
        ticks = int(state.bar_ticks[row])
        line = int(state.ticks[row] - state.bar_position[row]) - ticks
        notes = state.notes[row, : state.num_notes[row]]
        notes = notes[(notes[:, ONSET] >= line) & (notes[:, ONSET] < line + ticks)]
        return Bar(notes, line, self.key)

    def _add(self, state: State, row: int, bar: Bar, added: np.ndarray) -> None:
        kind, place = state.kind[row], int(state.bar_position[row])
        voice, pitch = int(state.note_voice[row]), int(state.note_pitch[row])
        if kind == DUR_TYPE:
            if (ticks := bar.after(place, voice)) in _STEP_TOKEN:
                added[_STEP_TOKEN[ticks]] += self.rhythm  # type: ignore[index]
        elif kind == TIME_TYPE:
            for wanted in self._pitches(state, row, bar).values():
                for one in (wanted, wanted + 1) if self._may_be_raised(wanted) else (wanted,):
                    if PITCH_MIN <= one <= PITCH_MAX:
                        added[OFFSET["NOTE"] + one - PITCH_MIN] = self.step
            if self.still[row]:
                for event in bar.events:
                    if event[0] == place:
                        added[OFFSET["NOTE"] + bar.pitches[event] - PITCH_MIN] = -STILL * self.still[row]
        elif kind == NOTE_TYPE:
            for other in bar.voices(place, self._struck(state, row)):
                added[OFFSET["VOICE"] + other] = self.voice
            for other, wanted in self._pitches(state, row, bar).items():
                added[OFFSET["VOICE"] + other] += self.step * (wanted == pitch)  # raised ones are any voice's
        elif kind == VOICE_TYPE and (ticks := bar.durations.get((place, voice))) is not None:
            added[OFFSET["DUR"] + int(NEAREST_DURATION[ticks])] += self.rhythm

    def _pitches(self, state: State, row: int, bar: Bar) -> dict[int, int]:
        """Of each voice that struck here the pitch to which the same step of the scale leads it now."""
        place, found = int(state.bar_position[row]), {}
        for voice in bar.voices(place, self._struck(state, row)):
            last, step = int(state.pitch[row, voice]), bar.steps.get((place, voice))
            if step is not None and last != NO_PITCH:
                octave, degree = divmod(degree_of(last, self.key)[0] + step, 7)
                found[voice] = self.key % 12 + 12 * octave + scale_of(self.key)[degree]
        return found

    def _may_be_raised(self, pitch: int) -> bool:
        """Whether the semitone above a degree is none of the scale."""
        return degree_of(pitch + 1, self.key)[1] > 0

    @staticmethod
    def _struck(state: State, row: int) -> int:
        """The voice that has just struck; -1 where none has, at this onset."""
        number = int(state.num_notes[row])
        last = state.notes[row, number - 1]
        return int(last[VOICE]) if number and last[ONSET] == state.ticks[row] else -1
