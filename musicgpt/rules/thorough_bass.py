"""Intervals above the bass: on beats thirds and sixths rather than octaves and fourths, as in Bach.

Thorough bass counts intervals so. Of those above the bass on the beats of Bach's fugues .34 are thirds, .10
octaves and .06 fourths, which are dissonant there (Fux, *Gradus ad Parnassum*, 1725); without this rule .25,
.17 and .11 were (`python -m benchmarks.plain`, docs/log/2026-12.md). Where the bass moves under a note that
is held, or a note over a bass that is, he has other intervals: sevenths and seconds are suspensions there.
"""

from __future__ import annotations

import numpy as np

from tokenization.vocabulary import PITCH_MAX

from ..state import NO_PITCH, State
from .base import PITCHES, Brief
from .takers import ByVoice, Taken

# Nats against an interval above the bass on a beat, by semitones modulo 12: of notes struck together, of a
# bass that moves under a note, of a note over a bass that is held; and against the pitch class of another
# voice. What counts of all this between beats, and where it is no fugue.
STRUCK, UNDER_HELD, OVER_HELD = (
    (3.2, 0.3, 0.3, -1.2, -1.2, 3.0, -0.6, 0.8, 0.0, 0.0, 1.0, 0.3),
    (1.5, 0.0, -0.9, 0.0, 0.0, 0.3, -1.2, -0.4, 0.5, 0.5, -1.0, 0.0),
    (0.6, 0.0, -0.9, 0.2, 0.0, 0.3, -1.2, 0.6, 0.0, 0.0, 0.0, 0.5),
)
DOUBLED, BETWEEN, ELSEWHERE, GIVEN = 1.2, 0.4, 0.55, 0.15


def _table(prices: tuple[float, ...], below: bool = False) -> np.ndarray:
    """What each pitch costs above each MIDI pitch, or below it, `(MIDI pitches, pitches)`; the row of
    `NO_PITCH` has zeros.
    """
    above = PITCHES - np.arange(PITCH_MAX + 2)[:, None]
    table = np.array(prices)[(-above if below else above) % 12]
    table[NO_PITCH] = 0
    return table


_ABOVE = np.stack([_table(STRUCK), _table(OVER_HELD)])
_BELOW = np.stack([_table(STRUCK, below=True), _table(UNDER_HELD, below=True)])
_DOUBLED = _table((DOUBLED, *[0] * 11))


class ThoroughBass(ByVoice):
    """Prices the intervals of notes above the lowest one that sounds, and below all that sound."""

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.beat = brief.beat
        self.weight = GIVEN if brief.is_bounded else 1.0 if brief.form == "fugue" else ELSEWHERE

    def gains(self, state: State, at: np.ndarray, taken: Taken) -> np.ndarray:
        """Of the lowest voice by all that sound, of the others by the lowest one; nothing for the voice of
        the lowest note itself.
        """
        pitch, onset, end, *_ = taken.heard
        pitch = np.where(end > taken.now, pitch, NO_PITCH)
        held = 1 * (onset < taken.now)  # (n, voices): whether by a voice that sounds since before
        number, sounds = np.arange(self.voices), pitch != NO_PITCH
        lowest = np.maximum.reduce(np.where(sounds, number, -1), axis=1, keepdims=True)  # -1 where none is
        n = np.arange(len(at))
        above = _ABOVE[held[n, lowest[:, 0]], pitch[n, lowest[:, 0]]][:, None]
        doubled = _DOUBLED[np.where(number == lowest, NO_PITCH, pitch)]
        above = above + np.add.reduce(doubled, axis=1, keepdims=True) - doubled
        below = np.add.reduce(_BELOW[held, pitch], axis=1)[:, None]
        price = np.where((number > lowest)[..., None], below, (number < lowest)[..., None] * above)
        share = self.weight * np.where(state.bar_position[at] % self.beat == 0, 1.0, BETWEEN)
        return -share[:, None, None] * price
