# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Bringing a piece to an end at a bar line within its token budget, instead of cutting it off."""

from __future__ import annotations

import numpy as np
import torch
from transformers import LogitsProcessor

from .configuration_musicgpt import MusicGPTConfig
from .grammar_musicgpt import MAX_TIME_TOKENS, STATE, STATES, Grammar, Prompt, keep_possible
from .stepping_musicgpt import BARS_LOOKED_AT, MusicalState

# Nothing is looked at while more tokens than this are left: no two bars of music take as many.
LOOK_AHEAD = 640
# Fewer tokens than this are not taken for a bar, whatever the bars before had.
SHORTEST_BAR = 24
# Every piece can be closed with fewer tokens than this.
CLOSING = 12
_NEVER = 99


class ClosingCosts:
    """How many tokens a piece needs at least to be closed.

    Args:
        grammar (`Grammar`): of the same config.
        config (`MusicGPTConfig`): for the ticks of TIME and METER tokens.

    Attributes:
        lengths (`torch.LongTensor`): the bar lengths that there are, in ticks.
        cost (`torch.LongTensor` of shape `(2, lengths, states, ticks)`): tokens up to and including `<eos>`,
            for each bar length, state and tick in the bar: `[0]` to end at a bar line that a step leads to,
            `[1]` to end anywhere between two notes.
    """

    def __init__(self, grammar: Grammar, config: MusicGPTConfig):
        self.grammar = grammar
        vocab = grammar.vocab_size
        self.step = torch.zeros(vocab, dtype=torch.long)
        self.step[grammar.blocks["TIME"]] = torch.tensor(config.time_steps)
        self.lengths = torch.tensor(sorted({*config.meter_ticks, config.default_bar_ticks}))
        self.new_length = torch.full((vocab,), -1)  # place in `lengths` of a METER token's bar
        self.new_length[grammar.blocks["METER"]] = torch.searchsorted(
            self.lengths, torch.tensor(config.meter_ticks)
        )
        self.new_length[grammar.bos] = torch.searchsorted(
            self.lengths, torch.tensor(config.default_bar_ticks)
        )
        self.cost = self._solve()

    def to(self, device: torch.device) -> ClosingCosts:
        """Moves the tables."""
        for name in ("step", "lengths", "new_length", "cost"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def after(self, state: torch.Tensor, length: torch.Tensor, tick: torch.Tensor) -> torch.Tensor:
        """Tokens still needed after each possible next token, `(2, rows, vocab)`, from state, bar length (its
        place in `lengths`) and tick in the bar of each row, `(rows,)`.
        """
        _, next_state = self.grammar.tables(state.device)
        meter = self.new_length >= 0
        new_length = torch.where(meter, self.new_length, length[:, None])  # (rows, vocab)
        new_tick = torch.where(meter, 0, (tick[:, None] + self.step) % self.lengths[length][:, None])
        return self.cost[:, new_length, next_state[state], new_tick]

    def _solve(self) -> torch.Tensor:
        """Shortest paths by value iteration over one token of each kind (tokens of a block differ only in
        TIME and METER).
        """
        count, ticks = len(self.lengths), int(self.lengths.max())
        cost = torch.full((2, count, len(STATES), ticks), _NEVER)
        for state in (f"TIME_{k}" for k in range(MAX_TIME_TOKENS + 1)):
            cost[1, :, STATE[state]] = 1
            if state != "TIME_0":
                cost[0, :, STATE[state], 0] = 1
        blocks = self.grammar.blocks
        kinds = [block.start for name, block in blocks.items() if name not in ("TIME", "METER")]
        every = torch.arange(self.grammar.vocab_size)
        kinds = torch.tensor([*kinds, self.grammar.bos])
        tokens = torch.cat((every[blocks["TIME"]], every[blocks["METER"]], kinds))
        state, place = self.grammar.legal[:, tokens].nonzero(as_tuple=True)  # (pairs,)
        token = tokens[place][:, None]
        after, meter = self.grammar.next_state[state, token[:, 0]], self.new_length[token] >= 0
        length = torch.where(meter, self.new_length[token], torch.arange(count))  # (pairs, lengths)
        # (pairs, lengths, ticks)
        tick = (torch.arange(ticks) + self.step[token][..., None]) % self.lengths[:, None]
        tick = torch.where(meter[..., None], 0, tick)
        # the pairs are in the order of their states
        first = np.searchsorted(state.numpy(), np.arange(len(STATES)))
        for _ in range(CLOSING):
            through = cost[:, length[..., None], after[:, None, None], tick] + 1  # (2, pairs, lengths, ticks)
            # (2, states, lengths, ticks)
            through = torch.from_numpy(np.minimum.reduceat(through.numpy(), first, axis=1))
            better = torch.minimum(cost, through.transpose(1, 2))
            if torch.equal(better, cost):
                break
            cost = better
        return cost


class BarEndLogitsProcessor(LogitsProcessor):
    """Ends the piece with the last bar for which the budget has room.

    A bar is expected to take as many tokens as the longest of the last four. Where that many are not left,
    `<eos>` follows at the bar line; in the bar before, no step leads beyond the bar line. Besides, no token
    is allowed from which the piece could not be closed within the budget any more, so that a bar that grows
    longer than those before ends with a rest instead of being cut off.

    Args:
        grammar (`Grammar`): with an `<eos>`.
        costs (`ClosingCosts`): of the same grammar.
        max_length (`int`): tokens that a row can have, the prompt among them if it is given as ids.
        prompt (`Prompt`, *optional*): as for `GrammarLogitsProcessor`; ids in it are not counted in
        `max_length`.
    """

    def __init__(self, grammar: Grammar, costs: ClosingCosts, max_length: int, prompt: Prompt | None = None):
        self.grammar, self.costs = grammar, costs
        self.max_length, self.prompt = max_length, prompt or Prompt(grammar)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """`scores` of shape `(batch, vocab_size)`, already masked by the grammar."""
        left = self.max_length - input_ids.shape[1]
        if left > LOOK_AHEAD or left < 1:
            return scores
        state = self.prompt.state(input_ids)
        if not state.tokens:
            return scores
        begun = state.tokens - state.bar_begin
        if left >= 2 * max(state.bar_tokens.max(), begun.max(), SHORTEST_BAR):
            return scores  # there is room for two more bars in every row
        longest = np.maximum(np.maximum(state.bar_tokens.max(axis=1), begun), SHORTEST_BAR)
        last = (
            (left + begun < 2 * longest) & (state.grammar >= STATE["NOTE"]) & (state.grammar < STATE["END"])
        )
        full = left < longest
        if last.any() or full.any():
            legal = torch.from_numpy(self._within_bar(state, last, full)).to(scores.device)
            scores = keep_possible(scores, legal)
        if left <= CLOSING:
            rows = (torch.from_numpy(v.copy()) for v in (state.grammar, state.bar_position, state.bar_ticks))
            scores = keep_possible(scores, self._closable(*(row.to(scores.device) for row in rows), left))
        return scores

    def _within_bar(self, state: MusicalState, last: np.ndarray, full: np.ndarray) -> np.ndarray:
        """What is allowed, `(batch, vocab)`, in rows in their last bar and in rows without room for another
        one, each `(batch,)`.
        """
        grammar, tick = self.grammar, state.bar_position
        beyond = tick[:, None] + grammar.step_tables.step[:-1] > state.bar_ticks[:, None]
        beyond[:, grammar.blocks["METER"]] = True  # a change of meter would begin another bar
        legal = ~(beyond & last[:, None])
        between = (state.grammar >= STATE["TIME_1"]) & (state.grammar <= STATE[f"TIME_{MAX_TIME_TOKENS}"])
        legal[between & (tick == 0) & full] = np.arange(grammar.vocab_size) == grammar.eos
        return legal

    def _closable(self, state, tick, bar_ticks, left: int) -> torch.Tensor:
        """Tokens after which the piece can still be closed: at a bar line if possible, else between two
        notes, else anything.
        """
        costs = self.costs.to(state.device)
        length = torch.searchsorted(costs.lengths, bar_ticks.contiguous())
        legal = self.grammar.tables(state.device)[0][state]
        possible = (costs.after(state, length, tick) <= left - 1) & legal  # (2, batch, vocab)
        # `<eos>` itself needs nothing after it; it is for the costs of the state before it whether it comes
        # at a bar line.
        possible[1, :, self.grammar.eos] = legal[:, self.grammar.eos]
        possible[0, :, self.grammar.eos] = legal[:, self.grammar.eos] & (
            costs.cost[0, length, state, tick] == 1
        )
        any_possible = possible.any(dim=-1, keepdim=True)
        return torch.where(any_possible[0], possible[0], torch.where(any_possible[1], possible[1], legal))


__all__ = ["BARS_LOOKED_AT", "BarEndLogitsProcessor", "ClosingCosts"]
