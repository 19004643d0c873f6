"""Pieces that the tests make themselves."""

from __future__ import annotations

from collections.abc import Callable

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
