"""How the phrases of a melody that is given end, and a piece whose end is given in part: with cadences.

Where the end of a phrase is given it is not for a plan to choose. The rule says only what suits it: a triad
of the key that holds the melody's note, in root position, and before it its dominant, as in a cadence inside
a piece (`cadences.py`). The melody says which triad: its last note is in it, those before are in its dominant
(Piston, *Harmony*, 1941, on harmonizing a given part).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenization.note import DURATION, ONSET, PITCH, VOICE
from tokenization.vocabulary import DUR_TYPE, MAX_VOICES, NOTE_TYPE, OFFSET, TIME_TYPE, VOICE_TYPE

from ..state import State
from .base import BLOCK, DUR_TICKS, PITCHES, TIME_TICKS, Brief, Rule
from .cadences import Moment
from .keys import DOMINANT, HOME, dominant_seventh, last_beat, triad
from .subject import FIFTH

# Nats against a note off the last triad behind the last onset, against one that ends before the end, and
# against a last chord without one of the voices, or with something else than the root in the bass.
OFF, SHORT, INCOMPLETE = 3.0, 8.0, 20.0
# Intervals that no two voices may have twice running, in semitones.
PERFECT = (0, FIFTH)
# A cadence is heard so many ticks before its dominant.
BEFORE = 48
# Triads with which a phrase may end, as the keys whose tonic they are, and how much each is liked; and what
# it costs that a note does not belong to the chord that it is to sound in.
TRIADS = {
    "major": {0: 1.0, 7: 0.7, 21: 0.4, 14: 0.2, 5: 0.1},
    "minor": {21: 1.0, 0: 0.7, 4: 0.6, 14: 0.2, 5: 0.1},
}
FOREIGN, FOREIGN_BEFORE = 5.0, 0.8
# ... and that a phrase ends on the dominant, which has no dominant of its own before it.
HALF = 0.4


def is_half(mode: str, key: int) -> bool:
    """Whether the triad of a key is the dominant of the piece's, with which a phrase ends half."""
    return key == triad(HOME[mode], DOMINANT)[0]


def phrase_key(mode: str, last: Sequence[int], before: Sequence[int], in_bass: bool) -> int:
    """The key in which a phrase ends.

    Args:
        mode (`str`): of the piece.
        last (sequence of `int`): pitches that are given where it ends; `before`: those on the beat before.
        in_bass (`bool`): whether it is the lowest voice that is given: then it has the roots.
    """

    def cost(key: int) -> float:
        chord = triad(key)[:1] if in_bass else triad(key)
        price = FOREIGN * sum(pitch % 12 not in chord for pitch in last) - TRIADS[mode][key]
        if is_half(mode, key):
            return price + HALF
        dominant = dominant_seventh(key)
        return price + FOREIGN_BEFORE * sum(pitch % 12 not in dominant for pitch in before)

    return min(TRIADS[mode], key=cost)


