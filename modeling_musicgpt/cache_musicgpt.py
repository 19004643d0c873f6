# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""The key/value cache: the names that transformers has for it, and the token ids that are kept in it.

Names: transformers 5.24 calls `cache` what was `past_key_values` before, throughout `generate()` and in the
outputs. Nothing but this file and the configuration knows either name.

Ids: meter and voices are derived from all ids since the beginning; a cached step is given only the new ones.
So the first layer of whatever cache is in use remembers the ids and the `MusicalState` after them, and takes
them through the same reordering, repeating and selecting as its keys and values.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache, wraps
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, ModelOutput
from transformers.utils.import_utils import is_tracing

from .configuration_musicgpt import MusicGPTConfig
from .features_musicgpt import FeatureState
from .musical_state_musicgpt import MusicalFeatures
from .stepping_musicgpt import STEPS_BACK

# The name that the installed transformers uses: that of the cache in its outputs, whatever it will be called.
CACHE_NAME = next(field.name for field in fields(BaseModelOutputWithPast) if "Cache" in str(field.type))
# All names under which a cache may be given and read.
CACHE_NAMES = tuple(dict.fromkeys((*MusicGPTConfig.keys_to_ignore_at_inference, CACHE_NAME)))

# So many more tokens than it has a layer of a growing cache takes memory for.
ROOM = 128


