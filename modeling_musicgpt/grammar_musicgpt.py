# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""The grammar of the tokens as an automaton: which token may follow, and how a piece is brought to an end at
a bar line.

Two tables built from the config, `[state, token] -> legal` and `[state, token] -> next state`, so that
masking a step is two gathers. The state after each token is part of the `MusicalState`.
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import LogitsProcessor
from transformers.cache_utils import Cache

from .cache_musicgpt import state_in
from .configuration_musicgpt import MusicGPTConfig
from .stepping_musicgpt import MusicalState, StepTables

PREFIX = ("MODE", "FORM", "METER", "VOICES", "TEMPO")
# A step takes at most this many TIME tokens, which add up.
MAX_TIME_TOKENS = 4
STATES = (
    "START",  # nothing but padding yet: <bos> must come
    "BOS",
    *PREFIX,
    "LEAD_0",  # before the first note: after a step of 0, and after one to four TIME tokens
    *(f"LEAD_{k}" for k in range(1, MAX_TIME_TOKENS + 1)),
    "NOTE",
    "VOICE",
    "DUR",
    "TIME_0",  # between notes: the next one sounds together with the last, or the piece ends
    *(f"TIME_{k}" for k in range(1, MAX_TIME_TOKENS + 1)),
    "NEW_METER",  # a METER between notes
    "END",
)
STATE = {name: i for i, name in enumerate(STATES)}
_BEFORE_NOTES = STATES[: STATES.index("NOTE")]


