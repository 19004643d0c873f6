# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""`generate()` at full speed on a CPU where the package `musicgpt` is installed: its engine makes the same
tokens as the loop of transformers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps

from transformers import GenerationMixin

from .cache_musicgpt import CACHE_NAME, with_cache_as

# What the engine must know of this folder's code; counts up where the forward pass or a processor changes.
INTERFACE = 2
_warned = False


def _stock(method: Callable, reason: str) -> Callable:
    """A way of decoding of transformers' that says why it is taken, also if it calls other ways or fails."""

    @wraps(method)
    def decode(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        finally:
            self.stock_loop_because = reason

    return decode


def _without_ends(criteria, cache):
    """Criteria for the stock loop. One that makes rows go on as others is told of the cache, and then no row
    ends by itself: the loop would not go on with it.
    """
    holding = [criterion for criterion in criteria if hasattr(criterion, "hold")]
    for criterion in holding:
        criterion.hold(cache=cache)
    ends = [criterion for criterion in criteria if not (holding and hasattr(criterion, "eos_token_id"))]
    return type(criteria)(ends)


class FastDecodingMixin(GenerationMixin):
    """Greedy decoding and sampling by the engine where it can.

    Attributes:
        fast_decoding (`bool`): set it to `False` for the stock loop.
        stock_loop_because (`str`, *optional*): why the last call of `generate()` was not decoded by the
            engine alone; `None` if it was.
    """

    fast_decoding: bool = True
    stock_loop_because: str | None = None

    @wraps(GenerationMixin.generate)
    def generate(self, *args, **kwargs):
        # What decodes says so itself, after this; a call that is refused before it does, or a
        # `custom_generate`, does not.
        self.stock_loop_because = "it was refused, or custom_generate decodes"
        return super().generate(*args, **with_cache_as(CACHE_NAME, kwargs))

    _beam_search = _stock(GenerationMixin._beam_search, "there are several beams")
    _assisted_decoding = _stock(
        GenerationMixin._assisted_decoding, "an assistant or the prompt proposes tokens"
    )

    def _sample(self, input_ids, logits_processor, stopping_criteria, generation_config, **kwargs):
        self.stock_loop_because = None if self.fast_decoding else "fast_decoding is off"
        if self.fast_decoding:
            given = (input_ids, logits_processor, stopping_criteria, generation_config)
            if (decoding := self._engine(*given, **kwargs)) is not None:
                return decoding.run()
        criteria = _without_ends(stopping_criteria, kwargs.get(CACHE_NAME))
        return super()._sample(input_ids, logits_processor, criteria, generation_config, **kwargs)

    def _engine(
        self, input_ids, processors, criteria, config, synced_gpus=False, streamer=None, **model_kwargs
    ):
        """The engine's loop for these arguments of `_sample`; `None`, with the reason in
        `stock_loop_because`, where it does not take them.
        """
        try:
            from musicgpt.engine import EngineError, decoding, load

            if decoding.INTERFACE != INTERFACE:
                raise EngineError(
                    f"it was made for version {decoding.INTERFACE} of the model's code, and this is"
                    f" {INTERFACE}"
                )
            load()
        except (ImportError, RuntimeError) as error:
            self.stock_loop_because = f"the engine is not there: {error}"
            _warn_once(self.stock_loop_because)
            return None
        package = __name__.rpartition(".")[0]
        because = decoding.why_not(
            self, input_ids, criteria, config, synced_gpus, model_kwargs, package, CACHE_NAME
        )
        if because is None:
            try:
                self.stock_loop_because = decoding.but_for(processors)
                mask = model_kwargs.get("attention_mask")
                return decoding.Decoding(self, input_ids, mask, processors, criteria, config, streamer)
            except EngineError as error:
                because = str(error)
        self.stock_loop_because = because
        return None


def _warn_once(because: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(f"Generating at the speed of the stock loop: {because}", stacklevel=6)


__all__ = ["INTERFACE", "FastDecodingMixin"]
