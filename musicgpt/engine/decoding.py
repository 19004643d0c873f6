"""One call of `generate()` by the engine: prompt, noise, processors, streamers and stopping criteria around
its loop.

The tokens are those of the stock loop of transformers, for the same seed. What is not known here takes that
loop: see `why_not`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.cache_utils import DynamicCache
from transformers.generation.logits_process import (
    MinLengthLogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    UnbatchedClassifierFreeGuidanceLogitsProcessor,
)
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria
from transformers.utils.output_capturing import capture_outputs

from .library import EngineError, Struct, code_of, load
from .rows import Rows, rules_struct
from .weights import check, package_of

# Steps for which noise is drawn at a time.
NOISE_STEPS = 32
# transformers' hooks that record hidden states and attentions: once asked for, they stay, and do nothing
# until they are asked for again.
_RECORDING = capture_outputs.__module__
# Wider batches take the stock loop.
MAX_ROWS = 64
# What the engine knows of a model's code: `engine_musicgpt.py` there says which it was written for.
INTERFACE = 2
# Processors that forbid and penalise, in the order in which the engine runs them, and those that end the list
# before the choice.
_PENALTIES = (RepetitionPenaltyLogitsProcessor, MinLengthLogitsProcessor, MinNewTokensLengthLogitsProcessor)
_OURS = {
    "GrammarLogitsProcessor": "use_grammar",
    "BarEndLogitsProcessor": "use_bar_end",
    "RepetitionLogitsProcessor": "use_repetition",
}
_WARPERS = {
    TemperatureLogitsWarper: "temperature",
    TopKLogitsWarper: "top_k",
    TopPLogitsWarper: "top_p",
    MinPLogitsWarper: "min_p",
}


class Noise:
    """The exponential noise that `torch.multinomial` would draw, step by step, drawn some steps ahead.

    Rows ask for it at different times, and some of it may never be asked for: `give_back` puts torch's
    generator where the stock loop would have left it.
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


