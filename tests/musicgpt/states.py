"""The musical state of our vocabulary, for tests that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from modeling_musicgpt import Grammar, MusicGPTConfig
from modeling_musicgpt.stepping_musicgpt import MusicalState, StepTables


@cache
def tables() -> StepTables:
    return Grammar(MusicGPTConfig()).step_tables


def state_after(tokens: Sequence[int] = (), rows: int = 1) -> MusicalState:
    """Several rows that have read the same tokens."""
    state = MusicalState(tables())
    state.follow(np.array([tokens], dtype=np.int64))
    return state.repeated(rows)
