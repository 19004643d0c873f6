"""Which note a voice may well take next, as Bach's voices go: an expert beside the model.

The model chooses the pitch before it knows the voice, and hears what the other voices sustain too faintly:
its intervals are Bach's, but not in Bach's places. The n-gram of `musical_metrics.ngram`, counted on the
train split, knows little else than these places: the two steps before, the beat, and how the voice stands to
the lowest and the highest note that sound. What it says beyond the frequency of the interval itself is the
expert's opinion. Both weighed and added, it and the model's logits make a product of experts (Hinton, Neural
Computation 14, 2002).
"""

from __future__ import annotations

import numpy as np

from musical_metrics.ngram import (
    MAX_INTERVAL,
    NO_INTERVAL,
    NOBODY,
    Events,
    NGram,
    beat_strength,
    interval_class,
    pitch_contexts,
)
from musical_metrics.reference import ngram_models
from tokenization.vocabulary import PITCH_MAX, PITCH_MIN

from .progress import Progress, Written

# Weights of the model, for pitches, and of the expert, in fugues and elsewhere; and the strongest opinion of
# the expert that is listened to, in nats.
IN_FUGUES, ELSEWHERE = (0.9, 0.4), (0.95, 0.3)
LIMIT = 3.0
_PITCHES = np.arange(PITCH_MIN, PITCH_MAX + 1)
_INTERVALS = np.arange(2 * MAX_INTERVAL + 1)


class Idiom:
    """The expert.

    Args:
        model (`NGram`, *optional*): of the pitches; the shipped one, of the train split, when not given.
    """

    def __init__(self, model: NGram | None = None):
        self.model = model or ngram_models().pitch
        anywhere = NGram(self.model.tables[:1], self.model.alphabet)
        self.usual = anywhere.log_probabilities(
            Events(_INTERVALS, np.zeros((len(_INTERVALS), 1), dtype=np.int64))
        )

    def opinion(self, piece: Progress, voices: int) -> np.ndarray:
        """`log p(pitch | context) - log p(interval)` of each pitch as the next of each voice, in nats,
        `(voices, pitches)`; 0 where a voice has no step to make.
        """
        found = np.zeros((voices, len(_PITCHES)))
        moving = [
            voice
            for voice in range(voices)
            if piece.lines[voice] and piece.lines[voice][-1].onset < piece.now
        ]
        if moving:
            contexts = np.repeat(
                np.concatenate([self._contexts(piece, voice) for voice in moving]), len(_INTERVALS), axis=0
            )
            known = self.model.log_probabilities(Events(np.tile(_INTERVALS, len(moving)), contexts))
            gains = np.clip(
                known.reshape(len(moving), -1) - self.usual, -LIMIT, LIMIT
            )  # (voices * intervals,) -> (voices, intervals)
            for voice, gain in zip(moving, gains, strict=True):
                found[voice] = gain[interval_class(_PITCHES - piece.lines[voice][-1].pitch)]
        return found

    @staticmethod
    def _contexts(piece: Progress, voice: int) -> np.ndarray:
        """Those of the voice's next note, `(1, levels)`."""
        latest: list[Written] = piece.lines[voice][-3:]
        last = latest[-1].pitch
        intervals = interval_class(np.diff([note.pitch for note in latest]))
        two, one = np.concatenate([np.full(2, NO_INTERVAL), intervals])[-2:]
        others = [
            line[-1]
            for other, line in enumerate(piece.lines)
            if line and other != voice and (line[-1].onset < piece.now or other < voice)
        ]
        known = [note.pitch for note in others if note.onset + note.duration > piece.now]
        low, high = ((last - min(known)) % 12, (last - max(known)) % 12) if known else (NOBODY, NOBODY)
        return pitch_contexts(
            *(np.array([value]) for value in (one, two, low, high, beat_strength(np.array(piece.now))))
        )


__all__ = ["ELSEWHERE", "IN_FUGUES", "LIMIT", "Idiom"]
