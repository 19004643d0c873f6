"""What the tests of rules share: pieces as words of tokens, and what a rule says of the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from modeling_musicgpt import MusicGPTConfig
from modeling_musicgpt.grammar_musicgpt import Grammar
from musicgpt.rules import Brief, RuleProcessor
from musicgpt.rules.base import BLOCK, FORBIDDEN
from musicgpt.rules.tonal_plan import Plan as KeyPlan
from musicgpt.rules.tonal_plan import Section
from musicgpt.state import State
from tests.musicgpt.states import state_after
from tokenization.vocabulary import EOS_ID, TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID

# A bar of 4/4 in two voices.
BAR = "NOTE_72 VOICE_0 DUR_48 TIME_0 NOTE_48 VOICE_1 DUR_24 TIME_24 NOTE_52 VOICE_1 DUR_24 TIME_24 " * 2
EVEN = [TOKEN_TO_ID[f"TIME_{ticks}"] for ticks in (0, 6, 12)]  # steps that leave the bar lines on the grid


def ids(text: str) -> list[int]:
    """Tokens of a piece from its first step on."""
    return [TOKEN_TO_ID[name] for name in ("<bos> TIME_0 " + text).split()]


def state(text: str, rows: int = 1) -> State:
    """Where the piece stands after them."""
    return state_after(ids(text), rows)


def said(rule: Any, state: State, scores: np.ndarray | None = None) -> np.ndarray:
    """The scores of the next token, `(rows, vocab_size)`, after a rule; all 0 before it."""
    processor = RuleProcessor([rule], state)
    values = np.zeros((state.rows, len(TOKEN_TO_ID)), dtype=np.float32) if scores is None else scores
    return processor._apply(*processor.rules[0], values)


def allowed(rule: Any, text: str, kind: str) -> list[int]:
    """The values of a kind of token that may come next."""
    left = np.flatnonzero(said(rule, state(text))[0] > FORBIDDEN)
    return VALUE_OF_ID[left[TYPE_OF_ID[left] == TYPE_INDEX[kind]]].tolist()


class Plan:
    """An earlier rule that has a note for the first row: pitch, voice, duration."""

    after = ()

    def __init__(self, *note: int, closing: bool = False):
        self.note, self.is_closing = note or (-1, -1, -1), closing

    def due(self) -> np.ndarray:
        return np.array([self.note])

    def closing(self) -> np.ndarray:
        return np.array([self.is_closing])


class Planned:
    """An earlier rule with a plan of one section, whose cadence comes with the third bar."""

    after = ()

    def __init__(self, key: int = 0, cadences: Sequence[int] = (2,)):
        self.plan = KeyPlan("prelude", "major", 12, np.random.default_rng(0))
        self.plan.sections, self.plan.cadences = [Section(key, 0, 12)], list(cadences)

    def key_plans(self) -> list[KeyPlan]:
        return [self.plan]


def note(found: np.ndarray, pitch: int) -> float:
    """The score of a note in the first row."""
    return float(found[0, TOKEN_TO_ID[f"NOTE_{pitch}"]])


def brief(*earlier: Any, **what: Any) -> Brief:
    """A brief for one piece after `<bos> TIME_0`, with earlier rules."""
    return Brief(earlier=list(earlier), **{"prompt": state_after(ids("")), **what})


def written(
    rules: list, prefix: list[int], limit: int, taste: Callable, seed: int = 0, rows: int = 1
) -> list[list[int]]:
    """Random pieces under the grammar and some rules, in one meter, each to its `<eos>` if it has one.

    Args:
        rules: built for so many rows.
        prefix: what every row begins with.
        limit: new tokens at the most.
        taste: `taste(scores, made)` changes the random scores `(rows, 150)` of a token in place.
    """
    generator, grammar = torch.Generator().manual_seed(seed), Grammar(MusicGPTConfig())
    process, ids = RuleProcessor(rules, state_after(prefix, rows)), torch.tensor([prefix] * rows)
    for made in range(limit):
        scores = torch.randn(rows, len(TOKEN_TO_ID), generator=generator)
        taste(scores, made)
        scores[:, BLOCK["METER"]] -= 99
        scores = process(ids, scores.masked_fill(~grammar.mask(ids), -torch.inf))
        ids = torch.cat((ids, scores.argmax(dim=1, keepdim=True)), dim=1)
        if (ids == EOS_ID).any(dim=1).all():
            break
    return [row[: row.index(EOS_ID) + 1] if EOS_ID in row else row for row in ids.tolist()]
