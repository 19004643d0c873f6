"""Several beginnings of each piece, of which its rule takes the best (`rules/beginning.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers import StoppingCriteria

from tokenization.score import Note
from tokenization.vocabulary import TYPE_INDEX

from .rules.base import Brief
from .rules.beginning import is_over, penalty
from .sampling import particle_seeds

# Beginnings of a piece, and tokens within which they are over.
CANDIDATES, MOST_TOKENS = 6, 200
_TIME, _DUR = TYPE_INDEX["TIME"], TYPE_INDEX["DUR"]


class UntilOver(StoppingCriteria):
    """Ends all rows when all have come to the end of their beginnings, or have used their tokens.

    Args:
        brief (`Brief`): of these rows; ids begin with its prompt.
    """

    def __init__(self, brief: Brief):
        self.brief, self.state = brief, brief.prompt.repeated(brief.rows)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.state.follow(input_ids.cpu().numpy())
        used = self.state.tokens - self.brief.prompt.tokens
        over = used >= MOST_TOKENS or bool(is_over(self.brief, self.state).all())
        return torch.full((len(input_ids),), over, device=input_ids.device)


def best_beginnings(
    compose: Callable[[Brief, Any, StoppingCriteria], torch.Tensor], brief: Brief, sample: Any
) -> list[list[int]]:
    """Of each piece the tokens of its best beginning; none where none came to an end.

    Args:
        compose (callable): ids, `(rows, length)`, for the brief of a batch, what samples in it, and what ends
            it.
        brief (`Brief`): of the pieces; the rules of a candidate are those of its piece, with its seed.
        sample (`SeededSampling`): of the pieces; a candidate has its own noise, the first that of the piece.
    """
    found = []
    for seed in brief.seeds:
        own = replace(brief, rows=CANDIDATES, seeds=[seed] * CANDIDATES, earlier=[])
        ids = compose(own, sample.like(particle_seeds(seed, CANDIDATES)), UntilOver(own))
        tried = [_until_over(brief, row) for row in ids[:, brief.prompt.tokens :].tolist()]
        bar = int(brief.prompt.bar_ticks[0])
        penalties = [penalty(brief, notes, bar) if len(notes) > 1 else np.inf for _, notes in tried]
        best = int(np.argmin(penalties))
        found.append(tried[best][0] if penalties[best] < np.inf else [])
    return found


def _until_over(brief: Brief, tokens: list[int]) -> tuple[list[int], list[Note]]:
    """The tokens of a beginning, and its notes; none where it has not come to its end.

    Of a subject they end with the step to the second voice's first note, else with the last note before the
    bars that follow.
    """
    state = brief.prompt.repeated(1)
    arrived: dict[int, int] = {}  # how many tokens have been read when a tick is reached
    last = 0
    for count, token in enumerate(tokens, 1):
        state.feed(np.array([token]))
        if state.kind[0] == _TIME:
            arrived.setdefault(int(state.ticks[0]), count)
        elif state.kind[0] == _DUR:
            last = count
        if is_over(brief, state)[0]:
            break
    else:
        return [], []
    notes = [Note(*note) for note in state.notes[0, : state.num_notes[0]].tolist()]
    if brief.form != "fugue":
        return tokens[:last], notes
    end = int(state.ticks[0])
    return tokens[: arrived[end]], [note for note in notes if note.onset < end]


__all__ = ["CANDIDATES", "UntilOver", "best_beginnings"]