class Ending(Rule):
    """Prices what does not suit the ends that are given."""

    def __init__(self, brief: Brief):
        super().__init__(brief)
        frame = brief.frame
        assert frame is not None
        self.end, self.final = frame.end, frame.final
        self.beat = last_beat(brief.bar_ticks)
        lines = [*frame.phrases, *([frame.final] if frame.final is not None else [])]
        self.moments = [self._moment(line) for line in sorted(set(lines))]
        self.lines = np.array([moment.line for moment in self.moments])
        self.chord = np.isin(PITCHES % 12, self.moments[-1].tonic_chord)
        self._free = np.ones((brief.rows, MAX_VOICES), dtype=bool)
        self.parallel = self._parallel()

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Where ends of phrases are given, or notes may be written up to the end of a piece."""
        return brief.frame is not None and (brief.frame.final is not None or bool(brief.frame.phrases))

    def _moment(self, line: int) -> Moment:
        """The cadence with which a phrase ends at a tick; the last is in the piece's key, unless what is
        given there is no note of its tonic.
        """
        frame, mode = self.brief.frame, self.brief.mode
        assert frame is not None
        notes = frame.notes[:-1]
        ends = notes[:, ONSET] + notes[:, DURATION]
        at = notes[(notes[:, ONSET] <= line) & (ends > line)]
        before = notes[(notes[:, ONSET] < line) & (ends > line - self.beat)]
        in_bass = bool(len(at)) and int(at[-1, VOICE]) == len(frame.lowest) - 1
        key = phrase_key(mode, at[:, PITCH].tolist(), before[:, PITCH].tolist(), in_bass)
        if line == self.final and np.isin(at[:, PITCH] % 12, triad(HOME[mode])).all():
            key = HOME[mode]
        return Moment(line, line if is_half(mode, key) else line - self.beat, key, deceptive=False)

    def _parallel(self) -> tuple[int, int] | None:
        """A tick and a pitch class: a bass that has it from there on would go in parallel fifths or octaves
        with the highest given voice into the last chord, whose root it must have.
        """
        frame = self.brief.frame
        assert frame is not None
        notes, root = frame.notes[:-1], self.moments[-1].root
        line = notes[notes[:, VOICE] == notes[:, VOICE].min(initial=MAX_VOICES)]
        last, before = (line[line[:, ONSET] == self.final], line[line[:, ONSET] < (self.final or 0)])
        if not len(last) or not len(before) or last[0, PITCH] == before[-1, PITCH]:
            return None
        interval = (last[0, PITCH] - root) % 12
        bass = int(before[-1, PITCH] - interval) % 12
        return (int(before[-1, ONSET]), bass) if interval in PERFECT and bass != root else None

    def may_strike(self) -> np.ndarray:
        """Of each row which voices may strike now, bool of shape `(rows, voices)`: in the last chord one
        after another.
        """
        return self._free

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        self._free = np.ones((state.rows, MAX_VOICES), dtype=bool)
        places = np.searchsorted(self.lines, state.ticks)  # the first line at or behind where a piece stands
        added = np.zeros(scores.shape, dtype=np.float32)
        for row, (place, now) in enumerate(zip(places.tolist(), state.ticks.tolist(), strict=True)):
            if place < len(self.moments):
                if now >= self.moments[place].begin - BEFORE:
                    self.moments[place].add(state, row, added[row])
            elif self.final is not None and state.kind[row] == TIME_TYPE:
                added[row, BLOCK["NOTE"]] = np.where(self.chord, 0, -OFF)
            if self.parallel and now < self.lines[-1]:
                self._avoid(state, row, added[row], *self.parallel)
            if now == self.final:
                self._complete(state, row, added[row])
            if self.final is not None and now >= self.final and state.kind[row] == VOICE_TYPE:
                added[row, BLOCK["DUR"]] = -SHORT * (now + DUR_TICKS != self.end)
        return added if added.any() else None

    def _avoid(self, state: State, row: int, added: np.ndarray, since: int, pitch_class: int) -> None:
        """No note of this class in the bass that sounds at a tick or later."""
        now, lowest = int(state.ticks[row]), self._voices(state, row)[-2:]
        if state.kind[row] == TIME_TYPE and now >= since:
            low = state.pitch[row, lowest].max(initial=0) >= PITCHES  # the bass may take them
            added[BLOCK["NOTE"]] -= INCOMPLETE * (low & (pitch_class == PITCHES % 12))
        elif state.kind[row] == VOICE_TYPE and now < since and state.note_pitch[row] % 12 == pitch_class:
            is_bass = [state.note_voice[row]] == lowest[-1:]
            added[BLOCK["DUR"]] -= INCOMPLETE * (is_bass & (since - now < DUR_TICKS))

    def _complete(self, state: State, row: int, added: np.ndarray) -> None:
        """In the last chord every voice has a note, and the lowest the root."""
        now, kind, root = int(state.ticks[row]), state.kind[row], self.moments[-1].root
        voices = self._voices(state, row)
        struck = [voice for voice in voices if state.onset[row, voice] == now]
        waiting = [
            voice for voice in voices if state.end[row, voice] <= now and voice > max(struck, default=-1)
        ]
        if kind == TIME_TYPE and waiting:
            voice, bass = state.pitch[row, [waiting[0], voices[-1]]]
            if waiting == voices[-1:]:
                wrong = root != PITCHES % 12
            else:
                before = (voice - bass) % 12
                is_parallel = before in PERFECT and bass % 12 != root
                wrong = (bass > PITCHES) | (
                    is_parallel & ((PITCHES - root) % 12 == before) & (voice != PITCHES)
                )
            added[BLOCK["NOTE"]] -= INCOMPLETE * wrong
            self._free[row] = np.arange(MAX_VOICES) == waiting[0]
        elif kind == NOTE_TYPE:
            others = [voice for voice in voices if [voice] != waiting[:1]]
            added[[OFFSET["VOICE"] + voice for voice in others]] -= INCOMPLETE
        elif kind == DUR_TYPE and waiting:
            added[BLOCK["TIME"]] -= INCOMPLETE * (TIME_TICKS > 0)

    @staticmethod
    def _voices(state: State, row: int) -> list[int]:
        """The voices that have sounded within two bars, the lowest last."""
        return (state.end[row] >= state.ticks[row] - 2 * state.bar_ticks[row]).nonzero()[0].tolist()
