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
    MAX_INTERVAL,
    NO_INTERVAL,
    NOBODY,
    Events,
    NGram,
    beat_strength,
    interval_class,
    pitch_contexts,
    shipped_ngrams,
)
from tokenization.score import DURATION, ONSET, PITCH
from tokenization.vocabulary import MAX_VOICES, OFFSET, PITCH_MAX, PITCH_MIN, TYPE_INDEX

from ..state import NO_PITCH, State
from .base import BLOCK, Brief, Rule
from .takers import PITCHES, Taking

# Weights of the model, for pitches, and of the expert, in fugues and elsewhere; and the strongest opinion of
# the expert that is listened to, in nats.
IN_FUGUES, ELSEWHERE = (0.9, 0.4), (0.95, 0.3)
LIMIT = 3.0
_TIME, _NOTE = TYPE_INDEX["TIME"], TYPE_INDEX["NOTE"]
_INTERVALS = np.arange(2 * MAX_INTERVAL + 1)
# Class of the interval from each MIDI pitch (rows) to each that may come (columns).
_CLASSES = interval_class(PITCHES - np.arange(PITCH_MAX + 2)[:, None])
# (voice, other): that the other one is higher
_HIGHER = np.arange(MAX_VOICES)[:, None] > np.arange(MAX_VOICES)
# A finite number far below every score.
_LOW = -1e9


class Expert:
    """The opinions of an n-gram, remembered by context.

    Args:
        model (`NGram`): of the pitches.
    """

    def __init__(self, model: NGram):
        self.model = model
        anywhere = NGram(model.tables[:1], model.alphabet)
        self.usual = anywhere.log_probabilities(
            Events(_INTERVALS, np.zeros((len(_INTERVALS), 1), dtype=np.int64))
        )
        self.place: dict[int, int] = {}  # the longest context, which tells all -> row of `gains`
        self.gains = np.zeros((256, len(_INTERVALS)))

    def of(self, contexts: np.ndarray) -> np.ndarray:
        """`log p(interval | context) - log p(interval)` in nats, `(n, intervals)`, for contexts `(n,
        levels)`.
        """
        asked = contexts[:, -1].tolist()
        new = [i for i, key in enumerate(asked) if key not in self.place]
        if new:
            self._learn(contexts[new])
        return self.gains[[self.place[key] for key in asked]]

    def _learn(self, contexts: np.ndarray) -> None:
        repeated = np.repeat(contexts, len(_INTERVALS), axis=0)
        known = self.model.log_probabilities(Events(np.tile(_INTERVALS, len(contexts)), repeated))
        gains = np.clip(known.reshape(len(contexts), -1) - self.usual, -LIMIT, LIMIT)
        for key, gain in zip(contexts[:, -1].tolist(), gains, strict=True):
            place = self.place.setdefault(key, len(self.place))
            if place >= len(self.gains):
                self.gains = np.concatenate([self.gains, np.zeros_like(self.gains)])
            self.gains[place] = gain


@cache
def shipped_expert() -> Expert:
    """That of the train split."""
    return Expert(shipped_ngrams().pitch)


class Idiom(Rule):
    """Weighs the model's scores of notes and the expert's opinion of them; and of the voice for a note."""

    after = ("TIME", "NOTE")
    memory = ("known",)

    def __init__(self, brief: Brief, expert: Expert | None = None):
        super().__init__(brief)
        self.voices, self.expert, self.due = (
            brief.voices or MAX_VOICES,
            expert or shipped_expert(),
            brief.ask("due"),
        )
        self.taking = Taking(self.voices, self.due)
        self.model_weight, self.weight = IN_FUGUES if brief.form == "fugue" else ELSEWHERE
        # Of each row what the expert said after its last TIME.
        self.known = np.zeros((brief.rows, self.voices, len(PITCHES)))

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        added = np.zeros(scores.shape, dtype=np.float32)
        at = (state.kind == _TIME).nonzero()[0]
        if len(at):
            self.known[at] = self.weight * self.log_ratio(state, at)
            begun = at[state.num_notes[at] > 0]
            if len(begun):
                added[begun] = (self.model_weight - 1) * np.maximum(scores[begun], _LOW)
                weight = self.taking(state, at)[1][state.num_notes[at] > 0]
                added[begun, BLOCK["NOTE"]] += self._expected(begun, weight)
        at = (state.kind == _NOTE).nonzero()[0]
        if len(at):
            gain = self.known[at, :, state.note_pitch[at] - PITCH_MIN]
            added[at, OFFSET["VOICE"] : OFFSET["VOICE"] + self.voices] = gain
        return added

    def _expected(self, at: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """What a note of each pitch gains, by the voices that may take it, `(n, pitches)`."""
        due = self.due()[at] if self.due else None
        gain = (weight * self.known[at]).sum(axis=1)
        if due is not None and (rows := (due[:, 0] != NO_PITCH).nonzero()[0]).size:
            gain[rows, due[rows, 0] - PITCH_MIN] = 0
        return gain

    def log_ratio(self, state: State, at: np.ndarray) -> np.ndarray:
        """`log p(pitch | context) - log p(interval)` of each pitch as the next of each voice, in nats, 0
        where a voice has no step to make.

        Args:
            state (`State`): of all rows; `at` (array of shape `(n,)`): those that are asked about.

        Returns:
            array of shape `(n, voices, pitches)`.
        """
        line = state.line[at]  # (n, all voices, LINE, 3)
        found = np.zeros((len(at), self.voices, len(PITCHES)))
        onset = line[:, :, -1, ONSET]
        moving = (line[:, :, -1, PITCH] != NO_PITCH) & (onset < state.ticks[at, None])
        n, voice = np.nonzero(moving[:, : self.voices])
        if len(n):
            gains = self.expert.of(self._contexts(state, at, line, n, voice))
            found[n, voice] = gains[np.arange(len(n))[:, None], _CLASSES[line[n, voice, -1, PITCH]]]
        return found

    @staticmethod
    def _contexts(
        state: State, at: np.ndarray, line: np.ndarray, n: np.ndarray, voice: np.ndarray
    ) -> np.ndarray:
        """Those of the next notes of some voices, `(k, levels)`, for places `n` in `at` and voices,
        `(k,)`.
        """
        now = state.ticks[at]
        own = line[n, voice, -3:, PITCH]  # (k, 3)
        steps = np.where(own[:, :-1] == NO_PITCH, NO_INTERVAL, interval_class(own[:, 1:] - own[:, :-1]))
        latest = line[n, :, -1]  # (k, all voices, 3)
        sounds = latest[..., ONSET] + latest[..., DURATION] > now[n, None]
        known = sounds & ((latest[..., ONSET] < now[n, None]) | _HIGHER[voice])
        known[np.arange(len(n)), voice] = False
        pitches = latest[..., PITCH]
        low, high = np.where(known, pitches, 999).min(axis=1), np.where(known, pitches, -1).max(axis=1)
        none, last = high < 0, own[:, -1]
        low, high = np.where(none, NOBODY, (last - low) % 12), np.where(none, NOBODY, (last - high) % 12)
        return pitch_contexts(steps[:, 1], steps[:, 0], low, high, beat_strength(now[n]))


__all__ = ["ELSEWHERE", "IN_FUGUES", "LIMIT", "Expert", "Idiom"]
