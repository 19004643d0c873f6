"""What strict counterpoint forbids is made less likely: crossing voices, parallel fifths and octaves, voices
that stay where they are or go to and fro, in fugues great leaps, hidden fifths and octaves and dissonances
that are leapt to.

A model of this size hears each voice, but not always all of them together. The rules are those of the
textbooks (Fux, *Gradus ad Parnassum*, 1725; Piston, *Counterpoint*, 1947), as prices in nats on a note and on
the voice that takes it: no pitch is forbidden, and a note that Bach's rules call for pays what it costs. What
is strict is which voice may take a note at all (`takers.py`): notes that begin together are written from the
highest voice down, and a voice of a fugue has one note at a time. In Bach's fugues .07 % of the notes have
another one struck over them by their own voice; when it cost 6 nats, .6 % of ours had.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import PITCH
from tokenization.vocabulary import DUR_TYPE, MAX_VOICES, NOTE_TYPE, OFFSET, PITCH_MAX, PITCH_MIN, TIME_TYPE

from ..state import NEVER, NO_PITCH, State
from .base import BLOCK, FORBIDDEN, PITCHES, Brief, Rule
from .registers import registers
from .takers import BY_STEP, PASSED_OVER, REST, STEP, Taking, recent

# Nats. A leap is melodic, between notes of a voice that are not far apart; overlap is going past where a
# neighbour just was, in fugues and elsewhere.
CROSSING, PARALLEL, LEAP, REPEATED = 6.0, 12.0, 6.0, 1.0
AGAIN = 4.0  # for a pitch that the voice has had twice running
TO_AND_FRO = 0.5  # for the pitch that the voice had before the last one
# For going on with a cell of so many notes that the voice has had twice running; one of two notes, heard four
# times, is one of four, too. In preludes figures of three notes are no fault.
ONCE_MORE, CELLS, CELLS_ELSEWHERE = 1.5, (2, 3, 4), (2, 4)
# For a fifth or octave of the outer voices of a fugue to which both go in one direction, the upper one by a
# leap.
HIDDEN = 2.0
# For each semitone by which a voice is further than so many from the middle of its register; and in a fugue
# for each below the middle, for its lines fall.
STRAY, NEARBY, LOW = 0.5, 10, 0.05
UNISON = 2.0  # for a pitch that another voice has
OVERLAP, OVERLAP_ELSEWHERE = 3.0, 1.5
LARGEST_LEAP = 12  # semitones
# For leaving a leap of so many semitones in a fugue by another one, in the same direction or back.
WIDE, ONWARDS, BACK = 5, 1.2, 0.4
# Nats against a note that a voice leaps to, or begins with, for its dissonance with a note that sounds, by
# semitones modulo 12; a step is free.
DISSONANCE = np.array([0, 1.2, 0.4, 0, 0, 0, 0.2, 0, 0, 0, 0.2, 1.2])
# ... and for a dissonance with a note that is struck at the same time, by step, too.
STRUCK = np.array([0, 2.2, 0.75, 0, 0, 0, 0.75, 0, 0, 0, 0.75, 2.2])
STRUCK_ELSEWHERE = 0.3  # of it, where it is no fugue
STRUCK_ON_BEATS = 1.6  # times it, in a fugue: what is dissonant there is prepared, by a note that is held
# Tables with a row for each MIDI pitch that was heard and a column for each that may come; the row of
# `NO_PITCH` has zeros. `_SIDES` says where a note is higher, and where it is lower.
_INTERVAL = PITCHES - np.arange(PITCH_MAX + 2)[:, None]


def _table(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    values[NO_PITCH] = 0
    return values


_SIDES = np.stack([_table(_INTERVAL > 0), _table(_INTERVAL < 0)], axis=1)
_UNISONS = _table(UNISON * (_INTERVAL == 0))
_SAME, _LEAPT = _table(_INTERVAL == 0), _table(np.abs(_INTERVAL) > LARGEST_LEAP)
_IS_PERFECT = np.isin(np.arange(12), (0, 7))
_UP, _DOWN = _table(_INTERVAL > STEP), _table(_INTERVAL < -STEP)
# After a leap up (1) and down (-1).
_LEFT = np.stack([0 * _UP, ONWARDS * _UP + BACK * _DOWN, ONWARDS * _DOWN + BACK * _UP])
_DISSONANT = _table(DISSONANCE[_INTERVAL % 12])
_SHARP = _table(STRUCK[_INTERVAL % 12])


class Counterpoint(Rule):
    """Lowers the scores of notes and voices by what counterpoint has against them.

    In fugues voices are kept apart: leaps, dissonances after them and overlaps cost more. A second note of a
    voice at once, as broken chords have it, is free elsewhere and impossible there.
    """

    after = ("TIME", "NOTE", "DUR")
    memory = ("known", "impossible")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.voices, self.is_fugue = brief.voices or MAX_VOICES, brief.form == "fugue"
        self.overlap = OVERLAP if self.is_fugue else OVERLAP_ELSEWHERE
        self.sharp = _SHARP if self.is_fugue else STRUCK_ELSEWHERE * _SHARP
        self.cells = CELLS if self.is_fugue else CELLS_ELSEWHERE
        self.taking, self.beat = Taking.of(brief), brief.beat
        self.pedals, self.strays = brief.ask("pedals"), np.zeros((self.voices, len(PITCHES)))
        for voice, middle in enumerate(registers(brief.voices, brief.transposition)):
            self.strays[voice] = STRAY * np.maximum(0, np.abs(PITCHES - middle) - NEARBY)
            self.strays[voice] += self.is_fugue * LOW * np.maximum(0, middle - PITCHES)
        # Of each row what `penalty` said after its last TIME: it holds until a note is written.
        self.known = np.zeros((brief.rows, self.voices, len(PITCHES)))
        self.impossible = np.zeros(self.known.shape, dtype=bool)
        # How far a note is past another voice: one that is silent, that has just ended, that sounds.
        self.walls = np.array([0.0, self.overlap, CROSSING])[:, None, None, None] * _SIDES
        self.own = REPEATED * _SAME + self.is_fugue * LEAP * _LEAPT
        number = np.arange(self.voices)
        below = (number[:, None] > number).astype(float)  # (voice, other): that the other one is higher
        # (voice, 2 * other + side): whether it must not be on that side of the other one.
        self.apart = np.stack([below, below.T], axis=2).reshape(self.voices, -1)

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        added = np.zeros(scores.shape, dtype=np.float32)
        at = state.after(TIME_TYPE)
        if len(at):
            known, taken = self.penalty(state, at), self.taking(state, at)
            self.known[at], self.impossible[at] = known, taken.impossible
            # For a note of each pitch, by the voices that may take it.
            price = np.where(taken.by_some, -np.add.reduce(taken.weight * known, axis=1), FORBIDDEN)
            taken.excuse(price)
            price[state.num_notes[at] == 0] = 0
            added[at, BLOCK["NOTE"]] = price
        at = state.after(NOTE_TYPE)
        if len(at):
            place = state.note_pitch[at] - PITCH_MIN
            penalty = np.where(self.impossible[at, :, place], FORBIDDEN, -self.known[at, :, place])
            added[at, OFFSET["VOICE"] : OFFSET["VOICE"] + self.voices] = penalty
        if self.is_fugue:
            at = state.after(DUR_TYPE)
            last = at[state.note_voice[at] == self.voices - 1]
            added[last, OFFSET["TIME"]] = FORBIDDEN  # TIME_0: no voice is left below
        return added

    def penalty(self, state: State, at: np.ndarray) -> np.ndarray:
        """What each voice would pay for each pitch now.

        Args:
            state (`State`): of all rows; `at` (array of shape `(n,)`): those that are asked about, after a
                TIME.

        Returns:
            array of shape `(n, voices, pitches)`, in nats.
        """
        taken = self.taking(state, at)
        now, latest = taken.now, state.line[at, : self.voices, -2:, PITCH]
        pitch, onset, end, before, before_end = taken.heard
        sounds, near, by_step = taken.sounds, taken.near, taken.by_step
        if len(taken.rows):  # the note that is due has changed them
            sounds, near = end > now, recent(pitch, end, now)
            by_step = BY_STEP[near]
        own, struck = self.own[near] + self.strays, onset == now
        again = (near == latest[..., 0]) & (near == latest[..., 1])
        if _some(again):
            own += (AGAIN - REPEATED) * _SAME[np.where(again, near, NO_PITCH)]
        left = np.where((near == latest[..., 1]) & (near != latest[..., 0]), latest[..., 0], NO_PITCH)
        own += TO_AND_FRO * _SAME[left]
        if self.is_fugue:
            self._add_leaps(own, latest, near)
        self._add_cells(own, state.line[at, : self.voices, :, PITCH], near)
        # Other voices: none goes past them.
        sides = self.walls[np.where(sounds, 2, end == now), pitch]  # (n, voices, sides, pitches)
        if has_struck := _some(struck):
            # ... nor past where those were before that have just moved.
            moved = struck & sounds & (before != NO_PITCH)
            sides += self.walls[1 * moved, before]
        own += self.apart @ sides.reshape(len(at), -1, len(PITCHES))
        if self.is_fugue:
            harsh = _DISSONANT[np.where(self._without_pedals(sounds, at), pitch, NO_PITCH)]
            own += (np.add.reduce(harsh, axis=1, keepdims=True) - harsh) * ~by_step
            # A voice that has just ended and could go on is silent once one below has struck.
            waits = (taken.end == now) & ~np.logical_and.reduce(taken.impossible, axis=2)
            own += PASSED_OVER * (np.add.accumulate(waits, axis=1) - waits)[..., None]
        taken_by = _UNISONS[np.where(sounds, pitch, NO_PITCH)]
        own += np.add.reduce(taken_by, axis=1, keepdims=True) - taken_by
        if not has_struck:
            return own
        sharp = self.sharp[np.where(struck, pitch, NO_PITCH)]
        if self.is_fugue:
            on_beat = state.bar_position[at] % self.beat == 0
            sharp = sharp * np.where(on_beat, STRUCK_ON_BEATS, 1.0)[:, None, None]
        own += np.add.reduce(sharp, axis=1, keepdims=True) - sharp
        self._add_parallels(own, pitch, end, before, before_end, moved, now)
        if self.is_fugue:
            self._add_hidden(own, pitch, near, before, moved, recent(pitch, end, now))
        return np.where(struck[..., None], 0.0, own)

    def _without_pedals(self, sounds: np.ndarray, at: np.ndarray) -> np.ndarray:
        """`sounds`, `(n, voices)`, but for the voices that hold a pedal: over it all may sound."""
        held = self.pedals()[at] if self.pedals else None
        if held is None or not _some(held >= 0):
            return sounds
        return sounds & (held[:, None] != np.arange(self.voices))

    def _add_leaps(self, penalty: np.ndarray, latest: np.ndarray, near: np.ndarray) -> None:
        """Adds the penalty of leaving a leap by a leap; `latest` has the last two notes of each voice, `(n,
        voices, 2)`.
        """
        way = (near - latest[..., 0]) * ((latest[..., 0] != NO_PITCH) & (near == latest[..., 1]))
        leapt = np.abs(way) >= WIDE
        if _some(leapt):
            penalty += _LEFT[np.sign(way), np.where(leapt, near, NO_PITCH)]

    def _add_cells(self, penalty: np.ndarray, line: np.ndarray, near: np.ndarray) -> None:
        """Adds the penalty of a third time; `line` has the last notes of each voice, `(n, voices, 9)`."""
        goes_on = near == line[..., -1]
        for notes in self.cells:
            if not _some(goes_on & (line[..., -1] == line[..., -1 - notes])):
                continue
            last, first = line[..., -notes:], line[..., -2 * notes : -notes]
            twice = np.logical_and.reduce(last == first, axis=2) & goes_on
            twice &= np.minimum.reduce(last, axis=2) != np.maximum.reduce(last, axis=2)
            if _some(twice):
                penalty += ONCE_MORE * _SAME[np.where(twice, last[..., 0], NO_PITCH)]

    def _add_hidden(self, penalty, pitch, near, before, moved, heard) -> None:
        """Adds the penalty of fifths and octaves to which the highest and the lowest voice of those that are
        `heard` go in one direction.
        """
        if not _some(moved):
            return
        sounds = heard != NO_PITCH
        top = sounds.argmax(axis=1)
        bottom = sounds.shape[1] - 1 - sounds[:, ::-1].argmax(axis=1)
        n = np.arange(len(top))
        for voice, other in ((bottom, top), (top, bottom)):
            way, own = pitch[n, other] - before[n, other], near[n, voice]
            at = (moved[n, other] & (way != 0) & (own != NO_PITCH) & (voice != other)).nonzero()[0]
            if not len(at):
                continue
            steps = PITCHES - own[at, None]
            leap = np.where((voice > other)[at, None], np.abs(way)[at, None], np.abs(steps))
            wrong = _IS_PERFECT[np.abs(pitch[at, other[at], None] - PITCHES) % 12]
            wrong &= (steps * way[at, None] > 0) & (leap > STEP)
            penalty[at, voice[at]] += HIDDEN * wrong

    def _add_parallels(self, penalty, pitch, end, before, before_end, moved, now) -> None:
        """Adds the penalty of parallel fifths and octaves with voices that have just moved."""
        near = np.minimum(end[:, :, None], np.where(before != NO_PITCH, before_end, NEVER)[:, None, :])
        interval = np.abs(before[:, None, :] - pitch[:, :, None]) % 12
        pairs = (near > (now - REST)[..., None]) & ((interval == 0) | (interval == 7))
        pairs &= (moved & (pitch != before))[:, None, :] & ~np.eye(self.voices, dtype=bool)
        n, voice, other = np.nonzero(pairs)
        if not len(n):
            return
        same = np.abs(pitch[n, other, None] - PITCHES) % 12 == interval[n, voice, other, None]
        np.add.at(penalty, (n, voice), PARALLEL * (same & (pitch[n, voice, None] != PITCHES)))


def _some(where: np.ndarray) -> bool:
    """Whether any is true; of so few, quicker than `any`."""
    return bool(np.logical_or.reduce(where, axis=None))
