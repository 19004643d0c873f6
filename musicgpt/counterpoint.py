"""What strict counterpoint forbids is made less likely: crossing voices, parallel fifths and octaves, voices
that stay where they are, in fugues great leaps and dissonances that are leapt to, and notes out of order; and
what `musicgpt.idiom` expects of a voice is made likelier.

A model of this size hears each voice, but not always all of them together. The rules are those of the
textbooks (Fux, *Gradus ad Parnassum*, 1725; Piston, *Counterpoint*, 1947), as prices in nats on a note and on
the voice that takes it: no pitch is forbidden, and a note that Bach's rules call for pays what it costs. Only
the order of the tokens is strict: notes that begin together are written from the highest voice down.
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import MAX_VOICES, OFFSET, PITCH_MAX, PITCH_MIN, TYPE_INDEX

from .idiom import ELSEWHERE, IN_FUGUES, Idiom
from .progress import Heard, Progress, Rows

# Nats. A leap is melodic, between notes of a voice that are not far apart; overlap is going past where a
# neighbour just was, in fugues and elsewhere.
CROSSING, PARALLEL, LEAP, REPEATED, DOUBLED, SOUNDING = 6.0, 12.0, 6.0, 1.0, 12.0, 6.0
OVERLAP, OVERLAP_ELSEWHERE = 3.0, 1.5
# Which voice takes a note: semitones for each nat against it, and nats against one whose note still sounds,
# or one that has not begun.
NEAR, BUSY, NEW = 3.0, 3.0, 6.0
LARGEST_LEAP, REST = 12, 24  # semitones, ticks
OUT_OF_ORDER = 40.0
# Nats against a note that a voice leaps to, or begins with, for its dissonance with a note that sounds, by
# semitones modulo 12; a step is free.
DISSONANCE = np.array([0, 1.2, 0.4, 0, 0, 0, 0.2, 0, 0, 0, 0.2, 1.2])
STEP = 2  # semitones
_NOTE, _DUR, _TIME = (TYPE_INDEX[name] for name in ("NOTE", "DUR", "TIME"))
_PITCHES = np.arange(PITCH_MIN, PITCH_MAX + 1)


class Counterpoint(LogitsProcessor):
    """Lowers the scores of notes and voices by what counterpoint has against them.

    Args:
        rows (`Rows`): the pieces.
        voices (`int` or `None`): how many were asked for.
        is_fugue (`bool`): whether voices should be kept apart: leaps, dissonances after them, overlaps and
        two notes of a voice at once, which broken
            chords have.
    """

    def __init__(self, rows: Rows, voices: int | None, is_fugue: bool):
        self.rows, self.voices, self.is_fugue = rows, voices or MAX_VOICES, is_fugue
        self.overlap = OVERLAP if is_fugue else OVERLAP_ELSEWHERE
        self.idiom = Idiom()
        self.model_weight, self.weight = IN_FUGUES if is_fugue else ELSEWHERE

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        bias = np.zeros(scores.shape, dtype=np.float32)
        own = np.ones((len(scores), 1), dtype=np.float32)
        for i, piece in enumerate(self.rows.follow(input_ids)):
            if piece.kind == _TIME and piece.notes:
                own[i] = self.model_weight
                bias[i, OFFSET["NOTE"] : OFFSET["NOTE"] + len(_PITCHES)] = -self.expected(piece)
                if piece.due:
                    bias[i, OFFSET["NOTE"] + piece.due.pitch - PITCH_MIN] = 0
            elif piece.kind == _NOTE:
                pitch = np.array([piece.pitch])
                bias[i, OFFSET["VOICE"] : OFFSET["VOICE"] + self.voices] = (
                    self.gain(piece, pitch) - self.price(piece, pitch)
                )[:, 0]
            elif piece.kind == _DUR and self.is_fugue and piece.voice == self.voices - 1:
                bias[i, OFFSET["TIME"]] = -OUT_OF_ORDER  # TIME_0: no voice is left below
        return scores * torch.from_numpy(own).to(scores.device, scores.dtype) + torch.from_numpy(bias).to(
            scores.device, scores.dtype
        )

    def expected(self, piece: Progress) -> np.ndarray:
        """What a note of each pitch will cost, by the voices that may take it: the nearer and the longer
        silent, the likelier; `(pitches,)`.
        """
        price = self.price(piece, _PITCHES)
        cost, weight = price - self.gain(piece, _PITCHES), np.zeros_like(price)
        for voice in range(self.voices):
            note = piece.last[voice]
            distance = np.abs(_PITCHES - note[2]) / NEAR + BUSY * (note[1] > piece.now) if note else NEW
            weight[voice] = np.exp(-distance)
        if piece.due:
            weight[piece.due.voice] = 0  # it takes its own note only
        weight *= price < OUT_OF_ORDER
        total = weight.sum(axis=0)
        return np.where(total > 0, (weight * cost).sum(axis=0) / np.maximum(total, 1e-30), OUT_OF_ORDER)

    def gain(self, piece: Progress, pitches: np.ndarray) -> np.ndarray:
        """What each voice has from each of the pitches now, because Bach's voices go so, `(voices,
        pitches)`.
        """
        return self.weight * self.idiom.opinion(piece, self.voices)[:, pitches - PITCH_MIN]

    def price(self, piece: Progress, pitches: np.ndarray) -> np.ndarray:
        """What each voice would pay for each of the pitches now, `(voices, pitches)`."""
        found = np.zeros((self.voices, len(pitches)))
        last, before = piece.heard()
        struck = [note for note in piece.written[-8:] if note.onset == piece.now]
        for voice in range(self.voices):
            price, own = found[voice], last[voice]
            if struck:
                price += OUT_OF_ORDER * (
                    (voice < struck[-1].voice) | ((voice == struck[-1].voice) & (pitches >= struck[-1].pitch))
                )
            if own and own[0] == piece.now:
                price += DOUBLED * self.is_fugue
                continue
            if own and own[1] > piece.now:
                price += SOUNDING * self.is_fugue
            if own and piece.now - own[1] < REST:
                price += REPEATED * (pitches == own[2]) + self.is_fugue * LEAP * (
                    np.abs(pitches - own[2]) > LARGEST_LEAP
                )
            for other, note in enumerate(last):
                if note and other != voice and note[1] >= piece.now:
                    side = 1 if voice > other else -1
                    price += self._against(piece.now, side, pitches, own, note, before[other], self.overlap)
                    if self.is_fugue and note[1] > piece.now:
                        price += self._dissonance(piece, own, pitches, note[2])
        return found

    @staticmethod
    def _dissonance(piece: Progress, own: Heard | None, pitches: np.ndarray, other: int) -> np.ndarray:
        """What a voice pays that does not come by step to a dissonance with a note that sounds."""
        by_step = (
            np.abs(pitches - own[2]) <= STEP
            if own and piece.now - own[1] < REST
            else np.zeros(len(pitches), dtype=bool)
        )
        return np.where(by_step, 0, DISSONANCE[(pitches - other) % 12])

    @staticmethod
    def _against(
        now: int,
        side: int,
        pitches: np.ndarray,
        own: Heard | None,
        note: Heard,
        before: Heard | None,
        overlap: float,
    ) -> np.ndarray:
        """What a voice pays for the sake of another one, which sounds now or did until now: `side` is 1
        where that is the higher one, else -1.
        """
        if note[1] == now:  # it ends here; whether it goes on is not known yet
            return overlap * (side * (pitches - note[2]) > 0)
        price = CROSSING * (side * (pitches - note[2]) > 0)
        if note[0] == now and before:
            price = price + overlap * (side * (pitches - before[2]) > 0)
        if note[0] == now and own and before and min(own[1], before[1]) > now - REST:
            interval = abs(before[2] - own[2]) % 12
            same = np.abs(note[2] - pitches) % 12 == interval
            price = price + PARALLEL * (same & (pitches != own[2])) * (
                interval in (0, 7) and note[2] != before[2]
            )
        return price


__all__ = ["Counterpoint"]
