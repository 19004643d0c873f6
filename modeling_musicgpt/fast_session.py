# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""One call of `generate()` with fast decoding: prompt, noise, streamers and stopping criteria around the compiled loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers.generation.logits_process import (
    MinLengthLogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from .bar_end_musicgpt import BarEndLogitsProcessor
from .fast_choice import (
    BAR_END,
    ENDS,
    EOS,
    GRAMMAR,
    MAX_LENGTH,
    MIN_LENGTH,
    MIN_P,
    NOT_A_NUMBER,
    NUM_HOW,
    PENALTY,
    REPETITION,
    SAMPLE,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    Rules,
)
from .fast_loop import GUESSES
from .fast_model import Packed, model_of, rows_for, some_rows, work_for
from .fast_music import STATE, TOKEN
from .fast_sampling import compiled_program
from .grammar_musicgpt import GrammarLogitsProcessor
from .repetition_musicgpt import RepetitionLogitsProcessor

# Steps for which noise is drawn at a time.
NOISE_STEPS = 32
# Fewer rows are not worth a thread of their own.
ROWS_A_THREAD = 2
# Processors that the compiled loop knows, in their order, and those of them that work on what the rows hold.
_FUSED = (
    RepetitionPenaltyLogitsProcessor, MinLengthLogitsProcessor, MinNewTokensLengthLogitsProcessor, GrammarLogitsProcessor,
    BarEndLogitsProcessor, RepetitionLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, MinPLogitsWarper,
)  # fmt: skip
_OWN = {GrammarLogitsProcessor: GRAMMAR, BarEndLogitsProcessor: BAR_END, RepetitionLogitsProcessor: REPETITION}


class Noise:
    """The exponential noise that `torch.multinomial` would draw, step by step, drawn some steps ahead.

    Rows ask for it at different times, and some of it may never be asked for: `give_back` puts torch's generator where the usual loop would
    have left it.
    """

    def __init__(self, steps: int, rows: int, vocab: int):
        self.noise = torch.empty(steps, rows, vocab)
        self.drawn = 0
        self._before: list[tuple[int, torch.Tensor]] = []

    def draw(self, until: int) -> None:
        """Draws for the steps up to `until`, in blocks."""
        while self.drawn < min(until, len(self.noise)):
            self._before.append((self.drawn, torch.get_rng_state()))
            end = min(self.drawn + NOISE_STEPS, len(self.noise))
            for step in range(self.drawn, end):
                self.noise[step].exponential_(1)
            self.drawn = end

    def give_back(self, used: int) -> None:
        """Only `used` steps were needed."""
        if used == self.drawn:
            return
        start, state = next((start, state) for start, state in reversed(self._before) if start <= used)
        torch.set_rng_state(state)
        for step in range(start, used):
            self.noise[step].exponential_(1)


class Part(NamedTuple):
    """The rows of the batch that one thread decodes, `first` to `first + count`, as the kernels take them."""

    first: int
    count: int
    m: Packed
    rules: Packed
    work: Packed
    batch: Packed

    @property
    def pointers(self) -> tuple[int, ...]:
        return self.m.pointer, self.rules.pointer, self.work.pointer, self.batch.pointer