class Decoding:
    """Decodes one batch.

    Args:
        model (`MusicGPTForCausalLM`): for which `why_not` has nothing to say.
        input_ids (`torch.LongTensor` of shape `(rows, length)`): the prompts, padded on the left.
        mask (`torch.LongTensor` of the same shape, *optional*): 0 at the padding.
        processors, criteria, config, streamer: as `generate()` prepares them.

    Attributes:
        passes, tokens (`int`): how often the weights were read, and for how many tokens.
    """

    def __init__(self, model, input_ids, mask, processors, criteria, config, streamer):
        self.model, self.streamer, self.prompt = model, streamer, input_ids
        self.others = [c for c in criteria if type(c) not in (MaxLengthCriteria, EosTokenCriteria)]
        count, self.start = input_ids.shape
        limit = next(c.max_length for c in criteria if type(c) is MaxLengthCriteria)
        # the stock loop looks at the length after the first token
        self.max_length = max(limit, self.start + 1)
        self.sample = bool(config.do_sample)
        stops = [c.eos_token_id.flatten() for c in criteria if type(c) is EosTokenCriteria]
        self.eos = torch.cat(stops) if stops else torch.zeros(0, dtype=torch.long)
        self.pad = 0 if config._pad_token_tensor is None else int(config._pad_token_tensor)
        self.masked = torch.zeros(count, dtype=torch.long) if mask is None else (mask == 0).sum(dim=1)
        self.watched = streamer is not None or bool(self.others)
        self.finished = np.zeros(count, dtype=bool)
        self.shown: torch.Tensor | None = None  # what `_so_far` has said last

        self.rows = Rows(model, count, self.max_length)
        self.rows.start(input_ids.numpy(), self.masked.numpy())
        self.rows.batch.ids[:, self.start :] = self.pad
        self.ids, self.hides = torch.from_numpy(self.rows.batch.ids), bool(self.masked.any())
        self.plan, self.last = self._plan(list(processors))
        self.fused = len(self.plan) == 0
        if self.fused and self.watched and count > 1:
            self.rows.threads = 1  # Python is asked after each pass
            self.rows._divide()
        self.guesses = self.rows.library.sizes["GUESSES"]
        for criterion in self.others:
            if hasattr(criterion, "hold"):  # it makes rows go on as others (`musicgpt.particles`)
                criterion.hold(engine=self)

    def copy_rows(self, sources: np.ndarray, targets: np.ndarray) -> None:
        """Makes target rows, `(n,)`, go on as the source rows, `(n,)`; no row is both."""
        self.rows.copy(sources, targets)
        self.shown = None
        self.finished[targets] = self.finished[sources]

    def go_on_from(self, other: Decoding) -> None:
        """What another one has read of these prompts needs not be read again."""
        self.rows.take(other.rows)

    # The processors

    def _plan(self, processors: list) -> tuple[list, Struct]:
        """The list in parts: calls of Python, and rules of runs that the engine knows in its own order, the
        last of them with the choice.

        Returns:
            parts before the last (empty where the engine runs the whole list), and the rules of the last.
        """
        order = [*_PENALTIES, *(getattr(self._code(name), name) for name in _OURS)]
        warpers, tail = list(_WARPERS), len(processors)
        behind = len(warpers)  # the place of the warper behind
        while tail > 0 and type(processors[tail - 1]) in warpers[:behind]:
            if not self._is_plain(processors[tail - 1]):
                break
            tail, behind = tail - 1, warpers.index(type(processors[tail - 1]))
        parts: list[Any] = []
        for processor in processors[:tail]:
            if type(processor) not in order or not self._is_plain(processor):
                parts.append(processor)
            elif (
                parts
                and isinstance(parts[-1], list)
                and order.index(type(parts[-1][-1])) < order.index(type(processor))
            ):
                parts[-1].append(processor)
            else:
                parts.append([processor])
        own = parts.pop() if parts and isinstance(parts[-1], list) else []
        plan = [self._rules(part) if isinstance(part, list) else part for part in parts]
        return plan, self._rules([*own, *processors[tail:]])

    def _code(self, processor: str) -> Any:
        return code_of(
            package_of(self.model),
            {"G": "grammar_musicgpt", "B": "bar_end_musicgpt", "R": "repetition_musicgpt"}[processor[0]],
        )

    def _is_plain(self, processor: Any) -> bool:
        """Whether a processor has only arguments that the engine knows, and works on what the rows hold."""
        if type(processor) is RepetitionPenaltyLogitsProcessor:
            return not isinstance(processor.prompt_ignore_length, int) and processor.penalty > 0
        if type(processor).__name__ in _OURS:
            prompt = processor.prompt
            hidden = torch.zeros_like(self.masked) if prompt.hidden is None else prompt.hidden.sum(dim=1)
            same = (
                processor.grammar is self.model.grammar
                and prompt.ids is None
                and torch.equal(hidden, self.masked)
            )
            if type(processor).__name__ == "BarEndLogitsProcessor":
                return same and processor.max_length == self.max_length
            return same
        if hasattr(processor, "eos_token_id"):
            return torch.equal(processor.eos_token_id.flatten(), self.eos)
        if hasattr(processor, "filter_value"):
            return processor.filter_value == -float("inf") and processor.min_tokens_to_keep == 1
        return True

    def _rules(self, processors: list) -> Struct:
        """The rules of one run of processors."""
        grammar, m = self.model.grammar, self.rows.m
        is_eos = np.zeros(m.vocab, dtype=np.uint8)
        is_eos[self.eos[(self.eos >= 0) & (self.eos < m.vocab)].numpy()] = 1
        how: dict[str, Any] = {"is_eos": is_eos, "sample": self.sample}
        for p in processors:
            name = type(p).__name__
            if type(p) is RepetitionPenaltyLogitsProcessor:
                how["penalty"] = p.penalty
                self._see_prompt(p.prompt_ignore_length)
            elif type(p) is MinLengthLogitsProcessor:
                how["min_length"] = max(how.get("min_length", 0), p.min_length)
            elif type(p) is MinNewTokensLengthLogitsProcessor:
                how["min_length"] = max(how.get("min_length", 0), p.prompt_length_to_skip + p.min_new_tokens)
            elif name in _OURS:
                how[_OURS[name]] = 1
                if name == "GrammarLogitsProcessor":
                    how["ends"] = p.ends
                elif name == "BarEndLogitsProcessor":
                    how.update(self._closing(p.costs))
            else:
                how[_WARPERS[type(p)]] = getattr(p, _WARPERS[type(p)])
        return rules_struct(
            self.rows.library, self._code("GrammarLogitsProcessor"), m, self.max_length, grammar, **how
        )

    @staticmethod
    def _closing(costs: Any) -> dict[str, Any]:
        """The tables of `ClosingCosts`."""
        begins_bar = np.zeros(costs.grammar.vocab_size, dtype=np.uint8)
        begins_bar[costs.grammar.blocks["METER"]] = 1
        table = costs.cost.contiguous().numpy()
        return {
            "begins_bar": begins_bar,
            "steps": costs.step.numpy(),
            "meters": costs.new_length.numpy(),
            "lengths": costs.lengths.numpy(),
            "costs": table,
            "num_lengths": table.shape[1],
            "num_ticks": table.shape[3],
        }

    def _see_prompt(self, ignored: torch.Tensor | None) -> None:
        first = [0] * self.rows.rows if ignored is None else ignored.tolist()
        for row in range(self.rows.rows):
            self.rows.batch.seen[row, self.prompt[row, first[row] :].numpy()] = 1

    # The loop

    def run(self) -> torch.Tensor:
        """The prompts and what follows them, `(rows, length)`."""
        self._read_prompts()
        end = self._run_fused() if self.fused else self._run_open()
        if self.streamer is not None:
            self.streamer.end()
        self.passes, self.tokens = sum(work.statistics for _, _, work in self.rows.parts).tolist()
        return self._so_far(end).clone()

    def _so_far(self, length: int) -> torch.Tensor:
        """The ids as the stock loop has them, with what the caller has under the mask: `(rows, length)`."""
        if self.shown is None or self.shown.shape[1] != length:
            if self.hides:
                self.shown = torch.cat((self.prompt, self.ids[:, self.start : length]), dim=1)
            else:
                # Of one row a view, which no later token changes.
                self.shown = self.ids[:, :length].contiguous()
        return self.shown

    def _read_prompts(self) -> None:
        """Fills caches and states. Where all rows have one prompt (`num_return_sequences`) it is read
        once.
        """
        if (
            self.rows.rows > 1
            and self.start > 8
            and bool((self.prompt == self.prompt[:1]).all())
            and bool((self.masked == self.masked[0]).all())
        ):
            self.rows.feed_one(keep=1, learns=True)
        else:
            self.rows.feed(keep=1, learns=True)

    def _run_fused(self) -> int:
        """Everything in the engine; out of it for more noise, and after each pass if someone listens. Returns
        the length.
        """
        rows, library = self.rows, self.rows.library
        noise = Noise(self.max_length - self.start if self.sample else 1, rows.rows, rows.vocab)
        passes, column = 1 if self.watched else self.max_length, self.start
        length, done = rows.batch.length, rows.batch.done

        def decode(first: int, end: int, work: Struct) -> int:
            pointers = rows.pointers(work, self.last)
            return library.decode(
                *pointers, first, end, noise.noise.data_ptr(), self.start, until, passes, self.guesses
            )

        try:
            while not done.all():
                until = self.max_length
                if self.sample:
                    ahead = int(length[done == 0].max()) - self.start
                    noise.draw(ahead + 1 + (self.guesses if self.watched else NOISE_STEPS // 2))
                    until = self.start + noise.drawn
                self._refuse_no_numbers(rows.each_part(decode))
                if self.watched:
                    column = self._report(column)
            column = self._report(column) if self.watched else int(length.max())
        finally:
            if self.sample:
                noise.give_back(column - self.start)
        return column

    def _refuse_no_numbers(self, results: list[int]) -> None:
        if self.rows.library.sizes["NOT_A_NUMBER"] in results:
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")

    def _report(self, column: int) -> int:
        """Shows the columns that all rows have reached to criteria and streamer, from `column` on; returns
        the first not shown.
        """
        length, done = self.rows.batch.length, self.rows.batch.done
        while column < (length.max() if done.all() else length[done == 0].min()) and not self.finished.all():
            column += 1
            self._show(column)
        return column

    def _show(self, length: int) -> None:
        """The step that made the ids `length` long is finished, in all rows."""
        batch = self.rows.batch
        if self.others:
            ids = self._so_far(length)
            for stops in [torch.as_tensor(criterion(ids, None)).numpy() for criterion in self.others]:
                for row in (stops & ~self.finished).nonzero()[0].tolist() if stops.any() else ():
                    batch.done[row], batch.length[row] = 1, min(batch.length[row], length)
                    batch.ids[row, length:] = self.pad
        self.finished = (batch.done != 0) & (batch.length <= length)
        if self.streamer is not None:
            self.streamer.put(torch.from_numpy(batch.ids[:, length - 1].copy()))

    def _run_open(self) -> int:
        """With processors that only Python knows: logits from the engine, everything else step by step.
        Returns the length.
        """
        rows, column = self.rows, self.start
        while not rows.batch.done.all():
            rows.each_part(self._look_ahead)
            self._step(column)
            column += 1
            self._show(column)
        return column

    def _look_ahead(self, first: int, end: int, work: Struct) -> int:
        return self.rows.library.look_ahead(*self.rows.pointers(work, self.last), first, end, self.guesses)

    def _step(self, length: int) -> None:
        """One step of all rows: processors, choice, and what follows from it."""
        rows, library = self.rows, self.rows.library
        scores = torch.zeros(rows.rows, rows.vocab)

        def each(call: Any, rules: Struct, *more: int) -> list[int]:
            at = scores.data_ptr()
            return [call(*rows.pointers(work, rules), a, b, at, *more) for a, b, work in rows.parts]

        each(library.scores_ahead, self.last)
        ids = self._so_far(length)
        for part in self.plan:
            if isinstance(part, Struct):
                each(library.mask_ahead, part)
                continue
            scores = part(ids, scores).to(torch.float32).contiguous()
            if scores.shape != (rows.rows, rows.vocab):
                raise ValueError(
                    f"{type(part).__name__} makes scores of shape {tuple(scores.shape)} out of"
                    f" {(rows.rows, rows.vocab)}."
                )
        noise = torch.empty_like(scores).exponential_(1) if self.sample else scores
        self._refuse_no_numbers(each(library.choose_ahead, self.last, noise.data_ptr()))


def but_for(processors: list) -> str | None:
    """What the engine decodes not all by itself, or `None`."""
    if any(isinstance(p, UnbatchedClassifierFreeGuidanceLogitsProcessor) for p in processors):
        return "guidance runs the model a second time, by its stock forward pass"
    return None


def why_not(
    model, input_ids, criteria, config, synced_gpus: bool, model_kwargs: dict, package: str, cache_name: str
) -> str | None:
    """Why a call of `generate()` must take the stock loop, or `None`.

    Args:
        model, input_ids, criteria, config, synced_gpus, model_kwargs: as `_sample` of transformers gets them.
        package (`str`): of the model's code.
        cache_name (`str`): of the argument that holds the cache.
    """
    return (
        _about_model(model, package)
        or _about_arguments(config, criteria, synced_gpus, model_kwargs, len(input_ids), cache_name)
        or _about_prompt(model, input_ids, model_kwargs)
    )


def _about_model(model, package: str) -> str | None:
    if (
        f"{type(model).__module__}.{type(model).__name__}"
        != f"{package}.modeling_musicgpt.MusicGPTForCausalLM"
    ):
        return "the model is a variant"
    if next(model.parameters()).device.type != "cpu":
        return "the model is not on the CPU"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on"
    if model.training and (model.config.hidden_dropout or model.config.attention_dropout):
        return "the model is in training mode, with dropout"
    usual = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout, nn.ModuleList)
    ours = (package, "transformers")
    for module in model.modules():
        # Adapters, quantisation and parametrisation put other types in the place of these.
        if type(module) not in usual and type(module).__module__.rpartition(".")[0] not in ours:
            return f"the model has a part of type {type(module).__name__}"
        hooks = [
            hook for hook in module._forward_hooks.values() if getattr(hook, "__module__", None) != _RECORDING
        ]
        if hooks or module._forward_pre_hooks or "forward" in vars(module) or module._compiled_call_impl:
            return "a part of the model has hooks or was replaced"
    if any(
        p.dtype != torch.float32 or type(p) is not nn.Parameter or p.device.type != "cpu"
        for p in model.parameters()
    ):
        return "the weights are not float32 on the CPU"
    try:
        check(model, load())
    except EngineError as error:
        return str(error)
    return None


def _about_arguments(
    config, criteria, synced_gpus: bool, model_kwargs: dict, rows: int, cache_name: str
) -> str | None:
    for name in (
        "return_dict_in_generate",
        "output_scores",
        "output_logits",
        "output_attentions",
        "output_hidden_states",
    ):
        if getattr(config, name, None):
            return f"{name} is asked for"
    if (
        synced_gpus
        or config.is_assistant
        or config.prefill_chunk_size
        or not config.use_cache
        or config.cache_implementation
    ):
        return "cache or devices are used in another way"
    known = {"attention_mask", "position_ids", cache_name, "use_cache", "logits_to_keep"}
    unknown = sorted(name for name, value in model_kwargs.items() if name not in known and value is not None)
    if unknown:
        return f"the model is given {', '.join(unknown)}"
    cache = model_kwargs.get(cache_name)
    if cache is not None and (
        type(cache) is not DynamicCache or cache.get_seq_length() or getattr(cache, "_is_user_defined", False)
    ):
        return "a cache is given"
    if len([c for c in criteria if type(c) is MaxLengthCriteria]) != 1:
        return "there is no limit on the length"
    ends = any(hasattr(c, "eos_token_id") for c in criteria)
    others = any(type(c) not in (MaxLengthCriteria, EosTokenCriteria) for c in criteria)
    if others and rows > 1 and not ends:
        return "rows that end for another reason than <eos> are not padded"
    return None


def _about_prompt(model, input_ids, model_kwargs: dict) -> str | None:
    rows, length = input_ids.shape
    if (
        input_ids.device.type != "cpu"
        or not 0 < rows <= MAX_ROWS
        or length == 0
        or input_ids.dtype != torch.long
    ):
        return "the prompt is empty, too wide or elsewhere"
    if input_ids.min() < 0 or input_ids.max() >= model.config.vocab_size:
        return "the prompt holds unknown tokens"
    mask = model_kwargs.get("attention_mask")
    mask = torch.ones_like(input_ids) if mask is None else mask
    if (
        mask.shape != input_ids.shape
        or not mask[:, -1].all()
        or (mask[:, 1:] < mask[:, :-1]).any()
        or ((mask != 0) & (mask != 1)).any()
    ):
        return "the attention mask is not that of left padding"
    position_ids = model_kwargs.get("position_ids")
    if position_ids is not None:
        usual = (mask.long().cumsum(-1) - 1).masked_fill(mask == 0, 0)
        if position_ids.shape[-1] != length or not torch.equal(position_ids.expand_as(usual), usual):
            return "position_ids are given"
    return None
