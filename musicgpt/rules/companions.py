"""What sounds against a statement of a fugue's subject by plan: its countersubject, or the subject itself in
stretto.

A countersubject is what the first voice plays against the answer. It returns with later statements in other
voices, an octave or more higher or lower than there (invertible counterpoint), a few notes changed where they
would clash; a stretto is taken where the subject allows one at some distance (A. Mann, *The Study of Fugue*,
1958). Pitches are those of the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenization.score import Note

from .base import HIGHEST, LOWEST
from .replay import faults, moved
from .subject import OCTAVE, Subject, in_key

# How much of the time a countersubject may clash with the statement, and a stretto.
HARSHEST, STRETTO = 0.3, 0.3
# Weights of the intervals by semitones modulo 12, in tenths: a fourth and a tritone are no sharp dissonance.
_CLASHES = np.array([0, 10, 10, 0, 0, 3, 5, 0, 0, 0, 10, 10])
# One in so many notes of a countersubject may be changed, where that makes it so much better.
MENDED, LEAST_GAIN = 6, 0.1
# A line crosses the other for no more than this share of their time together.
CROSSED = 0.2


def clash(one: Sequence[Note], other: Sequence[Note]) -> float:
    """Share of the time that two lines sound together in which they are dissonant; 0 where they never do."""
    return float(_clashes(_pitches([one]), _pitches([other])[0], _together(one, other))[0, 0])


def crossed(high: Sequence[Note], low: Sequence[Note]) -> float:
    """Share of the time that two lines sound together in which the one that should be higher is not."""
    return float(_crossings(_pitches([high]), _pitches([low])[0], _together(high, low), is_high=True)[0, 0])


def _pitches(ways: Sequence[Sequence[Note]]) -> np.ndarray:
    """The pitches of a line in several ways, `(ways, n)`."""
    return np.array([[note.pitch for note in line] for line in ways])


def _together(one: Sequence[Note], other: Sequence[Note], later: Sequence[int] = (0,)) -> np.ndarray:
    """For how many ticks each two notes of two lines sound together, where the one comes so many ticks later:
    `(later, one, other)`.
    """
    (begin, end), (begins, ends) = (
        np.array([(note.onset, note.onset + note.duration) for note in line]).T for line in (one, other)
    )
    shift = np.array(later)[:, None, None]
    first, last = np.maximum(begin[:, None] + shift, begins), np.minimum(end[:, None] + shift, ends)
    return np.maximum(last - first, 0)


def _share(wrong: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Share of the time that notes sound together, `ticks` of `(later, one, other)`, in which they are wrong,
    `(ways, one, other)`: `(later, ways)`.
    """
    time = np.maximum(ticks.sum(axis=(1, 2)), 1)
    return np.tensordot(ticks, wrong, ((1, 2), (1, 2))) / time[:, None]


