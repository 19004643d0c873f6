# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""`generate()` at full speed on a CPU: greedy decoding and sampling in machine code, everything else as in transformers.

The tokens are those of the usual loop, for the same seed. What this file does not know falls through to that loop: see `why_usual`.
"""

from __future__ import annotations

import ctypes
import gc
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import nn
from transformers import GenerationMixin
from transformers.cache_utils import DynamicCache
from transformers.generation.logits_process import UnbatchedClassifierFreeGuidanceLogitsProcessor
from transformers.utils.output_capturing import capture_outputs

from .cache_musicgpt import CACHE_NAME, with_cache_as

_KNOWN_ARGUMENTS = {"attention_mask", "position_ids", CACHE_NAME, "use_cache", "logits_to_keep"}
# transformers' hooks that record hidden states and attentions: once asked for, they stay, and do nothing until they are asked for again.
_RECORDING = capture_outputs.__module__
# Wider batches take the usual loop.
MAX_ROWS = 64
_program: Any = None


def compiled_program() -> Any:
    """The machine code, made when it is first asked for (1.5 seconds on a computer that has not kept it); `None`, with one warning, where that is
    not possible."""
    global _program
    if _program is None:
        try:
            from .fast_compiler import Program
            from .fast_loop import ENTRIES

            _program = Program(ENTRIES, is_kept=True)
            if _program.is_new:
                _give_memory_back()
        except Exception as error:
            # Whatever is wrong with llvmlite here, the usual loop gives the same music.
            advice = " `pip install llvmlite` makes it fast." if isinstance(error, ImportError) else ""
            warnings.warn(f"Generating at the usual speed: {error}.{advice}", stacklevel=4)
            _program = False
    return _program or None


def _give_memory_back() -> None:
    """Compiling takes 100 MB for a moment, which glibc would keep."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return  # another C library


