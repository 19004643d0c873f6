"""What a rule is, what it is made for, and the one processor that applies a list of them.

A rule says which next tokens it likes and dislikes: from where the pieces stand to additions to the logits.
Precedence is the order of the list. What an earlier rule has forbidden stays forbidden, and a rule that would
leave nothing in a row has no say in that row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import LogitsProcessor

from tokenization.vocabulary import (
    DURATIONS,
    EOS_ID,
    OFFSET,
    PITCH_MAX,
    PITCH_MIN,
    TIME_STEPS,
    TYPE_INDEX,
    TYPE_OF_ID,
    TYPES,
    VOCAB_SIZE,
)

from ..state import State
from .keys import last_beat

if TYPE_CHECKING:
    from ..frame import Frame

FORBIDDEN = -np.inf
# A finite number far below every score.
LOW = -1e9
# What is given comes although `generate()` forbids it, as if it were so many nats less likely than the
# likeliest.
UNHEARD_OF = 20.0
# C2 and C6.
LOWEST, HIGHEST = 36, 84
QUAVER, QUARTER = 12, 24  # ticks
# What TIME, DUR and NOTE tokens say by their places in their blocks: ticks, ticks and MIDI pitches.
TIME_TICKS, DUR_TICKS, PITCHES = (
    np.array(TIME_STEPS),
    np.array(DURATIONS),
    np.arange(PITCH_MIN, PITCH_MAX + 1),
)
# The tokens of each type.
BLOCK = {
    name: slice(OFFSET[name], OFFSET[name] + int(np.equal(TYPE_OF_ID, TYPE_INDEX[name]).sum()))
    for name in TYPES
}
# What is added to the logits so that no piece ends.
NO_END = np.where(np.arange(VOCAB_SIZE) == EOS_ID, FORBIDDEN, 0.0).astype(np.float32)


def beat_of(bar: int, meter: str | None = None) -> int:
    """Ticks of a beat in bars of so many: at most a quarter, or three quavers or semiquavers."""
    number = int(meter.split("/")[0]) if meter else bar // last_beat(bar)
    is_compound = number % 3 == 0 and bar // number <= QUAVER
    return 3 * bar // number if is_compound else min(QUARTER, bar // number)


@dataclass
class Brief:
    """What the rules of a batch are made for.

    Attributes:
        rows (`int`): how many pieces.
        seeds (sequence of `int`): of each piece its own.
        meter (`str` or `None`): such as `"6/8"`, as asked.
        mode (`str`): `"major"` or `"minor"`: pitches are those of the tokens, in C major or A minor.
        form, voices (`str`, `int` or `None`): as asked.
        bars (`int`, *optional*): how many the piece is to have.
        min_bars, min_notes (`int`): a piece does not end before it has so many.
        max_new_tokens (`int`): how many there can be.
        transposition (`int`): semitones from the tokens' pitches to those that sound.
        ends (`bool`): whether a piece ends when it is long enough, because no length was asked for.
        prompt (`State`): one row, after the tokens that the model is given.
        frame (`Frame`, *optional*): what is given of the piece and stays.
        earlier (list): the rules that stand before in the list.
    """

    rows: int = 1
    seeds: Sequence[int] = (0,)
    mode: str = "major"
    meter: str | None = None
    form: str | None = None
    voices: int | None = None
    bars: int | None = None
    min_bars: int = 0
    min_notes: int = 0
    max_new_tokens: int = 4096
    transposition: int = 0
    ends: bool = True
    prompt: State = field(kw_only=True)
    frame: Frame | None = None
    earlier: list[Any] = field(default_factory=list)

    @property
    def is_continuation(self) -> bool:
        """Whether the prompt has notes."""
        return bool(self.prompt.num_notes[0])

    @property
    def is_bounded(self) -> bool:
        """Whether the piece ends where what is given says, and not where a plan does."""
        return self.frame is not None and self.frame.is_bounded

    @property
    def keyboard(self) -> tuple[int, int]:
        """The lowest and the highest pitch of the tokens that sound between C2 and C6, the keyboard of the
        Well-Tempered Clavier.
        """
        return max(PITCH_MIN, LOWEST - self.transposition), min(PITCH_MAX, HIGHEST - self.transposition)

    @property
    def bar_ticks(self) -> int:
        """Ticks of a bar where the piece goes on."""
        return int(self.prompt.bar_ticks[0])

    @property
    def beat(self) -> int:
        """Ticks of a beat there (`beat_of`)."""
        return beat_of(self.bar_ticks, self.meter)

    def left(self, state: State) -> int:
        """How many tokens there may still be."""
        return self.max_new_tokens - (state.tokens - self.prompt.tokens)

    def ask(self, question: str) -> Callable[..., Any] | None:
        """A method of an earlier rule by its name, such as `closing`; `None` where no rule has it. It is
        asked anew at each token: an earlier rule has been called when a later one is.
        """
        return next(iter(self.ask_all(question)), None)

    def ask_all(self, question: str) -> list[Callable[..., Any]]:
        """As `ask`, the methods of all earlier rules that have it."""
        return [getattr(rule, question) for rule in self.earlier if hasattr(rule, question)]


class Rule:
    """The base of rules that need to know what they are made for, or that remember something. A rule that
    does not can as well be a function, see `rule`.

    Attributes:
        after (tuple of `str`): the types of tokens after which it has something to say; empty: all. Elsewhere
            it is not called, and what it says of rows that stand elsewhere does not count.
        memory (tuple of `str`): the attributes that hold something of each row: arrays and lists with a place
            for each, and dicts by row, or by tuples that begin with the row.
    """

    after: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()

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

    def select(self, rows: np.ndarray) -> None:
        """Makes these of its rows, `(brief.rows,)`, its rows: each goes on with what the other remembers.
        What a row has in `memory` may know its number as `row`.
        """
        for name in self.memory:
            value = getattr(self, name, None)
            if isinstance(value, np.ndarray):
                setattr(self, name, value[rows])
            elif isinstance(value, list):
                setattr(self, name, [_own(value[old], old, row) for row, old in enumerate(rows.tolist())])
            elif isinstance(value, dict):
                setattr(self, name, _selected(value, rows.tolist()))


def _own(value: Any, old: int, row: int) -> Any:
    """What the row `old` remembers as the row `row` does."""
    if old == row:
        return value
    value = copy.deepcopy(value)
    if hasattr(value, "row"):
        value.row = row
    return value


def _selected(values: dict, rows: list[int]) -> dict:
    """A dict by row, or by tuples that begin with one, for these rows."""
    found: dict[Any, Any] = {}
    for row, old in enumerate(rows):
        for key, value in values.items():
            if isinstance(key, tuple) and key[0] == old:
                found[(row, *key[1:])] = _own(value, old, row)
            elif key == old:
                found[row] = _own(value, old, row)
    return found


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
        keeper (`KeepGiven`, *optional*): its `allowed` says from the state which tokens may come at all, bool
            of shape `(rows, vocab_size)`. It goes before all rules, but these see the scores as if it were
            not there.
        weigh (callable, *optional*): told of each step the state, scores, and what is left of them: of those
            with what all rules say what the keeper allows; without a keeper of the model's what the rules
            make of them; and of which scores the next token is drawn.
    """

    def __init__(
        self,
        rules: Sequence[Any],
        state: State,
        sample: Callable | None = None,
        keeper: Any = None,
        weigh: Callable[[State, np.ndarray, np.ndarray, np.ndarray], None] | None = None,
    ):
        self.state, self.sample, self.keeper, self.weigh = state, sample, keeper, weigh
        self._prompt: Any = None
        self._may: np.ndarray | None = None
        self._speaking: dict[frozenset[int], list[tuple[Any, np.ndarray | None]]] = {}
        self.rules = []
        for item in rules:
            heard = np.zeros(len(TYPES) + 1, dtype=bool)  # the last is that of rows without a token
            heard[[TYPE_INDEX[name] for name in getattr(item, "after", ())]] = True
            self.rules.append((item, None if not heard.any() else heard))

    def share(self, prompt: Any) -> None:
        """Goes on by the state that all processors of a call of `generate()` share (`Prompt` of the model),
        which begins with this one's.
        """
        prompt.begin(self.state)
        self._prompt = prompt

    def alone(self, ids: torch.Tensor) -> State:
        """Goes on by a state that it does not share any more, after `ids`; this state."""
        self._prompt = None
        self.state.follow(ids.cpu().numpy())
        return self.state

    def select(self, rows: np.ndarray) -> None:
        """Makes these of the rows, `(rows,)`, the rows: state and rules go on with what they remember."""
        (self._prompt or self.state).select(rows)
        for item in (self.keeper, *(item for item, _ in self.rules)):
            if isinstance(item, Rule):
                item.select(rows)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)`, already masked by the grammar."""
        if self._prompt is None:
            self.state.follow(input_ids.cpu().numpy())
        else:
            self.state = self._prompt.state(input_ids)
        before = values = scores.detach().to("cpu", torch.float32).numpy()
        if self.keeper is not None:
            self._may = self.keeper.allowed(self.state)
            values = _with_a_way(values, self._may)
        for item, heard in self._with_a_say(frozenset(self.state.kind.tolist())):
            values = self._apply(item, heard, values)
        if self.keeper is not None:
            assert self._may is not None
            # How a piece ends is no choice of its own.
            before, left = values, np.where(self._may | self.keeper.is_end[:, None], values, FORBIDDEN)
            values = np.where(self._may, values, FORBIDDEN)
        else:
            left = values
        if self.weigh is not None:
            self.weigh(self.state, before, left, values)
        if self.sample is not None:
            values = self.sample(self.state, values)
        return torch.from_numpy(np.ascontiguousarray(values)).to(scores.device, scores.dtype)

    def _with_a_say(self, kinds: frozenset[int]) -> list[tuple[Any, np.ndarray | None]]:
        """The rules that have something to say where the last tokens are of these types; with each whether it
        has after each type, where it does not after all of them.
        """
        if kinds not in self._speaking:
            here = list(kinds)
            self._speaking[kinds] = [
                (item, None if heard is None or heard[here].all() else heard)
                for item, heard in self.rules
                if heard is None or heard[here].any()
            ]
        return self._speaking[kinds]

    def _apply(self, item: Any, heard: np.ndarray | None, values: np.ndarray) -> np.ndarray:
        added = item(self.state, values)
        if added is None:
            return values
        then = values + added
        if then.dtype != values.dtype:
            then = then.astype(values.dtype)
        possible = then if self._may is None else np.where(self._may, then, FORBIDDEN)
        highest = np.maximum.reduce(possible, axis=1)
        if heard is None and FORBIDDEN not in highest.tolist():
            return then
        left = highest > FORBIDDEN
        if heard is not None:
            left &= heard[self.state.kind]
        return np.where(left[:, None], then, values)


def _with_a_way(values: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Scores of which no row has -inf for everything that may come: such tokens are only very unlikely."""
    stuck = np.where(may, values, FORBIDDEN).max(axis=1, keepdims=True) == FORBIDDEN
    return (
        np.where(stuck & may, values.max(axis=1, keepdims=True) - UNHEARD_OF, values)
        if stuck.any()
        else values
    )
