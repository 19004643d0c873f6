"""Lines from beat to beat: what a voice has on a beat goes on from what it had on the last one, as in Bach.

Between beats the model's voices go by step as often as Bach's, from beat to beat they hop: of the notes on
the beats of his fugues .40 are a step from what the voice had a beat earlier, and a step goes on in its
direction; without this rule .30 were (docs/log/2026-12.md). H. Schenker, *Counterpoint* (1910), calls what
leads on so over the beats the fluency of a line.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import DURATION, ONSET, PITCH
from tokenization.vocabulary import PITCH_MAX

from ..state import NO_PITCH, State
from .base import PITCHES, Brief
from .takers import STEP, ByVoice, Taken

THIRD = 4  # semitones, at most
# Nats for each way to go to a beat: to stay, a step down and up, a third down and up, further down and up; in
# rows by how the voice went to the beat before, the last one where it was silent. They were set, in three
# rounds, by how much oftener Bach goes so in the fugues of the train split than the model under all rules.
GAINS = np.array(
    [
        (-1.0, 1.5, -0.6, -0.8, -1.1, -0.3, -0.9),
        (-0.9, 1.7, -0.8, -1.3, -0.2, -2.3, -0.6),
        (-0.9, 0.0, 0.7, 0.7, -1.6, 0.2, -1.8),
        (-1.6, 0.5, 1.2, 0.5, -1.1, -1.2, -0.2),
        (-1.8, 1.4, 0.0, -2.0, -0.9, 0.7, -1.5),
        (-0.6, 0.0, -0.2, -2.6, -0.1, -0.5, 1.0),
        (-0.6, 0.6, -1.0, -0.3, -0.5, 0.4, 0.0),
        (-1.3, 1.2, 1.2, 0.0, -0.5, -1.0, -1.1),
    ]
)
# The share of it that counts for the first voice alone: a subject's head often leaps, from the tonic to the
# dominant or back.
ALONE = 0.5
_WAYS = 7


def _way(interval: np.ndarray) -> np.ndarray:
    """Which way each interval goes, in semitones: 0 it stays, 1 and 2 a step down and up, 3 and 4 a third, 5
    and 6 further.
    """
    size = np.abs(interval)
    return np.where(size == 0, 0, 1 + 2 * ((size > STEP) + 1 * (size > THIRD)) + (interval > 0))


# With a last column for voices that were silent, which gain nothing.
_GAINS = np.concatenate([GAINS, np.zeros((_WAYS + 1, 1))], axis=1)
# From each MIDI pitch to each that may come.
_FROM = _way(PITCHES - np.arange(PITCH_MAX + 2)[:, None])


class Lines(ByVoice):
    """Prices notes on beats by what their voices had on the last two beats."""

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.beat = brief.beat

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Only to fugues: preludes' lines are broken chords as often as not."""
        return brief.form == "fugue"

    def gains(self, state: State, at: np.ndarray, taken: Taken) -> np.ndarray | None:
        """What each voice gains by each pitch, `(n, voices, pitches)`."""
        on_beat = (state.bar_position[at] % self.beat == 0)[:, None]
        if not on_beat.any():
            return None
        line = state.line[at, : self.voices]
        last, before = (_sounding(line, taken.now - beats * self.beat) for beats in (1, 2))
        is_heard = (last != NO_PITCH) & on_beat
        came = np.where(is_heard & (before != NO_PITCH), _way(last - before), _WAYS)
        gains = _GAINS[came[..., None], np.where(is_heard[..., None], _FROM[last], _WAYS)]
        is_alone = np.add.reduce(taken.pitch != NO_PITCH, axis=1) < 2
        return gains * np.where(is_alone, ALONE, 1.0)[:, None, None]


def _sounding(line: np.ndarray, tick: np.ndarray) -> np.ndarray:
    """The pitch that each line `(n, voices, notes, 3)` has at a tick `(n, 1)`, or `NO_PITCH`."""
    since = tick[..., None] - line[..., ONSET]
    return np.where((since >= 0) & (since < line[..., DURATION]), line[..., PITCH], NO_PITCH).max(axis=2)