def _clashes(one: np.ndarray, other: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """`clash` for pitches of a line, `(ways, n)`, against those of another, `(m,)`: `(later, ways)`."""
    return _share(_CLASHES[np.abs(one[..., None] - other) % 12], ticks) / 10


def _crossings(one: np.ndarray, other: np.ndarray, ticks: np.ndarray, is_high: bool) -> np.ndarray:
    """`crossed` for the same, where the one line should be the higher one, or the lower one."""
    wrong = one[..., None] <= other if is_high else one[..., None] >= other
    return _share(wrong.astype(np.int64), ticks)


class Countersubject:
    """What was set against a statement.

    Args:
        notes (sequence of `Note`): of one voice.
        statement (sequence of `Note`): what they were set against.
        key (`int`): in which that was, 0 to 11 major from C, 12 to 23 minor.
        keyboard (pair of `int`): the lowest and the highest pitch.
    """

    def __init__(
        self,
        notes: Sequence[Note],
        statement: Sequence[Note],
        key: int,
        keyboard: tuple[int, int] = (LOWEST, HIGHEST),
    ):
        self.keyboard = keyboard
        self.notes, self.at, self.key = list(notes), statement[0].onset, key

    def against(self, statement: Sequence[Note], key: int, registers: dict[int, float]) -> list[Note] | None:
        """The same against another statement, in another voice, but for a few notes that would make parallels
        or clash there.

        Args:
            statement (sequence of `Note`): in one voice.
            key (`int`): in which it is.
            registers (dict): of each voice that has entered its mean pitch.

        Returns:
            list of `Note`, or `None` where it would not do, cross, or leave the keyboard.
        """
        shift, pitches = statement[0].onset - self.at, moved([n.pitch for n in self.notes], self.key, key)
        line = [note._replace(onset=note.onset + shift) for note in self.notes]
        low, high = self.keyboard[0] - min(pitches), self.keyboard[1] - max(pitches)
        octaves = [12 * k for k in range(-4, 5) if low <= 12 * k <= high]
        if not octaves:
            return None
        ways, theirs = np.array(octaves)[:, None] + pitches, _pitches([statement])[0]
        ticks = _together(line, statement)
        [harsh] = 4 * _clashes(ways, theirs, ticks)
        found: list[tuple[float, list[Note]]] = []
        for voice, mean in registers.items():
            if voice == statement[0].voice:
                continue
            [wrong] = _crossings(ways, theirs, ticks, voice < statement[0].voice)
            for way in (wrong <= CROSSED).nonzero()[0].tolist():
                own = ways[way].tolist()
                notes = [n._replace(pitch=p, voice=voice) for n, p in zip(line, own, strict=True)]
                far = abs(sum(own) / len(own) - mean) / OCTAVE
                found.append((far + faults([*notes, *statement]) + harsh[way], notes))
        if not found:
            return None
        notes = self._mended(min(found, key=lambda one: one[0])[1], statement, key)
        is_good = not faults([*notes, *statement]) and clash(notes, statement) <= HARSHEST
        return notes if is_good else None

    def _mended(self, notes: list[Note], statement: Sequence[Note], key: int) -> list[Note]:
        """With so many notes a step higher or lower, one by one the one that helps most."""
        [theirs], ticks = _pitches([statement]), _together(notes, statement)
        least = faults([*notes, *statement]) + 4 * clash(notes, statement)
        for _ in range(len(notes) // MENDED):
            ways = [
                [*notes[:i], note._replace(pitch=pitch), *notes[i + 1 :]]
                for i, note in enumerate(notes)
                for pitch in (moved([note.pitch], key, key, steps)[0] for steps in (-1, 1))
                if self.keyboard[0] <= pitch <= self.keyboard[1]
            ]
            if not ways:
                break
            best, least = None, least - LEAST_GAIN
            [harsh] = 4 * _clashes(_pitches(ways), theirs, ticks)
            for way, bad in zip(ways, harsh.tolist(), strict=True):
                if bad < least and (bad := bad + faults([*way, *statement])) < least:
                    best, least = way, bad
            if best is None:
                break
            notes = best
        return notes


def stay_apart(one: Sequence[Note], other: Sequence[Note]) -> bool:
    """Whether the lines of two voices hardly cross."""
    high, low = (one, other) if one[0].voice < other[0].voice else (other, one)
    return crossed(high, low) <= CROSSED


def stretto(
    subject: Subject, statement: Sequence[Note], keys: Sequence[int], beat: int, registers: dict[int, float]
) -> list[Note] | None:
    """A second statement that begins before the first one is over, where the two sound well together.

    Args:
        subject (`Subject`), statement (sequence of `Note`): the first one.
        keys (sequence of `int`): in which the second may be, the better ones first.
        beat (`int`): ticks of which its distance is a multiple.
        registers (dict): of each voice that has entered its mean pitch.
    """
    at, own = statement[0].onset, statement[0].voice
    last = statement[-1].onset - at
    delays = range(beat, int(0.85 * last) + 1, beat)
    if not delays:
        return None
    first = subject.statement(at, own, subject.pitches)
    [theirs], ticks = _pitches([statement]), _together(first, statement, delays)
    found: list[tuple[float, list[Note]]] = []
    for voice, mean in registers.items():
        near = [subject.near(in_key(key), mean) for key in keys] if voice != own else []
        ranks, ways = [i for i, way in enumerate(near) if way], [way for way in near if way]
        if not ways:
            continue
        pitches = np.array(ways)
        harsh = _clashes(pitches, theirs, ticks)
        fits = (harsh <= STRETTO) & (_crossings(pitches, theirs, ticks, voice < own) <= CROSSED)
        for place, way in zip(*fits.nonzero(), strict=True):
            notes = subject.statement(at + delays[place], voice, ways[way])
            if not faults([*statement, *notes]):
                price = harsh[place, way] + 0.05 * ranks[way] + 0.1 * delays[place] / last
                found.append((float(price), notes))
    return min(found, key=lambda one: one[0])[1] if found else None
