"""Pieces that the tests make themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tokenization.score import Score

Melody = list[tuple[int, int, int]]


@pytest.fixture(scope="session")
def voices() -> Callable[..., Score]:
    """`voices([(onset, duration, pitch), ...], ...)`: a score of lines, the highest first, times in ticks (24
    a quarter).
    """

    def make(*lines: Melody, **fields) -> Score:
        return Score([(*note, voice) for voice, line in enumerate(lines) for note in line], **fields)

    return make


@pytest.fixture(scope="session")
def line() -> Callable[..., Melody]:
    """`line(pitches, duration=24, start=0)`: notes one after another."""

    def make(pitches: list[int], duration: int = 24, start: int = 0) -> Melody:
        return [(start + i * duration, duration, pitch) for i, pitch in enumerate(pitches)]

    return make


@pytest.fixture(scope="session")
def wander() -> Callable[..., Score]:
    """`wander(seed, notes, voices)`: a piece of random walks in C major with varied rhythm."""

    def make(seed: int, notes: int = 400, voices: int = 3) -> Score:
        rng = np.random.default_rng(seed)
        rows = []
        scale = np.array([p for p in range(36, 85) if p % 12 in (0, 2, 4, 5, 7, 9, 11)])
        for voice in range(voices):
            count = notes // voices + (voice < notes % voices)
            durations = rng.choice([6, 6, 12, 12, 24], count)
            onsets = np.cumsum(durations) - durations
            places = np.clip(22 - 7 * voice + np.cumsum(rng.integers(-2, 3, count)), 0, len(scale) - 1)
            rows.append(np.stack([onsets, durations, scale[places], np.full(count, voice)], axis=1))
        return Score(np.concatenate(rows), key="C major", form="fugue")

    return make