class FastDecoding:
    """Decodes one batch.

    Args:
        model (`MusicGPTForCausalLM`): for which `why_usual` has nothing to say.
        input_ids (`torch.LongTensor` of shape `(rows, length)`): the prompts, padded on the left.
        mask (`torch.LongTensor` of the same shape, *optional*): 0 at the padding.
        processors, criteria, config, streamer: as `generate()` prepares them.

    Attributes:
        passes, tokens (`int`): how often the weights were read, and for how many tokens.
    """

    def __init__(self, model, input_ids, mask, processors, criteria, config, streamer):
        self.program, self.model, self.processors, self.streamer = compiled_program(), model, list(processors), streamer
        self.max_length = next(c.max_length for c in criteria if type(c) is MaxLengthCriteria)
        self.others = [c for c in criteria if type(c) not in (MaxLengthCriteria, EosTokenCriteria)]
        self.rows, self.start = input_ids.shape
        self.max_length = max(self.max_length, self.start + 1)  # the usual loop looks at the length after the first token
        self.vocab, self.sample = model.config.vocab_size, bool(config.do_sample)
        stops = [c.eos_token_id for c in criteria if type(c) is EosTokenCriteria]
        self.eos = torch.cat([stop.flatten() for stop in stops]) if stops else torch.zeros(0, dtype=torch.long)
        self.pad = 0 if config._pad_token_tensor is None else int(config._pad_token_tensor)
        self.masked = torch.zeros(self.rows, dtype=torch.long) if mask is None else (mask == 0).sum(dim=1)
        self.finished = np.zeros(self.rows, dtype=bool)

        self.batch = rows_for(model, self.rows, self.max_length)
        self.ids = torch.from_numpy(self.batch.ids)
        self.prompt = input_ids
        self.ids[:, : self.start] = input_ids if mask is None else input_ids.masked_fill(mask == 0, -1)
        self.ids[:, self.start :] = self.pad
        self.batch.length[:] = self.start
        self.rules = self._rules()
        self.fused = self._fuse()
        self.guesses = GUESSES if self.rows == 1 or self.fused else 0
        self.watched = streamer is not None or bool(self.others)
        self.parts = self._divide()
        self.m, self.work = self.parts[0].m, self.parts[0].work

    def _divide(self) -> list[Part]:
        """The rows in equal parts, one for each of torch's threads; in one where Python has to be asked at every step."""
        threads = torch.get_num_threads() if self.fused and not self.watched else 1
        number = max(1, min(threads, self.rows // ROWS_A_THREAD))
        edges = [self.rows * i // number for i in range(number + 1)]
        parts = []
        for first, end in itertools.pairwise(edges):
            rows = end - first
            batch = self.batch if number == 1 else some_rows(self.batch, first, rows)
            m, work = model_of(self.model, rows, self.max_length), work_for(self.model, rows, self.max_length)
            parts.append(Part(first, rows, m, self.rules, work, batch))
        return parts

    # The rules of the choice

    def _own(self, kind: type) -> Any:
        return next((p for p in self.processors if type(p) is kind), None)

    def _rules(self) -> Packed:
        """Tables of the grammar and of the end at a bar line; the arguments of the other steps are filled in by `_fuse`."""
        grammar, closing = self._own(GrammarLogitsProcessor), self._own(BarEndLogitsProcessor)
        how = np.zeros(NUM_HOW)
        how[TEMPERATURE] = how[TOP_P] = how[PENALTY] = 1
        how[MAX_LENGTH], how[SAMPLE], how[EOS] = self.max_length, self.sample, -1
        is_eos = np.zeros(self.vocab, dtype=bool)
        is_eos[self.eos[(self.eos >= 0) & (self.eos < self.vocab)].numpy()] = True
        legal, next_state = np.ones((1, self.vocab), dtype=bool), np.zeros((1, self.vocab), dtype=np.int64)
        if grammar is not None:
            automaton = grammar.grammar
            legal, next_state = automaton.legal.numpy(), automaton.next_state.numpy()
            how[EOS], how[ENDS] = -1 if automaton.eos is None else automaton.eos, grammar.ends
        empty = np.zeros(1, dtype=np.int64)
        steps = meters = lengths = costs = empty
        if closing is not None:
            tables = closing.costs
            steps, meters, costs = tables.step.numpy().copy(), tables.new_length.numpy(), tables.cost.contiguous().numpy()
            steps[closing.grammar.blocks["METER"]] = 1 << 20  # a change of meter begins another bar
            lengths = np.array([*costs.shape[1:], *tables.lengths.tolist()], dtype=np.int64)
        return Packed(
            Rules, how=how, legal=legal, next_state=next_state, steps=steps, meters=meters, bar_lengths=lengths, costs=costs, is_eos=is_eos
        )  # fmt: skip

    def _fuse(self) -> bool:
        """Whether the compiled loop knows all processors, in the order they stand; their arguments are then in the rules."""
        places = [_FUSED.index(type(p)) if type(p) in _FUSED else -1 for p in self.processors]
        if -1 in places or places != sorted(set(places)) or not all(map(self._is_plain, self.processors)):
            return False
        how = self.rules.how
        for p in self.processors:
            if type(p) is RepetitionPenaltyLogitsProcessor:
                how[PENALTY] = p.penalty
                self._see_prompt(p.prompt_ignore_length)
            elif type(p) is MinLengthLogitsProcessor:
                how[MIN_LENGTH] = max(how[MIN_LENGTH], p.min_length)
            elif type(p) is MinNewTokensLengthLogitsProcessor:
                how[MIN_LENGTH] = max(how[MIN_LENGTH], p.prompt_length_to_skip + p.min_new_tokens)
            elif type(p) in _OWN:
                how[_OWN[type(p)]] = 1
            elif type(p) is TemperatureLogitsWarper:
                how[TEMPERATURE] = p.temperature
            elif type(p) is TopKLogitsWarper:
                how[TOP_K] = p.top_k
            elif type(p) is TopPLogitsWarper:
                how[TOP_P] = p.top_p
            else:
                how[MIN_P] = p.min_p
        return True

    def _is_plain(self, processor: Any) -> bool:
        """Whether a processor has only arguments that the kernels know."""
        if type(processor) is RepetitionPenaltyLogitsProcessor:
            return not isinstance(processor.prompt_ignore_length, int)
        if type(processor) in _OWN:
            return self._in_step(processor)
        if hasattr(processor, "eos_token_id"):
            return torch.equal(processor.eos_token_id.flatten(), self.eos)
        return processor.filter_value == -float("inf") and processor.min_tokens_to_keep == 1 if hasattr(processor, "filter_value") else True

    def _in_step(self, processor: Any) -> bool:
        """Whether a processor of ours works on what the rows hold: this grammar, no prompt given as embeddings, the same limit."""
        grammar = self._own(GrammarLogitsProcessor)
        if grammar is None or processor.grammar is not grammar.grammar or processor.grammar.vocab_size != self.vocab:
            return False
        if processor.prompt.ids is not None:
            return False
        return type(processor) is not BarEndLogitsProcessor or processor.max_length == self.max_length

    def _see_prompt(self, ignored: torch.Tensor | None) -> None:
        first = [0] * self.rows if ignored is None else ignored.tolist()
        for row in range(self.rows):
            self.batch.seen[row, self.prompt[row, first[row] :].numpy()] = True

    # The loop

    def run(self) -> torch.LongTensor:
        """The prompts and what follows them, `(rows, length)`."""
        with ThreadPoolExecutor(len(self.parts)) as pool:
            everywhere = pool.map if len(self.parts) > 1 else map  # a single part stays in the caller's thread
            list(everywhere(self._read_prompts, self.parts))
            end = self._run_fused(everywhere) if self.fused else self._run_open()
        if self.streamer is not None:
            self.streamer.end()
        self.passes, self.tokens = sum(part.batch.statistics for part in self.parts).tolist()
        return self._so_far(end)

    def _so_far(self, length: int) -> torch.LongTensor:
        """The ids as the usual loop has them, with what the caller has under the mask: `(rows, length)`."""
        return torch.cat((self.prompt, self.ids[:, self.start : length]), dim=1)

    def _read_prompts(self, part: Part) -> None:
        """Fills caches and states; rows with the same prompt (`num_return_sequences`) copy them."""
        grammar, batch = self._own(GrammarLogitsProcessor), part.batch
        learns, (keys, values) = int(self.guesses > 0), self._caches(part)
        ids, masked = self.ids[part.first : part.first + part.count], self.masked[part.first : part.first + part.count].tolist()
        for row, first in enumerate(masked):
            same = row > 0 and first == masked[row - 1] and torch.equal(ids[row], ids[row - 1])
            if same:
                used = self.start - first
                blocks = -(-used // 16)
                keys[:, row, :, :blocks] = keys[:, row - 1, :, :blocks]
                values[:, row, :, :used] = values[:, row - 1, :, :used]
                for name in ("state", "cached", "memory", "notes"):
                    batch.arrays[name][row] = batch.arrays[name][row - 1]
                continue
            self.program.read_prompt(*part.pointers, row, first, learns)
            if grammar is not None:
                heard = ids[row : row + 1, first : self.start - 1]
                batch.state[row, STATE] = int(grammar.grammar.states(heard))

    def _caches(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        config = self.model.config
        layers, heads, dim = config.num_hidden_layers, config.num_attention_heads, config.head_dim
        keys = part.work.keys.reshape(layers, part.count, heads, -1, dim, 16)
        return keys, part.work.values.reshape(layers, part.count, heads, -1, dim)

    def _run_fused(self, everywhere: Callable) -> int:
        """Everything in the compiled loop; out of it for more noise, and after each pass if someone listens. Returns the length."""
        noise = Noise(self.max_length - self.start if self.sample else 1, self.rows, self.vocab)
        passes, row_bytes = 1 if self.watched else self.max_length, noise.noise.element_size() * self.vocab
        column, length, done = self.start, self.batch.length, self.batch.done

        def decode(part: Part) -> int:
            first = noise.noise.data_ptr() + part.first * row_bytes
            return self.program.decode(*part.pointers, first, self.start, until, passes, self.guesses)

        try:
            while not done.all():
                until = self.max_length
                if self.sample:
                    ahead = int(length[~done].max()) - self.start
                    noise.draw(ahead + 1 + (self.guesses if self.watched else NOISE_STEPS // 2))
                    until = self.start + noise.drawn
                if NOT_A_NUMBER in list(everywhere(decode, self.parts)):
                    raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
                if self.watched:
                    column = self._report(column)
            column = self._report(column) if self.watched else int(length.max())
        finally:
            if self.sample:
                noise.give_back(column - self.start)
        return column

    def _report(self, column: int) -> int:
        """Shows the columns that all rows have reached to criteria and streamer, from `column` on; returns the first not shown."""
        length, done = self.batch.length, self.batch.done
        while column < (length.max() if done.all() else length[~done].min()) and not self.finished.all():
            column += 1
            self._show(column)
        return column

    def _show(self, length: int) -> None:
        """The step that made the ids `length` long is finished, in all rows."""
        ids = self._so_far(length) if self.others else None
        stops = torch.zeros(self.rows, dtype=torch.bool)
        for criterion in self.others:
            stops = stops | criterion(ids, None)
        for row in np.flatnonzero(stops.numpy() & ~self.finished):
            self.batch.done[row], self.batch.length[row] = True, min(self.batch.length[row], length)
            self.ids[row, length:] = self.pad
        self.finished = self.batch.done & (self.batch.length <= length)
        if self.streamer is not None:
            self.streamer.put(self.ids[:, length - 1].clone())

    def _run_open(self) -> int:
        """With processors that only Python knows: logits from the compiled pass, everything else step by step. Returns the length."""
        pointers = self.parts[0].pointers
        width, column, batch = len(self.work.logits) // (len(self.work.states)), self.start, self.batch
        logits = torch.from_numpy(self.work.logits).view(-1, width)
        scores = torch.zeros(self.rows, self.vocab)
        while not batch.done.all():
            count = self.program.look_ahead(*pointers, self.max_length, self.guesses)
            rows, firsts = self.work.rows[:count].copy(), self.work.firsts[:count].copy()
            steps = int(self.work.counts[0])
            for step in range(steps):
                places = firsts + step
                for row, place in zip(rows.tolist(), places.tolist(), strict=True):
                    self.program.finish_logits(*pointers, row, place, 1)
                    scores[row] = logits[place, : self.vocab]
                tokens = self._choose(scores.clone(), column, rows, places)
                for row, place in zip(rows.tolist(), places.tolist(), strict=True):
                    self.program.accept(*pointers, row, place, int(tokens[row]), int(self.guesses > 0))
                column += 1
                self._show(column)
                if batch.done.all() or step + 1 == steps or self.work.states[places[0] + 1, TOKEN] != int(tokens[rows[0]]):
                    break
        return column

    def _choose(self, scores: torch.Tensor, length: int, rows: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """One step of the usual loop: processors, and the choice; `(rows,)` tokens."""
        ids = self._so_far(length)
        for processor in self.processors:
            if type(processor) in _OWN and self._in_step(processor):
                self._mask(processor, scores, rows, places)
            else:
                scores = processor(ids, scores)
        if not self.sample:
            return scores.argmax(dim=-1)
        return torch.multinomial(torch.softmax(scores, dim=-1), num_samples=1).squeeze(1)

    def _mask(self, processor: Any, scores: torch.Tensor, rows: np.ndarray, places: np.ndarray) -> None:
        """What one of our processors takes away, in place."""
        how = self.rules.how
        how[_OWN[type(processor)]] = 1
        buffer = torch.from_numpy(self.batch.scores)
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            buffer.copy_(scores[row])
            self.program.mask_row(
                self.m.pointer, self.rules.pointer, self.work.pointer, self.batch.pointer, row, place
            )
            scores[row] = buffer
        how[_OWN[type(processor)]] = 0


__all__ = ["FastDecoding", "Noise"]