def with_cache_as(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """`arguments` with the cache among them, whatever it is called there, under `name`: each `Cache` is one,
    and what bears one of its names.

    Raises:
        ValueError: if there are two, or one of its names is given something else.
    """
    names = [key for key, value in arguments.items() if key in CACHE_NAMES or isinstance(value, Cache)]
    given = {key: arguments[key] for key in names if arguments[key] is not None}
    if len({id(value) for value in given.values()}) > 1:
        raise ValueError(f"Two caches are given, as {' and '.join(given)}: give one.")
    for key, value in given.items():
        if not isinstance(value, Cache):
            raise ValueError(
                f"{key} is a {type(value).__name__}; it must be a Cache of transformers, such as the one that"
                " this model returned, or DynamicCache()."
            )
    others = {key: value for key, value in arguments.items() if key not in names}
    return {**others, name: next(iter(given.values()))} if given else others


def warn_of_old_name(arguments: dict[str, Any]) -> None:
    """Says, as transformers' own models do, that a cache came under a name that the installed version has
    given up.
    """
    for name in CACHE_NAMES[: CACHE_NAMES.index(CACHE_NAME)]:  # the oldest stands first
        if arguments.get(name) is not None and not torch.compiler.is_compiling():
            said = f"`{name}` is deprecated: transformers calls it `{CACHE_NAME}`. Pass it by that name."
            warnings.warn(said, FutureWarning, stacklevel=4)


def takes_cache(method: Callable, name: str = "cache") -> Callable:
    """Lets a method whose cache is its argument `name` be given it under any name. Its signature shows the
    name that transformers uses.
    """

    @wraps(method)
    def wrapper(self, *args, **kwargs):
        warn_of_old_name(kwargs)
        return method(self, *args, **with_cache_as(name, kwargs))

    signature = inspect.signature(method)
    named = [p.replace(name=CACHE_NAME) if p.name == name else p for p in signature.parameters.values()]
    wrapper.__signature__ = signature.replace(parameters=named)
    return wrapper


def gives_cache(output: type[ModelOutput]) -> type[ModelOutput]:
    """Lets the cache of an output be read under any name, as an attribute."""
    same = property(lambda self: getattr(self, CACHE_NAME), doc=f"The same as `{CACHE_NAME}`.")
    for name in {*CACHE_NAMES} - {CACHE_NAME}:
        setattr(output, name, same)
    return output


def refuse_lost_history(
    cache: Cache | None, length: int, position_ids: torch.Tensor | None, attention_mask: torch.Tensor | None
) -> None:
    """Refuses a step of a piece whose earlier tokens did not arrive: it would be continued as if it began
    here.

    Args:
        cache (`Cache`, *optional*): before the step.
        length (`int`): number of the new tokens.
        position_ids (`torch.LongTensor` of shape `(batch or 1, length)`, *optional*): as they were given.
        attention_mask (`torch.Tensor` of shape `(batch, keys)` or `(batch, heads, length, keys)`,
            *optional*): as it was given.

    Raises:
        ValueError: if there is no past, and all positions lie beyond zero or the mask has more keys than
            there are tokens. While a graph is traced the positions are unknown and only the mask is looked
            at.
    """
    past_length = 0 if cache is None else cache.get_seq_length()
    if isinstance(past_length, torch.Tensor) or past_length > 0 or length == 0:
        return  # a tensor is the length of a static cache that was used before
    sign, has_room = "", cache is not None and cache.is_compileable
    masks = isinstance(attention_mask, torch.Tensor) and attention_mask.ndim in (2, 4) and not has_room
    if masks and attention_mask.shape[-1] > length:
        sign = f"attention_mask covers {attention_mask.shape[-1]} tokens"
    elif position_ids is not None and not is_tracing(position_ids) and (first := int(position_ids.min())) > 0:
        sign = f"the first position is {first}"
    if sign:
        raise ValueError(
            f"The model was given {length} tokens and no earlier ones, but {sign}: the history is lost, and"
            f" the music would go on from nothing. Pass the cache that this model returned as `{CACHE_NAME}`,"
            " or all ids since the beginning. Inside generate() it means that this version of transformers"
            " hands the cache over in a way that this model does not know: install one that it was tested"
            " with."
        )


@lru_cache
def _remembering(layer_class: type) -> type:
    """`layer_class` with `token_ids`, of shape `(batch, length or room)`, and a `FeatureState` beside its
    keys and values.
    """

    # One base only: an existing layer can change its class to a subclass of the same memory layout.
    class TokenRememberingLayer(layer_class):
        _layer_type = None  # else transformers would register this class in place of its parent
        token_ids: torch.Tensor | None = None
        musical_state: FeatureState | None = None
        remembers_tokens = True

        def _select(self, rows: torch.Tensor) -> None:
            self.token_ids = self.token_ids.index_select(0, rows.to(self.token_ids.device))
            if self.musical_state is not None:
                self.musical_state.select(rows.cpu().numpy())

        def reset(self) -> None:
            super().reset()
            self.token_ids = self.musical_state = None

        def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
            super().reorder_cache(beam_idx)
            if self.token_ids is not None:
                self._select(beam_idx)

        def batch_repeat_interleave(self, repeats: int) -> None:
            super().batch_repeat_interleave(repeats)
            if self.token_ids is not None:
                self._select(torch.arange(len(self.token_ids)).repeat_interleave(repeats))

        def batch_select_indices(self, indices: torch.Tensor) -> None:
            super().batch_select_indices(indices)
            if self.token_ids is not None:
                self._select(torch.arange(len(self.token_ids))[indices.cpu()])

    return TokenRememberingLayer


def remembers_tokens(cache: Cache) -> bool:
    """Whether the first layer of `cache` keeps the token ids."""
    return bool(cache.layers) and getattr(cache.layers[0], "remembers_tokens", False)


class GrowingLayer(DynamicLayer):
    """A layer of a cache that has room for the tokens to come, so that a step copies no earlier ones."""

    _layer_type = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As in transformers, also where gradients or a graph need tensors of their own."""
        if not self.is_initialized or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return super().update(key_states, value_states, *args, **kwargs)
        self.keys, self.values = _behind(self.keys, key_states), _behind(self.values, value_states)
        return self.keys, self.values


def _behind(past: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """`past` and `new`, `(B, heads, length, channels)`, one behind the other: in the memory of which `past`
    is the beginning, if there is room.
    """
    length, whole, memory = past.shape[-2], past.shape[-2] + new.shape[-2], past._base
    fits = memory is not None and memory.shape[:-2] == past.shape[:-2] and memory.shape[-2] >= whole
    if not fits or memory.stride() != past.stride() or memory.storage_offset() != past.storage_offset():
        memory = past.new_empty(*past.shape[:2], whole + ROOM, past.shape[-1])
        memory[..., :length, :] = past
    memory[..., length:whole, :] = new
    return memory[..., :whole, :]


def attach_history(cache: Cache) -> None:
    """Make the layers of `cache` grow, and the first remember token ids. Done once, before its first update
    and outside any compiled graph.
    """
    if not cache.layers and cache.layer_class_to_replicate is not None:
        cache.layers.append(cache.layer_class_to_replicate())
    for layer in cache.layers:
        if type(layer) is DynamicLayer:
            layer.__class__ = GrowingLayer
    if not remembers_tokens(cache):
        cache.layers[0].__class__ = _remembering(type(cache.layers[0]))


def remember_tokens(
    cache: Cache | None,
    ids: torch.Tensor,
    places: torch.Tensor,
    past_length: int | torch.Tensor,
    pad_token_id: int,
) -> torch.Tensor:
    """All ids so far.

    Args:
        cache (`Cache`, *optional*): of any kind; without one there is no past.
        ids (`torch.LongTensor` of shape `(batch, new)`): the new tokens.
        places (`torch.LongTensor` of shape `(new,)`): their places in the sequence.
        past_length (`int` or scalar tensor): how many tokens the cache holds.
        pad_token_id (`int`): fills the room of a static cache.

    Returns:
        `torch.LongTensor` of shape `(batch, past + new)`, or `(batch, room)` for a cache of fixed size.

    Raises:
        ValueError: if the cache was filled by a model that kept no ids in it.
    """
    if cache is None:
        return ids
    if not remembers_tokens(cache):
        if not isinstance(past_length, torch.Tensor) and past_length > 0:
            raise ValueError(
                f"{CACHE_NAME} holds {past_length} tokens but not their ids, without which meter and voices"
                " are unknown: pass the cache that this model returned."
            )
        attach_history(cache)
    layer = cache.layers[0]
    if layer.is_compileable:
        if layer.token_ids is None:
            layer.token_ids = ids.new_full((ids.shape[0], layer.max_cache_len), pad_token_id)
        layer.token_ids.index_copy_(1, places, ids)
        return layer.token_ids
    # The keys may have been cropped since (assisted decoding): their length is the truth.
    past = ids[:, :0] if layer.token_ids is None or past_length == 0 else layer.token_ids[:, :past_length]
    layer.token_ids = torch.cat((past, ids), dim=1)
    return layer.token_ids


def state_in(cache: Cache) -> FeatureState | None:
    """The state that a cache keeps."""
    return getattr(cache.layers[0], "musical_state", None) if cache.layers else None


def read_steps(
    cache: Cache | None, model: Any, ids: torch.Tensor, past_length: int | torch.Tensor
) -> MusicalFeatures | None:
    """What the model embeds of a few new tokens, by the state that the cache keeps; it costs the same however
    long the piece is.

    Args:
        cache (`Cache`, *optional*): as for `remember_tokens`.
        model (`MusicGPTModel`): for its `step_tables`.
        ids (`torch.LongTensor` of shape `(batch, past + new)`): what `remember_tokens` gave.
        past_length (`int` or scalar tensor): how many tokens there were.

    Returns:
        `None` where all ids are to be read at once: without a cache, for many tokens, in training, where a
        graph is traced, and with a cache of fixed size, which is there to be compiled.
    """
    if cache is None or cache.layers[0].is_compileable or torch.compiler.is_compiling() or is_tracing(ids):
        return None
    layer = cache.layers[0]
    if layer.musical_state is not None:
        layer.musical_state.rewind(past_length)  # what was cropped is forgotten
    if ids.shape[1] - past_length > STEPS_BACK or (past_length == 0 and torch.is_grad_enabled()):
        return None
    state = layer.musical_state
    if state is None or state.rows != len(ids):
        state = layer.musical_state = FeatureState(model.step_tables, len(ids))
    if state.tokens < past_length:
        state.follow(ids[:, :past_length].cpu().numpy())
    return state.features(state.read_all(ids[:, past_length:].cpu().numpy()), ids.device)


__all__ = [
    "CACHE_NAME",
    "CACHE_NAMES",
    "attach_history",
    "gives_cache",
    "read_steps",
    "refuse_lost_history",
    "remember_tokens",
    "remembers_tokens",
    "state_in",
    "takes_cache",
    "with_cache_as",
]
