# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""What `generate()` does beyond transformers' own: the grammar, and the end at a bar line."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.stopping_criteria import StopStringCriteria

from .bar_end_musicgpt import BarEndLogitsProcessor, ClosingCosts
from .cache_musicgpt import CACHE_NAME, takes_cache
from .configuration_musicgpt import MusicGPTConfig
from .engine_musicgpt import FastDecodingMixin
from .grammar_musicgpt import Grammar, GrammarLogitsProcessor, Prompt, has_grammar
from .repetition_musicgpt import RepetitionLogitsProcessor
from .stepping_musicgpt import MusicalState
from .streaming_musicgpt import stream_notes

# Arguments of `generate()` that are ours, with their defaults; a generation config may hold them too.
MUSICAL_ARGUMENTS = {"constrain_grammar": True, "end_at_bar": True, "limit_repetition": True}


def musical_generation_config(config: MusicGPTConfig, **changes: Any) -> GenerationConfig:
    """The generation config that a trained model is shipped with: sampling, 1,024 new tokens, grammar and end
    at a bar line.

    Args:
        config (`MusicGPTConfig`): for the special tokens.
        changes: any argument of `GenerationConfig`, or of `generate()` of a MusicGPT model.
    """
    values = {
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "pad_token_id": config.pad_token_id,
        "do_sample": True,
        "temperature": 0.83,
        "top_k": 0,
        "top_p": 0.95,
        "max_new_tokens": 1024,
        **MUSICAL_ARGUMENTS,
    }
    return GenerationConfig(**{**values, **changes})


def _asks_for_length_alone(given: GenerationConfig | None, arguments: dict[str, Any]) -> bool:
    """Whether a call names `max_length` and not `max_new_tokens`: then that of the model's own generation
    config does not count.
    """
    asked = [arguments.get("max_length"), arguments.get("max_new_tokens")]
    if asked == [None, None] and given is not None:
        asked = [given.max_length, given.max_new_tokens]
    return asked[0] is not None and asked[1] is None


class StopWordsCriteria(StopStringCriteria):
    """transformers' `stop_strings` for a tokenizer of words.

    To learn what a token adds to the text, transformers puts the probe `abcdef` before it and looks for that
    in the text (https://github.com/huggingface/transformers/issues/48320). Where the tokenizer reads it as
    `<unk>`, an empty token takes its place.
    """

    @staticmethod
    def clean_tokenizer_vocab(tokenizer, *args: Any, **kwargs: Any) -> tuple[tuple, tuple]:
        """What each token adds to the text, and the ids of the tokens."""
        try:
            return StopStringCriteria.clean_tokenizer_vocab(tokenizer, *args, **kwargs)
        except ValueError:
            vocab = tokenizer.get_vocab()
            return tuple(tokenizer.convert_tokens_to_string(["", token]) for token in vocab), tuple(
                vocab.values()
            )


class MusicGPTLogitsProcessorList(LogitsProcessorList):
    """transformers' own asks each processor at every token which arguments it takes, and to find that out
    takes as long as a processor. Here a class of processors is asked once.
    """

    def __init__(self, processors: Iterable[Any] = ()):
        super().__init__(processors)
        self._takes_two: dict[type, bool] = {}

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """As transformers' own."""
        for processor in self:
            kind = type(processor)
            if kind not in self._takes_two:  # besides itself
                self._takes_two[kind] = len(inspect.signature(kind.__call__).parameters) == 3
            if self._takes_two[kind]:
                scores = processor(input_ids, scores)
            else:
                scores = LogitsProcessorList([processor])(input_ids, scores, **kwargs)
        return scores


