# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""No piece hammers on one note longer than Bach does."""

from __future__ import annotations

import numpy as np
import torch
from transformers import LogitsProcessor

from .grammar_musicgpt import Grammar, Prompt, keep_possible

# (notes in succession, how many of them may have the same pitch): the most that stands anywhere in the 217
# Bach pieces (docs/LOG.md).
WINDOWS = ((32, 16), (96, 27))


class RepetitionLogitsProcessor(LogitsProcessor):
    """Forbids a NOTE that the last notes hold as often as any passage of Bach does (`WINDOWS`).

    Args:
        grammar (`Grammar`): for the place of the NOTE tokens.
        prompt (`Prompt`, *optional*): as for `GrammarLogitsProcessor`.
    """

    def __init__(self, grammar: Grammar, prompt: Prompt | None = None):
        self.grammar, self.prompt = grammar, prompt or Prompt(grammar)
        notes = grammar.blocks["NOTE"]
        self.first_note, self.num_notes = notes.start, notes.stop - notes.start
        self.may_strike = grammar.legal[:, self.first_note].numpy()  # by the state of the grammar

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """`scores` of shape `(batch, vocab_size)`, already masked by the grammar."""
        state = self.prompt.state(input_ids)
        if not self.may_strike[state.grammar].any():
            return scores
        window, rows = np.arange(1, max(WINDOWS)[0]), np.arange(state.rows)[:, None]
        place = state.num_struck[:, None] - window  # (rows, window), from the last note backwards
        struck = np.where(place >= 0, state.struck[rows, np.maximum(place, 0)], self.num_notes)
        legal = np.ones((state.rows, self.num_notes), dtype=bool)
        for window, limit in WINDOWS:
            cells = rows * (self.num_notes + 1) + struck[:, : window - 1]
            counts = np.bincount(cells.ravel(), minlength=state.rows * (self.num_notes + 1))
            legal &= counts.reshape(state.rows, -1)[:, : self.num_notes] < limit
        if legal.all():
            return scores
        every = torch.ones_like(scores, dtype=torch.bool)
        notes = slice(self.first_note, self.first_note + self.num_notes)
        every[:, notes] = torch.from_numpy(legal).to(scores.device)
        return keep_possible(scores, every)


__all__ = ["WINDOWS", "RepetitionLogitsProcessor"]
