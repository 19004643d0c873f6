# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""The token ids behind a key/value cache, kept in the cache itself.

Metre and voices are derived from all ids since the beginning; a cached step is given only the new ones. So the first layer of
whatever cache is in use remembers the ids, and goes through the same reordering, repeating and selecting as its keys and values.
"""

from __future__ import annotations

from functools import cache

import torch
from transformers.cache_utils import Cache


@cache
def _remembering(layer_class: type) -> type:
    """`layer_class` with `token_ids`, of shape `(batch, length or room)`, beside its keys and values."""

    # One base only: an existing layer can change its class to a subclass of the same memory layout.
    class TokenRememberingLayer(layer_class):
        _layer_type = None  # else transformers would register this class in place of its parent
        token_ids: torch.Tensor | None = None
        remembers_tokens = True

        def reset(self) -> None:
            super().reset()
            self.token_ids = None

        def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
            super().reorder_cache(beam_idx)
            if self.token_ids is not None:
                self.token_ids = self.token_ids.index_select(0, beam_idx.to(self.token_ids.device))

        def batch_repeat_interleave(self, repeats: int) -> None:
            super().batch_repeat_interleave(repeats)
            if self.token_ids is not None:
                self.token_ids = self.token_ids.repeat_interleave(repeats, dim=0)

        def batch_select_indices(self, indices: torch.Tensor) -> None:
            super().batch_select_indices(indices)
            if self.token_ids is not None:
                self.token_ids = self.token_ids[indices]

    return TokenRememberingLayer


def remembers_tokens(cache: Cache) -> bool:
    """Whether the first layer of `cache` keeps the token ids."""
    return bool(cache.layers) and getattr(cache.layers[0], "remembers_tokens", False)


def attach_history(cache: Cache) -> None:
    """Make the first layer of `cache` remember token ids. Done once, before its first update and outside any compiled graph."""
    layer = cache.layers[0] if cache.layers else None
    if layer is None and getattr(cache, "layer_class_to_replicate", None) is not None:
        layer = cache.layer_class_to_replicate()
        cache.layers.append(layer)
    if not getattr(layer, "remembers_tokens", False):
        layer.__class__ = _remembering(type(layer))


def remember_tokens(
    cache: Cache | None, ids: torch.Tensor, places: torch.Tensor, past_length: int | torch.Tensor, pad_token_id: int
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
                f"past_key_values holds {past_length} tokens but not their ids, without which metre and voices are unknown: "
                "pass the cache that this model returned."
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


__all__ = ["attach_history", "remember_tokens", "remembers_tokens"]
