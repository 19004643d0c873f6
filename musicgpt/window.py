"""Pieces that are longer than the model's context: when it is full, the oldest bars leave what the model
reads.

The model then reads the prefix and the last whole bars, as if the piece began with them, and goes on. What
steers a piece sees all of it: rules, sampling, criteria and streamers are called with the ids since the
beginning. Each window is one more call of `generate()`, so that the engine and the stock loop decode alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from tokenization.vocabulary import (
    EOS_ID,
    MAX_TIME_TOKENS,
    METER_TYPE,
    NOTE_TYPE,
    OFFSET,
    PAD_ID,
    STEP_SPELLING,
    TIME_TYPE,
    TYPE_OF_ID,
    VALUE_OF_ID,
)

from .rules.base import RuleProcessor


def last_bars(ids: Sequence[int], line: int, bar_ticks: int, room: int) -> list[int]:
    """What the model reads of a piece when its context is full.

    Args:
        ids (sequence of `int`): of the piece, not ended; where the meter changes only what follows counts.
        line (`int`): tick of a bar line; bar_ticks (`int`): ticks of a bar.
        room (`int`): tokens that there may be at most.

    Returns:
        list of `int`: the prefix, the step from the bar line to the first note that is kept, and the ids from
        this note on: as many whole bars as there is room for, or, where a bar is longer than that, as many
        onsets.
    """
    array = np.asarray(ids)
    kinds = TYPE_OF_ID[array]
    ticks = np.cumsum(np.where(kinds == TIME_TYPE, VALUE_OF_ID[array], 0))
    meters, notes = np.flatnonzero(kinds == METER_TYPE), np.flatnonzero(kinds == NOTE_TYPE)
    prefix = array[: np.flatnonzero(kinds == TIME_TYPE)[0]].copy()
    prefix[TYPE_OF_ID[prefix] == METER_TYPE] = array[meters[-1:]]
    if len(meters) and len(later := notes[notes > meters[-1]]):
        notes = later
    bars, places = np.divmod(ticks[notes] - line, bar_ticks)
    earliest = len(array) - (room - len(prefix) - MAX_TIME_TOKENS)
    kept = len(notes) - 1
    for at in (bars, ticks[notes]):
        firsts = np.flatnonzero(np.diff(at, prepend=at[0] - 1))  # of each bar, or onset
        if len(firsts := firsts[notes[firsts] >= earliest]):
            kept = firsts[0]
            break
    step = [OFFSET["TIME"] + place for place in STEP_SPELLING[int(places[kept])]]
    return [*prefix.tolist(), *step, *array[notes[kept] :].tolist()]


class Window:
    """The ids of a batch since the beginning, of which the model reads but the last bars.

    Args:
        ids (`torch.LongTensor` of shape `(rows, length)`): of all pieces, those that have ended padded.
        rules (`RuleProcessor`): with the state that has read them, but for the last tokens.
        room (`int`): tokens that a row may keep.

    Attributes:
        kept (`torch.LongTensor` of shape `(rows, width)`): what the model reads, padded on the left.
    """

    def __init__(self, ids: torch.Tensor, rules: RuleProcessor, room: int):
        self.ids, self.ended = ids, (ids == EOS_ID).any(dim=1)
        state = rules.alone(ids)
        lines = (state.ticks - state.bar_position).tolist()
        kept = [
            last_bars([token for token in row if token not in (EOS_ID, PAD_ID)], line, ticks, room)
            for row, line, ticks in zip(ids.tolist(), lines, state.bar_ticks.tolist(), strict=True)
        ]
        width = max(map(len, kept))
        padded = [[PAD_ID] * (width - len(row)) + row for row in kept]
        self.kept = torch.tensor(padded, device=ids.device)

    def whole(self, ids: torch.Tensor) -> torch.Tensor:
        """The ids since the beginning for those since the window's, `(rows, length)`."""
        new = ids[:, self.kept.shape[1] :]
        return torch.cat((self.ids, new.masked_fill(self.ended[:, None], PAD_ID)), dim=1)

    def seen_by(self, what: Any) -> Any:
        """A logits processor or a stopping criterion that is called with the ids since the beginning."""
        return lambda input_ids, scores: what(self.whole(input_ids), scores)

    def end(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """A logits processor: rows that have ended end again at once."""
        ended, is_end = self.ended.to(scores.device), torch.arange(scores.shape[1]) == EOS_ID
        return torch.where(ended[:, None], torch.where(is_end, 0.0, -torch.inf).to(scores), scores)


class _Part:
    """A streamer for one window: the caller's is given the prompt once and has no end before the last."""

    def __init__(self, streamer: Any, is_first: bool):
        self.streamer, self.skips = streamer, not is_first

    def put(self, value: torch.Tensor) -> None:
        """Called by `generate()` with what it reads, then with each token."""
        if not self.skips:
            self.streamer.put(value)
        self.skips = False

    def end(self) -> None:
        """More may follow."""


def slide(
    generate: Callable,
    ids: torch.Tensor,
    context: int,
    config: GenerationConfig,
    processors: Iterable[Any],
    rules: RuleProcessor,
    stopping_criteria: Iterable[Any] | None = None,
    streamer: Any = None,
    **arguments: Any,
) -> torch.Tensor:
    """`generate()` beyond the model's context: when it is full, half of it stays.

    Args:
        generate (callable): the model's own `generate()`.
        ids (`torch.LongTensor` of shape `(rows, length)`): the prompt, shorter than the context.
        context (`int`): tokens that the model can read.
        config (`GenerationConfig`): its `max_new_tokens` may go beyond it.
        processors (list), rules (`RuleProcessor`): what the scores go through, the rules last.
        stopping_criteria (list), streamer, arguments: of `generate()`.

    Returns:
        `torch.LongTensor` of shape `(rows, length)`: the prompt and what follows it, padded on the right.
    """
    limit, criteria = ids.shape[1] + config.max_new_tokens, list(stopping_criteria or ())
    processors = [*processors, rules]

    def go_on(reads: torch.Tensor, steps: list, tests: list, streamer: Any) -> Any:
        return generate(
            reads,
            attention_mask=(reads != PAD_ID).long(),
            generation_config=config,
            logits_processor=LogitsProcessorList(steps),
            stopping_criteria=StoppingCriteriaList(tests),
            streamer=streamer,
            **arguments,
        )

    if limit <= context:
        return go_on(ids, processors, criteria, streamer)
    steps, tests, reads, whole, window = processors, criteria, ids, ids, None
    ends = config.end_at_bar
    while True:
        # Rows are of one length, so that where a window begins does not depend on the others.
        room = context - (ids.shape[1] if window is None else context // 2)
        config.max_new_tokens = min(room, limit - whole.shape[1])
        config.end_at_bar = ends and room >= limit - whole.shape[1]
        made = go_on(reads, steps, tests, streamer and _Part(streamer, window is None))
        whole = made if window is None else window.whole(made)
        has_room = made.shape[1] < reads.shape[1] + config.max_new_tokens
        if has_room or whole.shape[1] >= limit or (whole == EOS_ID).any(dim=1).all():
            break
        window = Window(whole, rules, context // 2)
        reads = window.kept
        steps = [*map(window.seen_by, processors), window.end]
        tests = [*map(window.seen_by, criteria)]
    if streamer is not None:
        streamer.end()
    return whole
