"""What a rule is, what it is made for, and the one processor that applies a list of them.

A rule says which next tokens it likes and dislikes: from where the pieces stand to additions to the logits.
Precedence is the order of the list. What an earlier rule has forbidden stays forbidden, and a rule that would
leave nothing in a row has no say in that row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import OFFSET, TYPE_INDEX, TYPE_OF_ID, TYPES, VOCAB_SIZE

from ..state import State

FORBIDDEN = -np.inf
# The tokens of each type.
BLOCK = {
    name: slice(OFFSET[name], OFFSET[name] + int(np.equal(TYPE_OF_ID, TYPE_INDEX[name]).sum()))
    for name in TYPES
}


@dataclass
class Brief:
    """What the rules of a batch are made for.

    Attributes:
        rows (`int`): how many pieces.
        seeds (sequence of `int`): of each piece its own.
        meter (`str` or `None`): such as `"6/8"`, as asked.
        mode (`str`): `"major"` or `"minor"`: pitches are those of the tokens, in C major or A minor.
        form, voices (`str`, `int` or `None`): as asked.
        min_bars, min_notes (`int`): a piece does not end before it has so many.
        max_new_tokens (`int`): how many there can be.
        ends (`bool`): whether a piece ends when it is long enough, because no length was asked for.
        prompt (`State`): one row, after the tokens that the model is given.
        earlier (list): the rules that stand before in the list.
    """

    rows: int = 1
    seeds: Sequence[int] = (0,)
    mode: str = "major"
    meter: str | None = None
    form: str | None = None
    voices: int | None = None
    min_bars: int = 0
    min_notes: int = 0
    max_new_tokens: int = 4096
    ends: bool = True
    prompt: State = field(default_factory=State)
    earlier: list[Any] = field(default_factory=list)

    @property
    def is_continuation(self) -> bool:
        """Whether the prompt has notes."""
        return bool(self.prompt.num_notes[0])

    def ask(self, question: str) -> Callable[[], Any] | None:
        """A method of an earlier rule by its name, such as `closing`; `None` where no rule has it. It is
        asked anew at each token: an earlier rule has been called when a later one is.
        """
        found = [getattr(rule, question) for rule in self.earlier if hasattr(rule, question)]
        return found[0] if found else None


class Rule:
    """The base of rules that need to know what they are made for, or that remember something. A rule that
    does not can as well be a function, see `rule`.

    Attributes:
        after (tuple of `str`): the types of tokens after which it has something to say; empty: all. Elsewhere
            it is not called, and what it says of rows that stand elsewhere does not count.
    """

    after: tuple[str, ...] = ()

    def __init__(self, brief: Brief):
        self.brief = brief

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Whether there is any use for it."""
        return True

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        """What is added to the logits of the next token.

        Args:
            state (`State`): where each piece stands.
            scores (array of shape `(rows, vocab_size)`): the logits with what earlier rules added, -inf where
                a token is forbidden; not to be changed.

        Returns:
            array of shape `(rows, vocab_size)` or `(vocab_size,)`, -inf to forbid a token; `None` for
            nothing.
        """
        raise NotImplementedError


def rule(*after: str) -> Callable[[Callable], Callable]:
    """Makes a rule of a function `(state, scores) -> additions`; `after` as for `Rule`.

    Example:
        >>> @rule("TIME")
        ... def no_low_notes(state, scores):
        ...     "No note below C3."
        ...     added = np.zeros(VOCAB_SIZE)
        ...     added[TOKEN_TO_ID["NOTE_28"] : TOKEN_TO_ID["NOTE_48"]] = -np.inf
        ...     return added
    """

    def mark(function: Callable) -> Callable:
        function.after = after  # type: ignore[attr-defined]
        return function

    return mark


def build(chosen: Iterable[Any], brief: Brief) -> list[Any]:
    """The rules of a list for one batch: classes that apply are made, functions stay."""
    for item in chosen:
        if not (isinstance(item, type) and issubclass(item, Rule)):
            brief.earlier.append(item)
        elif item.applies(brief):
            brief.earlier.append(item(brief))
    return list(brief.earlier)


class RuleProcessor(LogitsProcessor):
    """Applies a list of rules in its order.

    Args:
        rules (sequence of `Rule` or functions): made for this batch.
        state (`State`): of the pieces, after their prompt. The processor goes on with it.
        sample (callable, *optional*): from state and scores `(rows, vocab_size)` to scores of which the
            largest of a row is its next token.
    """

    def __init__(self, rules: Sequence[Any], state: State, sample: Callable | None = None):
        self.state, self.sample = state, sample
        self.rules = []
        for item in rules:
            heard = np.zeros(len(TYPES) + 1, dtype=bool)  # the last is that of rows without a token
            heard[[TYPE_INDEX[name] for name in getattr(item, "after", ())]] = True
            self.rules.append((item, None if not heard.any() else heard))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        self.state.follow(input_ids.cpu().numpy())
        values = scores.detach().to("cpu", torch.float32).numpy()
        for item, heard in self.rules:
            values = self._apply(item, heard, values)
        if self.sample is not None:
            values = self.sample(self.state, values)
        return torch.from_numpy(np.ascontiguousarray(values)).to(scores.device, scores.dtype)

    def _apply(self, item: Any, heard: np.ndarray | None, values: np.ndarray) -> np.ndarray:
        state = self.state
        here = None if heard is None else heard[state.kind]
        if here is not None and not here.any():
            return values
        added = item(state, values)
        if added is None:
            return values
        then = (values + added).astype(np.float32, copy=False)
        left = then.max(axis=1) > FORBIDDEN
        if here is not None:
            left &= here
        return then if left.all() else np.where(left[:, None], then, values)


__all__ = ["BLOCK", "FORBIDDEN", "VOCAB_SIZE", "Brief", "Rule", "RuleProcessor", "build", "rule"]
