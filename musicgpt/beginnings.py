"""Several beginnings of each piece, of which its rule takes the best (`rules/beginning.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import StoppingCriteria

from tokenization.score import Note
from tokenization.vocabulary import DUR_TYPE, TIME_TYPE

from .rules.base import Brief
from .rules.beginning import is_over, opening_penalty, order_penalty, subject_penalty
from .sampling import SeededSampling, particle_seeds

# Beginnings of a piece, tokens within which they are over, and of how many pieces they are made at once.
CANDIDATES, MOST_TOKENS, AT_ONCE = 6, 200, 8


class Tried(NamedTuple):
    """The tokens of a beginning, and its notes; none where it has not come to its end."""

    tokens: list[int]
    notes: list[Note]


class UntilOver(StoppingCriteria):
    """Ends each row when it has come to the end of its beginning, or has used its tokens.

    Args:
        brief (`Brief`): of these rows; ids begin with its prompt.

    Attributes:
        tried (list of `Tried`): of each row.
    """

    def __init__(self, brief: Brief):
        self.brief, self.state = brief, brief.prompt.repeated(brief.rows)
        self.tried = [Tried([], [])] * brief.rows
        self.over = np.zeros(brief.rows, dtype=bool)
        # Of each row how many tokens it had when it reached each tick, and when its last note was whole.
        self.arrived: list[dict[int, int]] = [{} for _ in range(brief.rows)]
        self.last = [0] * brief.rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        ids, begin, state = input_ids.cpu().numpy(), self.brief.prompt.tokens, self.state
        state.follow(ids)
        used, over = state.tokens - begin, is_over(self.brief, state)
        for row in (~self.over).nonzero()[0].tolist():
            if state.kind[row] == TIME_TYPE:
                self.arrived[row].setdefault(int(state.ticks[row]), used)
            elif state.kind[row] == DUR_TYPE:
                self.last[row] = used
            if over[row]:
                self.tried[row] = self._beginning(row, ids[row, begin:])
        self.over |= over
        return torch.from_numpy(self.over | (used >= MOST_TOKENS)).to(input_ids.device)

    def _beginning(self, row: int, tokens: np.ndarray) -> Tried:
        """Of a subject the tokens end with the step to the second voice's first note, else with the last note
        before the bars that follow.
        """
        state = self.state
        notes = [Note(*note) for note in state.notes[row, : state.num_notes[row]].tolist()]
        if self.brief.form != "fugue":
            return Tried(tokens[: self.last[row]].tolist(), notes)
        end = int(state.ticks[row])
        return Tried(tokens[: self.arrived[row][end]].tolist(), [note for note in notes if note.onset < end])


def best_beginnings(
    compose: Callable[[Brief, Any, StoppingCriteria], Any], brief: Brief, sample: Any
) -> list[list[int]]:
    """Of each piece the tokens of its best beginning; none where none came to an end.

    Args:
        compose (callable): composes by the brief of a batch, what samples in it, and what ends it.
        brief (`Brief`): of the pieces; the rules of a candidate are those of its piece, with its seed.
        sample (`SeededSampling`): of the pieces; a candidate has its own noise, the first that of the piece.
    """
    best: list[list[int]] = []
    for first in range(0, brief.rows, AT_ONCE):
        seeds = brief.seeds[first : first + AT_ONCE]
        plans = [seed for seed in seeds for _ in range(CANDIDATES)]
        own = replace(brief, rows=len(plans), seeds=plans, earlier=[])
        until = UntilOver(own)
        noise = [s for seed in seeds for s in particle_seeds(seed, CANDIDATES)]
        compose(own, SeededSampling(sample.wanted, noise), until)
        types, against = own.ask("prelude_types"), own.ask("against_beginnings")
        drawn = [one.bits for one in types()] if types else [None] * own.rows
        found = [
            penalty(brief, tried.notes, bits) if len(tried.notes) > 1 else np.inf
            for tried, bits in zip(until.tried, drawn, strict=True)
        ]
        penalties = np.array(found) + (against() if against else 0.0)
        for k in range(0, len(plans), CANDIDATES):
            place = k + int(np.argmin(penalties[k : k + CANDIDATES]))
            best.append(until.tried[place].tokens if penalties[place] < np.inf else [])
    return best


def penalty(brief: Brief, notes: list[Note], bits: float | None) -> float:
    """What there is against a beginning of two notes or more."""
    if brief.form == "fugue":
        return subject_penalty(notes, brief.mode, brief.bar_ticks, brief.meter) + order_penalty(brief, notes)
    return opening_penalty(notes, brief.mode, brief.bar_ticks, bits)
