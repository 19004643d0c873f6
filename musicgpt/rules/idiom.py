"""Which note a voice may well take next, as Bach's voices go: an expert beside the model.

The model chooses the pitch before it knows the voice, and hears what the other voices sustain too faintly:
its intervals are Bach's, but not in Bach's places. The n-gram of `tokenization/analysis/ngram.py`, counted on
the train split, knows little else than these places: the two steps before, the beat, and how the voice stands
to the lowest and the highest note that sound. What it says beyond the frequency of the interval itself is the
expert's opinion. Both weighed and added, it and the model's logits make a product of experts (Hinton, Neural
Computation 14, 2002).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tokenization.analysis.ngram import (
    INTERVALS,
    NO_INTERVAL,
    NOBODY,
    NGram,
    beat_strength,
    interval_class,
    pitch_contexts,
    shipped_ngrams,
)
from tokenization.score import DURATION, ONSET, PITCH
from tokenization.vocabulary import MAX_VOICES, PITCH_MAX, TIME_TYPE

from ..state import NO_PITCH, State
from .base import LOW, PITCHES, Brief
from .takers import ByVoice, Taken

# Weights of the model, for pitches, and of the expert, in fugues and elsewhere; and the strongest opinion of
# the expert that is listened to, in nats.
IN_FUGUES, ELSEWHERE = (0.86, 0.4), (0.8, 0.3)
LIMIT = 3.0
# Class of the interval from each MIDI pitch (rows) to each that may come (columns), and to each MIDI pitch;
# the row of `NO_PITCH` says that there is none.
_FROM = np.arange(PITCH_MAX + 2)[:, None]
_CLASSES = interval_class(PITCHES - _FROM)
_STEP = interval_class(_FROM.T - _FROM)
_STEP[NO_PITCH] = NO_INTERVAL
# (voice, other): that the other one is higher, and that it is another.
_HIGHER = np.arange(MAX_VOICES)[:, None] > np.arange(MAX_VOICES)
_OTHER = ~np.eye(MAX_VOICES, dtype=bool)
# How a pitch stands to another that is so many semitones lower, which may be negative; `_NOTHING` semitones
# away there is nobody.
_NOTHING = 1000
_ABOVE = np.full(3 * _NOTHING, NOBODY)
_ABOVE[np.arange(-PITCH_MAX, PITCH_MAX + 1)] = np.arange(-PITCH_MAX, PITCH_MAX + 1) % 12
_BEAT = beat_strength(np.arange(24))
_NO_CONTEXT = -1


class Expert:
    """The opinions of an n-gram, remembered by context.

    Args:
        model (`NGram`): of the pitches.

    Attributes:
        gains (array of shape `(contexts, intervals)`): `log p(interval | context) - log p(interval)` in nats,
            of each context that was asked for.
    """

    def __init__(self, model: NGram):
        self.model = model
        anywhere = NGram(model.tables[:1], model.alphabet)
        self.usual = np.log(anywhere.probabilities(np.zeros((1, 1), dtype=np.int64)))
        # A number for the context -> row of `gains`; that of no context has zeros.
        self.place = {_NO_CONTEXT: 0}
        self.gains = np.zeros((256, model.alphabet))

    def places(
        self,
        one: np.ndarray,
        two: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        beat: np.ndarray,
        counts: np.ndarray,
    ) -> np.ndarray:
        """The rows of `gains` for contexts; arguments of one shape as for `pitch_contexts`, and `counts`,
        where there is one: elsewhere the row has zeros.
        """
        sides = NOBODY + 1
        numbers = (((one * INTERVALS + two) * sides + low) * sides + high) * 3 + beat
        numbers = np.where(counts, numbers, _NO_CONTEXT)
        asked = numbers.ravel().tolist()
        new = [i for i, number in enumerate(asked) if number not in self.place]
        if new:
            self._learn(
                [asked[i] for i in new],
                *(np.ravel(x)[new] for x in (one, two, low, high)),
                np.broadcast_to(beat, one.shape).ravel()[new],
            )
        return np.array([self.place[number] for number in asked]).reshape(numbers.shape)

    def _learn(self, numbers: list[int], *parts: np.ndarray) -> None:
        """Takes contexts in that were not asked for before."""
        gains = np.log(self.model.probabilities(pitch_contexts(*parts))) - self.usual
        for number, gain in zip(numbers, np.clip(gains, -LIMIT, LIMIT), strict=True):
            place = self.place.setdefault(number, len(self.place))
            if place >= len(self.gains):
                self.gains = np.concatenate([self.gains, np.zeros_like(self.gains)])
            self.gains[place] = gain


@cache
def shipped_expert() -> Expert:
    """That of the train split."""
    return Expert(shipped_ngrams().pitch)


class Idiom(ByVoice):
    """Weighs the model's scores of notes and the expert's opinion of them; and of the voice for a note."""

    def __init__(self, brief: Brief, expert: Expert | None = None):
        super().__init__(brief)
        self.expert = expert or shipped_expert()
        self.model_weight, self.weight = IN_FUGUES if brief.form == "fugue" else ELSEWHERE
        self.higher, self.other = _HIGHER[: self.voices], _OTHER[: self.voices]

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        added = super().__call__(state, scores)
        at = state.after(TIME_TYPE)
        if len(at):
            added[at] += (self.model_weight - 1) * np.maximum(scores[at], LOW)
            added[at[state.num_notes[at] == 0]] = 0
        return added

    def gains(self, state: State, at: np.ndarray, taken: Taken) -> np.ndarray:
        """The expert's opinion, weighed."""
        return self.weight * self.log_ratio(state, at)

    def log_ratio(self, state: State, at: np.ndarray) -> np.ndarray:
        """`log p(pitch | context) - log p(interval)` of each pitch as the next of each voice, in nats, 0
        where a voice has no step to make.

        Args:
            state (`State`): of all rows; `at` (array of shape `(n,)`): those that are asked about.

        Returns:
            array of shape `(n, voices, pitches)`.
        """
        line, now = state.line[at, :, -3:], state.ticks[at, None]  # (n, all voices, 3, 3)
        onset, pitch, own = line[:, :, -1, ONSET], line[:, :, -1, PITCH], line[:, : self.voices, :, PITCH]
        begun = (pitch != NO_PITCH) & (onset < now)
        # Of the notes that sound those are known that began before, and those of higher voices.
        sounds = onset + line[:, :, -1, DURATION] > now
        known = sounds[:, None] & ((begun[:, None] & self.other) | self.higher)  # (n, voices, all voices)
        last = own[..., 2]
        low = last - np.minimum.reduce(np.where(known, pitch[:, None], _NOTHING), axis=2)
        high = last - np.maximum.reduce(np.where(known, pitch[:, None], -_NOTHING), axis=2)
        one, two = _STEP[own[..., 1], last], _STEP[own[..., 0], own[..., 1]]
        places = self.expert.places(
            one, two, _ABOVE[low], _ABOVE[high], _BEAT[now % 24], begun[:, : self.voices]
        )
        return self.expert.gains[places[..., None], _CLASSES[last]]