class Grammar:
    """The automaton of a musical vocabulary.

    Args:
        config (`MusicGPTConfig`): with a musical vocabulary; `<bos>`, `<eos>` and `<pad>` are its
            `bos_token_id`, `eos_token_id` (of several the first) and `pad_token_id`.

    Attributes:
        legal (`torch.BoolTensor` of shape `(states, vocab_size)`): whether a token may come in a state.
        next_state (`torch.LongTensor` of shape `(states, vocab_size)`): the state after it. Illegal tokens
            lead to where a reader finds its feet again: the state that a token of this type usually leads to;
            `<pad>` and unknown tokens change nothing.

    Raises:
        ValueError: if the vocabulary of the config is not musical.
    """

    def __init__(self, config: MusicGPTConfig):
        if not has_grammar(config):
            raise ValueError(
                f"A vocabulary of {config.vocab_size} tokens with bos_token_id={config.bos_token_id} has no"
                " grammar: it needs all blocks of token_blocks and a <bos>."
            )
        self.vocab_size = config.vocab_size
        self.pad = -1 if config.pad_token_id is None else config.pad_token_id
        self.bos = config.bos_token_id
        ends = (
            config.eos_token_id if isinstance(config.eos_token_id, (list, tuple)) else [config.eos_token_id]
        )
        self.eos = next((token for token in ends if token is not None and 0 <= token < self.vocab_size), None)
        self.blocks = {
            name: slice(first, first + count) for name, (first, count) in config.token_blocks.items()
        }
        steps = torch.tensor(config.time_steps)
        times = torch.arange(self.blocks["TIME"].start, self.blocks["TIME"].stop)
        self.zero_steps, self.steps = times[steps == 0], times[steps > 0]
        self.legal = self._legal()
        self.next_state = self._next_state()
        self.step_tables = StepTables(config, self._automaton())
        self._tables: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    def _legal(self) -> torch.Tensor:
        legal = torch.zeros(len(STATES), self.vocab_size, dtype=torch.bool)

        def allow(state: str, *what: str | int | None) -> None:
            for item in what:
                if item is not None:
                    legal[STATE[state], self.blocks[item] if isinstance(item, str) else item] = True

        allow("START", self.bos)
        for i, state in enumerate(("BOS", *PREFIX)):
            allow(state, *PREFIX[i:], "TIME")
        for state in ("LEAD_0", *(f"LEAD_{k}" for k in range(1, MAX_TIME_TOKENS + 1)), "NEW_METER"):
            allow(state, "NOTE")
        allow("NOTE", "VOICE")
        allow("VOICE", "DUR")
        allow("DUR", "TIME")
        allow("TIME_0", "NOTE", self.eos)
        for k in range(1, MAX_TIME_TOKENS + 1):
            allow(f"TIME_{k}", "NOTE", "METER", self.eos)
            if k < MAX_TIME_TOKENS:
                legal[STATE[f"TIME_{k}"], self.steps] = True
                legal[STATE[f"LEAD_{k}"], self.steps] = True
        # After <eos> comes padding, or the next of several packed pieces.
        allow("END", self.bos, self.pad if 0 <= self.pad < self.vocab_size else None)
        return legal

    def _next_state(self) -> torch.Tensor:
        # by default a token changes nothing
        after = torch.arange(len(STATES))[:, None].repeat(1, self.vocab_size)
        for name in ("MODE", "FORM", "VOICES", "TEMPO", "NOTE", "VOICE", "DUR"):
            after[:, self.blocks[name]] = STATE[name]
        for state in STATES:
            lead = state in _BEFORE_NOTES
            run, _, place = state.rpartition("_")
            count = int(place) if run in ("LEAD", "TIME") else 0
            name = "LEAD" if lead else "TIME"
            after[STATE[state], self.zero_steps] = STATE[f"{name}_0"]
            after[STATE[state], self.steps] = STATE[f"{name}_{min(count + 1, MAX_TIME_TOKENS)}"]
            after[STATE[state], self.blocks["METER"]] = STATE["METER" if lead else "NEW_METER"]
        after[:, self.bos] = STATE["BOS"]
        if self.eos is not None:
            after[:, self.eos] = STATE["END"]
        return after

    def tables(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """`legal` and `next_state` on a device; copied there once."""
        if device not in self._tables:
            self._tables[device] = (self.legal.to(device), self.next_state.to(device))
        return self._tables[device]

    def _automaton(self) -> np.ndarray:
        """`next_state` in which `<pad>` changes nothing, and with a column for ids beyond the vocabulary:
        `(states, vocab_size + 1)`.
        """
        stays = torch.arange(len(STATES))[:, None]
        table = torch.cat((self.next_state, stays), dim=1)
        if 0 <= self.pad < self.vocab_size and self.pad != self.eos:
            table[:, self.pad] = stays[:, 0]
        return table.numpy()

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """The state after each token, by reading all before it.

        Args:
            ids (`torch.LongTensor` of shape `(batch, length)`): with padding anywhere; ids outside the
                vocabulary are skipped.

        Returns:
            `torch.LongTensor` of shape `(batch, length)`.
        """
        next_state, tokens = self.step_tables.next_state, ids.cpu().numpy()
        tokens = np.where((tokens < 0) | (tokens >= self.vocab_size), self.vocab_size, tokens)
        states, state = np.empty(tokens.shape, dtype=np.int64), np.full(len(tokens), STATE["START"])
        for place, column in enumerate(tokens.T):
            states[:, place] = state = next_state[state, column]
        return torch.from_numpy(states).to(ids.device)

    def mask(self, ids: torch.Tensor) -> torch.Tensor:
        """Which tokens may come after each row: `(batch, length)` -> `(batch, vocab_size)`, booleans."""
        return self.tables(ids.device)[0][self.states(ids)[:, -1]]


def has_grammar(config: MusicGPTConfig) -> bool:
    """Whether the vocabulary of a config is musical and has a `<bos>`."""
    return (
        config.is_musical and config.bos_token_id is not None and 0 <= config.bos_token_id < config.vocab_size
    )


def keep_possible(scores: torch.Tensor, legal: torch.Tensor) -> torch.Tensor:
    """`scores` with -inf where a token is not legal; a row in which nothing would be left stays as it is.

    Nothing is left where an argument of the caller forbids every legal token (`forced_eos_token_id` inside a
    note): what was asked for by name goes before the grammar.
    """
    masked = torch.where(legal, scores, -torch.inf)
    possible = (masked > -torch.inf).any(dim=-1, keepdim=True)
    return torch.where(possible, masked, scores)


class Prompt:
    """The `MusicalState` of the ids that a logits processor is called with, and what these do not say about
    the prompt. All processors of a call of `generate()` have the same one.

    Args:
        grammar (`Grammar`): for its `<pad>` and what the tokens mean.
        attention_mask (`torch.LongTensor` of shape `(batch, length)`, *optional*): of the prompt; the model
            hears hidden tokens as padding.
        ids (`torch.LongTensor` of shape `(batch, length)`, *optional*): the tokens of a prompt that was given
            as embeddings and stands before all ids.
        cache (`Cache`, *optional*): the model's, which keeps the state already.
    """

    def __init__(
        self,
        grammar: Grammar,
        attention_mask: torch.Tensor | None = None,
        ids: torch.Tensor | None = None,
        cache: Cache | None = None,
    ):
        self.hidden = None if attention_mask is None or attention_mask.all() else attention_mask == 0
        self.pad, self.ids, self.cache = grammar.pad, ids, cache
        if ids is not None and self.hidden is not None and self.hidden.shape == ids.shape:
            self.ids, self.hidden = ids.masked_fill(self.hidden, self.pad), None
        self._own = MusicalState(grammar.step_tables, 1)
        self._asked: torch.Tensor | None = None
        self._state, self._tokens = self._own, 0

    def state(self, ids: torch.Tensor) -> MusicalState:
        """The state after `ids` of shape `(rows, length)`; not to be changed."""
        if ids is not self._asked or self._state.tokens != self._tokens:  # else another processor has asked
            heard = self._heard(ids).cpu().numpy()
            kept = None if self.cache is None else state_in(self.cache)
            if kept is None or not np.array_equal(kept.ids, heard):
                kept = self._own
                kept.follow(heard)
            self._asked, self._state, self._tokens = ids, kept, kept.tokens
        return self._state

    def begin(self, state: MusicalState) -> None:
        """Go on with a state that has read the prompt."""
        self._own = self._state = state

    def select(self, rows: np.ndarray) -> None:
        """Make these of the rows, `(rows,)`, the rows; the model's cache is selected by itself."""
        if self._state is self._own:
            self._own.select(rows)
        self._asked = None

    def _heard(self, ids: torch.Tensor) -> torch.Tensor:
        """All tokens as the model hears them, `(rows, length)`; a prompt row serves as many consecutive rows
        as beams and returned sequences make of it.
        """
        if self.hidden is not None:
            hidden = self.hidden[:, : ids.shape[1]].to(ids.device)
            hidden = hidden.repeat_interleave(len(ids) // len(hidden), dim=0)
            hidden = torch.nn.functional.pad(hidden, (0, ids.shape[1] - hidden.shape[1]))
            ids = ids.masked_fill(hidden, self.pad)
        if self.ids is not None:
            prompt = self.ids.to(ids.device).repeat_interleave(len(ids) // len(self.ids), dim=0)
            ids = torch.cat((prompt, ids), dim=1)
        return ids


class GrammarLogitsProcessor(LogitsProcessor):
    """Takes every token away that the grammar does not allow next.

    Args:
        grammar (`Grammar`): the automaton.
        prompt (`Prompt`, *optional*): what is known of the prompt beside its ids.
        ends (`bool`): whether `<eos>` ends the generation; if not, it is not allowed, because nothing could
            follow it.
    """

    def __init__(self, grammar: Grammar, prompt: Prompt | None = None, ends: bool = True):
        self.grammar, self.prompt, self.ends = grammar, prompt or Prompt(grammar), ends

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """`scores` of shape `(batch, vocab_size)`, masked for each row of `input_ids`."""
        if scores.shape[-1] != self.grammar.vocab_size:
            raise ValueError(
                f"The scores have {scores.shape[-1]} columns, the grammar {self.grammar.vocab_size} tokens:"
                " resize the model with resize_token_embeddings, or pass constrain_grammar=False."
            )
        state = torch.from_numpy(self.prompt.state(input_ids).grammar)
        legal = self.grammar.tables(scores.device)[0][state.to(scores.device)]
        if not self.ends and self.grammar.eos is not None:
            legal[:, self.grammar.eos] = False
        return keep_possible(scores, legal)


__all__ = ["Grammar", "GrammarLogitsProcessor", "Prompt", "has_grammar", "keep_possible"]