class MusicGPTGenerationMixin(FastDecodingMixin):
    """`generate()` with three more arguments, which a `generation_config` may also hold:

    constrain_grammar (`bool`, defaults to `True`): allow only tokens that the grammar allows next. The mask
        comes before the caller's own logits processors and before temperature, top-k and top-p, so that these
        see a distribution over legal tokens. Without effect for a vocabulary that is not musical.
    end_at_bar (`bool`, defaults to `True`): bring the piece to an end at a bar line within `max_new_tokens`
        (or `max_length`) instead of cutting it off there. Without effect where `<eos>` does not end the
        generation, and without the grammar.
    limit_repetition (`bool`, defaults to `True`): do not let one pitch return more often than in any passage
        of Bach (`RepetitionLogitsProcessor`). Without effect without the grammar.
    """

    def _prepare_generation_config(
        self, generation_config: GenerationConfig | None, **kwargs: Any
    ) -> tuple[GenerationConfig, dict]:
        length_alone = _asks_for_length_alone(generation_config, kwargs)
        given = {name: kwargs.pop(name, None) for name in MUSICAL_ARGUMENTS}
        given = {name: value for name, value in given.items() if value is not None}
        for name, value in given.items():
            if not isinstance(value, bool):
                raise ValueError(f"{name} is {value!r}; it must be True or False.")
        generation_config, model_kwargs = super()._prepare_generation_config(generation_config, **kwargs)
        if length_alone:
            generation_config.max_new_tokens = None
        for name, default in MUSICAL_ARGUMENTS.items():
            kept = getattr(generation_config, name, None)
            setattr(generation_config, name, given.get(name, default if kept is None else kept))
        return generation_config, model_kwargs

    stream_notes = stream_notes
    prepare_inputs_for_generation = takes_cache(FastDecodingMixin.prepare_inputs_for_generation, CACHE_NAME)

    def _get_stopping_criteria(
        self, generation_config: GenerationConfig, *args: Any, **kwargs: Any
    ) -> StoppingCriteriaList:
        tokenizer, stops = kwargs.get("tokenizer"), generation_config.stop_strings
        if tokenizer is None or stops is None:
            return super()._get_stopping_criteria(generation_config, *args, **kwargs)
        generation_config.stop_strings = None
        try:
            criteria = super()._get_stopping_criteria(generation_config, *args, **kwargs)
        finally:
            generation_config.stop_strings = stops
        criteria.append(StopWordsCriteria(tokenizer, stops))
        return criteria

    def _get_logits_processor(
        self,
        generation_config: GenerationConfig,
        *args: Any,
        logits_processor: LogitsProcessorList | None = None,
        model_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> LogitsProcessorList:
        custom = list(logits_processor or [])
        prompt = None
        if has_grammar(self.config):
            prompt = self._prompt(kwargs.get("input_ids_seq_length"), model_kwargs or {})
            for processor in custom:
                if hasattr(processor, "share"):  # it goes by the musical state, as our own do
                    processor.share(prompt)
        own = self._musical_processors(generation_config, prompt)
        own = [processor for processor in own if not any(type(processor) is type(other) for other in custom)]
        # The list is appended to the processors that forbid tokens by name, and stands before the warpers.
        processors = super()._get_logits_processor(
            generation_config,
            *args,
            logits_processor=LogitsProcessorList([*own, *custom]),
            model_kwargs=model_kwargs,
            **kwargs,
        )
        return MusicGPTLogitsProcessorList(processors)

    def _musical_processors(self, generation_config: GenerationConfig, prompt: Prompt | None) -> list:
        if prompt is None or not getattr(generation_config, "constrain_grammar", True):
            return []
        grammar = self.grammar
        stops = getattr(generation_config, "_eos_token_tensor", None)
        ends = stops is not None and grammar.eos in stops.tolist()
        processors: list = [GrammarLogitsProcessor(grammar, prompt, ends)]
        # An assistant writes drafts of a few tokens: they do not end where its budget ends.
        if getattr(generation_config, "end_at_bar", True) and ends and not generation_config.is_assistant:
            costs = self.closing_costs
            processors.append(BarEndLogitsProcessor(grammar, costs, generation_config.max_length, prompt))
        if getattr(generation_config, "limit_repetition", True):
            processors.append(RepetitionLogitsProcessor(grammar, prompt))
        return processors

    def _prompt(self, input_length: int | None, model_kwargs: dict[str, Any]) -> Prompt:
        embeds = model_kwargs.get("inputs_embeds")
        # (B, L, hidden) -> (B, L)
        ids = None if embeds is None or input_length else self.model.nearest_tokens(embeds)
        return Prompt(self.grammar, model_kwargs.get("attention_mask"), ids, model_kwargs.get(CACHE_NAME))

    def state_after(self, tokens: Sequence[int] = ()) -> MusicalState:
        """The musical state of one piece after some tokens."""
        state = MusicalState(self.model.step_tables)
        state.follow(np.array([tokens], dtype=np.int64))
        return state

    @property
    def grammar(self) -> Grammar:
        """The grammar of the model's vocabulary, built when it is first asked for.

        Raises:
            ValueError: if the vocabulary is not musical.
        """
        config = self.config
        made_for = (config.vocab_size, config.bos_token_id, str(config.eos_token_id), config.pad_token_id)
        if getattr(self, "_grammar_made_for", None) != made_for:
            self._grammar, self._closing_costs, self._grammar_made_for = Grammar(config), None, made_for
        return self._grammar

    @property
    def closing_costs(self) -> ClosingCosts:
        """How many tokens it takes to close a piece from each state of the grammar; built when it is first
        asked for.
        """
        grammar = self.grammar
        if self._closing_costs is None:
            self._closing_costs = ClosingCosts(grammar, self.config)
        return self._closing_costs

    def init_continuous_batching(self, *args: Any, **kwargs: Any):
        """Not supported: raises `NotImplementedError`."""
        raise NotImplementedError(
            "MusicGPT does not run in continuous batching (`generate_batch`, `cache_implementation='paged'`):"
            " its paged cache keeps no token ids, from which meter and voices are derived. Use generate()"
            " with a left-padded batch."
        )

    generate_batch = continuous_batching_context_manager = init_continuous_batching


__all__ = ["MusicGPTGenerationMixin", "musical_generation_config"]
