"""What the tests of rules share: pieces as words of tokens, and what a rule says of the next one."""

from __future__ import annotations

from typing import Any

import numpy as np

from musicgpt.rules import Brief, RuleProcessor
from musicgpt.rules.base import FORBIDDEN
from musicgpt.state import State
from tests.musicgpt.states import state_after
from tokenization.vocabulary import TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID


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


def brief(*earlier: Any, **what: Any) -> Brief:
    """A brief for one piece after `<bos> TIME_0`, with earlier rules."""
    return Brief(earlier=list(earlier), **{"prompt": state_after(ids("")), **what})
