"""The subject of a fugue and its statements: the answer in the dominant, and the subject in related keys.

Pitches are those of the tokens: C major or A minor. An answer is real, a fifth higher or a fourth lower, but
for the notes of the dominant in the head, which is what the subject has of tonic and dominant alone at its
beginning: the tonic answers them, as in a tonal answer. A subject that goes to the key of the dominant and
ends on it is answered so that the answer comes back: a fourth higher, from as early on as Bach does (WTC I,
fugues 18 and 24; Prout, *Fugue*, 1891, chapter 4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from tokenization.score import Note

from .base import HIGHEST, LOWEST
from .keys import DOMINANT, HOME, TONIC, triad
from .replay import degree_of, scale_of

FIFTH, FOURTH, OCTAVE, STEPS = 7, 5, 12, 7
# A note and the same note upside down are together so many steps of the scale from the tonic at MIDI 0 to 11.
_MIRROR = DOMINANT + 10 * STEPS
# Semitones above the tonic of the leading note of the dominant's key.
RAISED_FOURTH = 6
# Semitones above the tonic of notes that minor has lower than major, and how much; and the other way round.
_LOWERED, _RAISED = {4: 1, 9: 1}, {3: 1, 8: 1, 10: 1}
Transposed = Callable[[Sequence[int], str], list[int]]


class Subject:
    """What the first voice of a fugue played alone.

    Args:
        notes (sequence of `Note`): at least two, in time.
        start (`int`): tick from which its times are counted; a statement at a tick begins that of its bar.
        length (`int`): ticks from one statement to the next.
        mode (`str`): `"major"` or `"minor"`.
        keyboard (pair of `int`): the lowest and the highest pitch of its statements; C2 to C6 by default.
    """

    def __init__(
        self,
        notes: Sequence[Note],
        start: int,
        length: int,
        mode: str,
        keyboard: tuple[int, int] = (LOWEST, HIGHEST),
    ):
        self.keyboard = keyboard
        self.notes, self.start, self.length, self.mode = list(notes), start, length, mode
        self.pitches = [note.pitch for note in notes]
        self.mean = sum(self.pitches) / len(self.pitches)

    def statement(self, at: int, voice: int, pitches: Sequence[int]) -> list[Note]:
        """The subject's rhythm from a tick on, in a voice, on these pitches."""
        return [
            Note(at + note.onset - self.start, note.duration, pitch, voice)
            for note, pitch in zip(self.notes, pitches, strict=True)
        ]

    def near(self, transposed: Transposed, mean: float) -> list[int] | None:
        """The subject as `transposed` gives it, in the octave whose mean pitch is nearest to `mean` and
        within the keyboard of the WTC.
        """
        low, high = self.keyboard
        found = [p for p in self._octaves(transposed) if min(p) >= low and max(p) <= high]
        return min(found, key=lambda p: abs(sum(p) / len(p) - mean), default=None)

    def _octaves(self, transposed: Transposed) -> Iterator[list[int]]:
        pitches = transposed(self.pitches, self.mode)
        for octaves in range(-4, 5):
            yield [pitch + OCTAVE * octaves for pitch in pitches]


def dominant(pitches: Sequence[int], mode: str) -> list[int]:
    """The answer."""
    one, five = TONIC[mode], triad(HOME[mode], DOMINANT)[0]
    head = next((i for i, pitch in enumerate(pitches) if pitch % 12 not in (one, five)), len(pitches))
    back = _turn([(pitch - one) % 12 for pitch in pitches])
    return [
        pitch + (FOURTH if (i < head and pitch % 12 == five) or i >= back else FIFTH)
        for i, pitch in enumerate(pitches)
    ]


def _turn(degrees: Sequence[int]) -> int:
    """The note of a subject, in semitones above the tonic, from which on the key of the dominant is answered:
    the first dominant before its leading note, else the second note; behind the last where it does not end
    there.
    """
    if RAISED_FOURTH not in degrees or degrees[-1] != FIFTH:
        return len(degrees)
    return next((i for i in range(1, degrees.index(RAISED_FOURTH)) if degrees[i] == FIFTH), 1)


def in_key(key: int) -> Transposed:
    """The subject on the same degrees of another key, 0 to 11 major from C, 12 to 23 minor: third and sixth
    are those of its mode, and minor's seventh is raised where it rises to the tonic.
    """

    def transposed(pitches: Sequence[int], mode: str) -> list[int]:
        tonic_pitch, from_minor = TONIC[mode], mode == "minor"
        moved = []
        for i, pitch in enumerate(pitches):
            degree, shift = (pitch - tonic_pitch) % 12, key % 12 - tonic_pitch
            if from_minor != (key >= 12):
                rises = i + 1 < len(pitches) and pitches[i + 1] == pitch + 1
                shift += _RAISED.get(degree, 0) if from_minor else -_LOWERED.get(degree, 0)
                shift -= int(not from_minor and degree == 11 and not rises)
            moved.append(pitch + shift)
        return moved

    return transposed


def inverted(key: int) -> Transposed:
    """The subject upside down in a key: a step of the scale up is one down, tonic and dominant change places
    and the triad stays; Minor's seventh is raised where it
    rises to the tonic.
    """

    def transposed(pitches: Sequence[int], mode: str) -> list[int]:
        degrees = [_MIRROR - degree_of(pitch, HOME[mode])[0] for pitch in pitches]
        found = []
        for degree, following in zip(degrees, [*degrees[1:], None], strict=True):
            octave, place = divmod(degree, STEPS)
            rises = key >= 12 and place == STEPS - 1 and following == degree + 1
            found.append(key % 12 + OCTAVE * octave + scale_of(key)[place] + rises)
        return found

    return transposed


def can_be_inverted(pitches: Sequence[int], mode: str) -> bool:
    """Whether no step of a subject gets lost upside down, as a chromatic one would."""
    upside_down = inverted(HOME[mode])(pitches, mode)
    return all(
        (a == b) == (c == d) for (a, b), (c, d) in zip(pairwise(pitches), pairwise(upside_down), strict=True)
    )
