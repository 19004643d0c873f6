# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""No piece hammers on one note longer than Bach does."""

from __future__ import annotations

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

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """`scores` of shape `(batch, vocab_size)`, already masked by the grammar."""
        note = self.prompt.heard(input_ids) - self.first_note  # (B, L)
        is_note = (note >= 0) & (note < self.num_notes)
        from_end = is_note.long().flip(1).cumsum(1).flip(1)  # 1 at the last note, 2 at the one before
        legal = torch.ones_like(scores, dtype=torch.bool)
        for window, limit in WINDOWS:
            recent = (is_note & (from_end < window)).long()
            counts = recent.new_zeros(len(note), self.num_notes).scatter_add_(
                1, note.clamp(0, self.num_notes - 1), recent
            )
            legal[:, self.first_note : self.first_note + self.num_notes] &= counts < limit
        return keep_possible(scores, legal)


__all__ = ["WINDOWS", "RepetitionLogitsProcessor"]
