"""Keeps a piece from ending before it has grown to a length."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import EOS_ID, METER_TICKS, OFFSET, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID, bar_ticks


class EarliestEnd(LogitsProcessor):
    """Forbids `<eos>` until a piece has so many bars and notes, unless nothing else is left to choose.

    What is left to choose near the limit on new tokens is decided before, by the model's own rule that ends a piece at a bar line:
    the limit wins.

    Args:
        min_bars (`int`): whole bars that must have passed; the piece's meter at its beginning counts.
        min_notes (`int`): notes that there must be, those of a prompt counted.
    """

    def __init__(self, min_bars: int, min_notes: int):
        self.min_bars, self.min_notes = min_bars, min_notes
        kinds = torch.from_numpy(TYPE_OF_ID)
        self.is_note = kinds == TYPE_INDEX["NOTE"]
        self.ticks = torch.where(kinds == TYPE_INDEX["TIME"], torch.from_numpy(VALUE_OF_ID), 0)
        self.meters = slice(OFFSET["METER"], OFFSET["METER"] + len(METER_TICKS))

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        if not (scores[:, EOS_ID] > -torch.inf).any():
            return scores  # <eos> cannot come here anyway: three of four steps end here
        ids = input_ids.cpu()
        notes = self.is_note[ids].sum(dim=1)  # (rows,)
        early = (self.ticks[ids].sum(dim=1) < self.min_bars * self._bar_ticks(ids)) | (notes < self.min_notes)
        others = scores.clone()
        others[:, EOS_ID] = -torch.inf
        possible = (others > -torch.inf).any(dim=-1)
        return torch.where((early.to(scores.device) & possible)[:, None], others, scores)

    def _bar_ticks(self, ids: torch.Tensor) -> torch.Tensor:
        """Length of a bar of each row in ticks, `(rows,)`, from the METER token of its prefix."""
        head = ids[:, :6]
        is_meter = (head >= self.meters.start) & (head < self.meters.stop)
        lengths = torch.tensor(METER_TICKS)[(head - self.meters.start).clamp(0, len(METER_TICKS) - 1)]
        return torch.where(is_meter.any(dim=1), (lengths * is_meter).sum(dim=1), bar_ticks(4, 4))
