"""Pieces that the tests make themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tokenization.score import Meter, Note, Score


@pytest.fixture(scope="session")
def wandering() -> Callable[..., Score]:
    """`wandering(seed, notes)`: three voices that go their own ways, with rests, held notes and now and then
    a chord.
    """

    def make(seed: int, notes: int = 60) -> Score:
        rng = np.random.default_rng(seed)
        found = []
        for voice, middle in enumerate((72, 60, 48)):
            now, pitch = int(rng.choice([0, 12, 24])), middle
            for _ in range(notes):
                pitch = int(np.clip(pitch + rng.integers(-5, 6), middle - 12, middle + 12))
                duration = int(rng.choice([6, 12, 24, 48]))
                found.append(Note(now, duration, pitch, voice))
                if rng.random() < 0.1:
                    found.append(Note(now, duration, pitch - 3, voice))
                now += duration + int(rng.choice([0, 0, 0, 24]))
        return Score(notes=found, meters=[Meter(0, 4, 4)])

    return make