def _usual(method: Callable, reason: str) -> Callable:
    """A way of decoding of transformers' that says why it is taken, also if it calls other ways or fails."""

    @wraps(method)
    def decode(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        finally:
            self.usual_decoding_because = reason

    return decode


class FastSamplingMixin(GenerationMixin):
    """Greedy decoding and sampling by `FastDecoding` where it can.

    Attributes:
        fast_decoding (`bool`): set it to `False` for the usual loop.
        usual_decoding_because (`str`, *optional*): why the last call of `generate()` was not decoded by `FastDecoding` alone; `None` if it was.
    """

    fast_decoding: bool = True
    usual_decoding_because: str | None = None

    @wraps(GenerationMixin.generate)
    def generate(self, *args, **kwargs):
        # What decodes says so itself, after this; a call that is refused before it does, or a `custom_generate`, does not.
        self.usual_decoding_because = "it was refused, or custom_generate decodes"
        return super().generate(*args, **with_cache_as(CACHE_NAME, kwargs))

    _beam_search = _usual(GenerationMixin._beam_search, "there are several beams")
    _assisted_decoding = _usual(GenerationMixin._assisted_decoding, "an assistant or the prompt proposes tokens")

    def _sample(
        self, input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus=False, streamer=None, **model_kwargs
    ):  # fmt: skip
        self.usual_decoding_because = why_usual(self, input_ids, stopping_criteria, generation_config, synced_gpus, model_kwargs)
        if self.usual_decoding_because is None and compiled_program() is None:
            self.usual_decoding_because = "llvmlite does not work here"
        if self.usual_decoding_because is not None:
            return super()._sample(
                input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus, streamer, **model_kwargs
            )
        from .fast_session import FastDecoding

        if any(isinstance(p, UnbatchedClassifierFreeGuidanceLogitsProcessor) for p in logits_processor):
            self.usual_decoding_because = "guidance runs the model a second time, by its usual forward pass"
        mask = model_kwargs.get("attention_mask")
        return FastDecoding(self, input_ids, mask, logits_processor, stopping_criteria, generation_config, streamer).run()


def why_usual(model, input_ids, stopping_criteria, generation_config, synced_gpus: bool, model_kwargs: dict) -> str | None:
    """Why a call of `generate()` must take the usual loop, or `None`."""
    return (
        _about_model(model)
        or _about_arguments(generation_config, stopping_criteria, synced_gpus, model_kwargs, len(input_ids))
        or _about_prompt(model, input_ids, model_kwargs)
    )


def _about_model(model) -> str | None:
    package = __name__.rpartition(".")[0]
    if not model.fast_decoding:
        return "fast_decoding is off"
    if f"{type(model).__module__}.{type(model).__name__}" != f"{package}.modeling_musicgpt.MusicGPTForCausalLM":
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
        hooks = [hook for hook in module._forward_hooks.values() if getattr(hook, "__module__", None) != _RECORDING]
        if hooks or module._forward_pre_hooks or "forward" in vars(module) or module._compiled_call_impl:
            return "a part of the model has hooks or was replaced"
    if any(p.dtype != torch.float32 or type(p) is not nn.Parameter or p.device.type != "cpu" for p in model.parameters()):
        return "the weights are not float32 on the CPU"
    if not _kernels_fit(model.config):
        return "the kernels do not know this configuration"
    return None


def _kernels_fit(config) -> bool:
    try:
        from .fast_model import fits
    except ImportError:
        return True  # `compiled_program` says what is missing
    return fits(config)


def _about_arguments(config, stopping_criteria, synced_gpus: bool, model_kwargs: dict, rows: int) -> str | None:
    from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

    for name in ("return_dict_in_generate", "output_scores", "output_logits", "output_attentions", "output_hidden_states"):
        if getattr(config, name, None):
            return f"{name} is asked for"
    if synced_gpus or config.is_assistant or config.prefill_chunk_size or not config.use_cache or config.cache_implementation:
        return "cache or devices are used in another way"
    unknown = sorted(name for name, value in model_kwargs.items() if name not in _KNOWN_ARGUMENTS and value is not None)
    if unknown:
        return f"the model is given {', '.join(unknown)}"
    cache = model_kwargs.get(CACHE_NAME)
    if cache is not None and (type(cache) is not DynamicCache or cache.get_seq_length() or getattr(cache, "_is_user_defined", False)):
        return "a cache is given"
    lengths = [c.max_length for c in stopping_criteria if type(c) is MaxLengthCriteria]
    if len(lengths) != 1:
        return "there is no limit on the length"
    ends = any(hasattr(c, "eos_token_id") for c in stopping_criteria)
    others = any(type(c) not in (MaxLengthCriteria, EosTokenCriteria) for c in stopping_criteria)
    if others and rows > 1 and not ends:
        return "rows that end for another reason than <eos> are not padded"
    return None


def _about_prompt(model, input_ids, model_kwargs: dict) -> str | None:
    rows, length = input_ids.shape
    if input_ids.device.type != "cpu" or not 0 < rows <= MAX_ROWS or length == 0 or input_ids.dtype != torch.long:
        return "the prompt is empty, too wide or elsewhere"
    if input_ids.min() < 0 or input_ids.max() >= model.config.vocab_size:
        return "the prompt holds unknown tokens"
    mask = model_kwargs.get("attention_mask")
    mask = torch.ones_like(input_ids) if mask is None else mask
    if mask.shape != input_ids.shape or not mask[:, -1].all() or (mask[:, 1:] < mask[:, :-1]).any() or ((mask != 0) & (mask != 1)).any():
        return "the attention mask is not that of left padding"
    position_ids = model_kwargs.get("position_ids")
    if position_ids is not None:
        usual = (mask.long().cumsum(-1) - 1).masked_fill(mask == 0, 0)
        if position_ids.shape[-1] != length or not torch.equal(position_ids.expand_as(usual), usual):
            return "position_ids are given"
    return None


__all__ = ["FastSamplingMixin", "compiled_program", "why_usual"]
