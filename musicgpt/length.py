"""A piece does not become shorter than asked."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import (
    EOS_ID,
    METER_TICKS,
    OFFSET,
    TYPE_INDEX,
    TYPE_OF_ID,
    VALUE_OF_ID,
    bar_ticks,
)


class Length(LogitsProcessor):
    """Forbids `<eos>` until a piece has so many bars and notes.

    What is left to choose near the limit on new tokens is decided before, by the model's own rule that ends a
    piece at a bar line: the limit wins.

    Args:
        min_bars (`int`): whole bars that must have passed before the piece may end; those of a prompt count.
        min_notes (`int`): notes that there must be before.
    """

    def __init__(self, min_bars: int, min_notes: int):
        self.min_bars, self.min_notes = min_bars, min_notes
        kinds = torch.from_numpy(TYPE_OF_ID)
        self.is_note = kinds == TYPE_INDEX["NOTE"]
        self.ticks = torch.where(kinds == TYPE_INDEX["TIME"], torch.from_numpy(VALUE_OF_ID), 0)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        if not (scores[:, EOS_ID] > -torch.inf).any():
            return scores  # three of four steps end here
        ids = input_ids.cpu()
        notes, bars = self.is_note[ids].sum(dim=1), self.ticks[ids].sum(dim=1) // self._bar_ticks(ids)
        early = (bars < self.min_bars) | (notes < self.min_notes)
        others = scores.clone()
        others[:, EOS_ID] = -torch.inf
        early &= (others > -torch.inf).any(dim=-1).cpu()  # unless nothing else is left to choose
        return torch.where(early.to(scores.device)[:, None], others, scores)

    @staticmethod
    def _bar_ticks(ids: torch.Tensor) -> torch.Tensor:
        """Length of a bar of each row in ticks, `(rows,)`, from the METER token of its prefix."""
        head = ids[:, :6] - OFFSET["METER"]
        is_meter = (head >= 0) & (head < len(METER_TICKS))
        lengths = torch.tensor(METER_TICKS)[head.clamp(0, len(METER_TICKS) - 1)]
        return torch.where(is_meter.any(dim=1), (lengths * is_meter).sum(dim=1), bar_ticks(4, 4))
