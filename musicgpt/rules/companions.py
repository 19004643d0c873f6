"""What sounds against a statement of a fugue's subject by plan: its countersubject, or the subject itself in
stretto.

A countersubject is what the first voice plays against the answer. It returns with later statements in other
voices, an octave or more higher or lower than there (invertible counterpoint), a few notes changed where they
would clash; a stretto is taken where the subject allows one at some distance (A. Mann, *The Study of Fugue*,
1958). Pitches are those of the tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from math import inf

from tokenization.score import Note

from .base import HIGHEST, LOWEST
from .replay import faults, moved
from .subject import OCTAVE, Subject, in_key

# How much of the time a countersubject may clash with the statement, and a stretto.
HARSHEST, STRETTO = 0.3, 0.3
# Weights of the intervals by semitones modulo 12: a fourth and a tritone are no sharp dissonance.
_CLASHES = (0.0, 1.0, 1.0, 0.0, 0.0, 0.3, 0.5, 0.0, 0.0, 0.0, 1.0, 1.0)
# One in so many notes of a countersubject may be changed, where that makes it so much better.
MENDED, LEAST_GAIN = 6, 0.1
# A line crosses the other for no more than this share of their time together.
CROSSED = 0.2


def clash(one: Sequence[Note], other: Sequence[Note]) -> float:
    """Share of the time that two lines sound together in which they are dissonant; 0 where they never do."""
    time = harsh = 0.0
    for a, b, ticks in _together(one, other):
        time += ticks
        harsh += ticks * _CLASHES[abs(a.pitch - b.pitch) % 12]
    return harsh / time if time else 0.0


def crossed(high: Sequence[Note], low: Sequence[Note]) -> float:
    """Share of the time that two lines sound together in which the one that should be higher is not."""
    time = wrong = 0
    for a, b, ticks in _together(high, low):
        time += ticks
        wrong += ticks * (a.pitch <= b.pitch)
    return wrong / time if time else 0.0


def _together(one: Sequence[Note], other: Sequence[Note]) -> Iterable[tuple[Note, Note, int]]:
    """Every two notes that sound together, and for how many ticks; the notes of both lines stand in time."""
    first = 0
    for a in one:
        end = a.onset + a.duration
        while first < len(other) and other[first].onset + other[first].duration <= a.onset:
            first += 1  # nor will it sound with those that come
        for b in islice(other, first, None):
            if b.onset >= end:
                break
            ticks = min(end, b.onset + b.duration) - max(a.onset, b.onset)
            if ticks > 0:
                yield a, b, ticks


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
        found: list[tuple[float, list[Note]]] = []
        for voice, mean in registers.items():
            for octaves in range(-4, 5) if voice != statement[0].voice else ():
                own = [pitch + OCTAVE * octaves for pitch in pitches]
                if min(own) < self.keyboard[0] or max(own) > self.keyboard[1]:
                    continue
                notes = [
                    note._replace(onset=note.onset + shift, pitch=pitch, voice=voice)
                    for note, pitch in zip(self.notes, own, strict=True)
                ]
                if in_order(notes, statement):
                    found.append(
                        (abs(sum(own) / len(own) - mean) / OCTAVE + _badness(notes, statement), notes)
                    )
        if not found:
            return None
        notes = self._mended(min(found, key=lambda one: one[0])[1], statement, key)
        is_good = not faults([*notes, *statement]) and clash(notes, statement) <= HARSHEST
        return notes if is_good else None

    def _mended(self, notes: list[Note], statement: Sequence[Note], key: int) -> list[Note]:
        """With so many notes a step higher or lower, one by one the one that helps most."""
        bad = _badness(notes, statement)
        for _ in range(len(notes) // MENDED):
            ways = [
                [*notes[:i], note._replace(pitch=pitch), *notes[i + 1 :]]
                for i, note in enumerate(notes)
                for pitch in (moved([note.pitch], key, key, steps)[0] for steps in (-1, 1))
                if self.keyboard[0] <= pitch <= self.keyboard[1]
            ]
            best, least = None, bad - LEAST_GAIN
            for way in ways:
                if (found := _badness(way, statement, least)) < least:
                    best, least = way, found
            if best is None:
                break
            bad, notes = least, best
        return notes


def _badness(notes: Sequence[Note], statement: Sequence[Note], limit: float = inf) -> float:
    """What there is against two lines; where that reaches a limit, perhaps less than all of it."""
    harsh = 4 * clash(notes, statement)
    return harsh if harsh >= limit else harsh + faults([*notes, *statement])


def in_order(one: Sequence[Note], other: Sequence[Note]) -> bool:
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
    found: list[tuple[float, list[Note]]] = []
    for voice, mean in registers.items():
        if voice == own:
            continue
        ways = [subject.near(in_key(key), mean) for key in keys]
        for delay in range(beat, int(0.85 * last) + 1, beat):
            for rank, pitches in enumerate(ways):
                if pitches is None:
                    continue
                notes = subject.statement(at + delay, voice, pitches)
                harsh = clash(statement, notes)
                if harsh <= STRETTO and in_order(statement, notes) and not faults([*statement, *notes]):
                    found.append((harsh + 0.05 * rank + 0.1 * delay / last, notes))
    return min(found, key=lambda one: one[0])[1] if found else None


__all__ = ["Countersubject", "clash", "crossed", "in_order", "stretto"]
