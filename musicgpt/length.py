"""How long a piece becomes: not shorter than asked, and, where no length is asked for, not much longer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import EOS_ID, METER_TICKS, OFFSET, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID, bar_ticks

# A piece of no asked length ends at a bar line when it has at least as many bars and notes as the first pair says, and as many bars or
# as many notes as the second; in a continuation only the new ones count.
SHORTEST = (16, 200)
ENOUGH = (24, 400)


class Length(LogitsProcessor):
    """Forbids `<eos>` until a piece has so many bars and notes, and can demand it at a bar line from a length on.

    What is left to choose near the limit on new tokens is decided before, by the model's own rule that ends a piece at a bar line:
    the limit wins.

    Args:
        min_bars (`int`): whole bars that must have passed before the piece may end; those of a prompt count.
        min_notes (`int`): notes that there must be before.
        prompt (sequence of `int`): what the model read, for the length that it has already.
        ends (`bool`): end the piece at a bar line when it is as long as `SHORTEST` and `ENOUGH` say.
    """

    def __init__(self, min_bars: int, min_notes: int, prompt: Sequence[int], ends: bool):
        self.min_bars, self.min_notes, self.ends = min_bars, min_notes, ends
        kinds = torch.from_numpy(TYPE_OF_ID)
        self.is_note = kinds == TYPE_INDEX["NOTE"]
        self.ticks = torch.where(kinds == TYPE_INDEX["TIME"], torch.from_numpy(VALUE_OF_ID), 0)
        read = torch.tensor([list(prompt)], dtype=torch.long)
        self.bars_read = int(self.ticks[read].sum() // self._bar_ticks(read))
        self.notes_read = int(self.is_note[read].sum())

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        can_end = scores[:, EOS_ID] > -torch.inf  # (rows,)
        if not can_end.any():
            return scores  # three of four steps end here
        ids = input_ids.cpu()
        notes, ticks, bar = self.is_note[ids].sum(dim=1), self.ticks[ids].sum(dim=1), self._bar_ticks(ids)
        bars = ticks // bar
        early = (bars < self.min_bars) | (notes < self.min_notes)
        others = scores.clone()
        others[:, EOS_ID] = -torch.inf
        early &= (others > -torch.inf).any(dim=-1).cpu()  # unless nothing else is left to choose
        scores = torch.where(early.to(scores.device)[:, None], others, scores)
        if not self.ends:
            return scores
        bars, notes = bars - self.bars_read, notes - self.notes_read
        late = (bars >= SHORTEST[0]) & (notes >= SHORTEST[1]) & ((bars >= ENOUGH[0]) | (notes >= ENOUGH[1]))
        late &= (ticks % bar == 0) & ~early & can_end.cpu()
        only_end = torch.full_like(scores, -torch.inf)
        only_end[:, EOS_ID] = 0.0
        return torch.where(late.to(scores.device)[:, None], only_end, scores)

    @staticmethod
    def _bar_ticks(ids: torch.Tensor) -> torch.Tensor:
        """Length of a bar of each row in ticks, `(rows,)`, from the METER token of its prefix."""
        head = ids[:, :6] - OFFSET["METER"]
        is_meter = (head >= 0) & (head < len(METER_TICKS))
        lengths = torch.tensor(METER_TICKS)[head.clamp(0, len(METER_TICKS) - 1)]
        return torch.where(is_meter.any(dim=1), (lengths * is_meter).sum(dim=1), bar_ticks(4, 4))
