# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""What fast decoding takes from a model: its weights in one array, its sizes, and its tables of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from .configuration_musicgpt import MusicGPTConfig
from .fast_compiler import converts_halves, pack
from .fast_draft import NUM_TABLES, TABLE_SIZE
from .fast_forward import KEY_BLOCK, Model, Work
from .fast_imitation import NUM_FIELDS
from .fast_loop import GUESSES, PROMPT_PART, Rows
from .fast_music import BAR_TICKS, BAR_TICKS_BEFORE, LONGEST, MAX_VOICES, STATE_SIZE
from .imitation_musicgpt import NUM_SCORES
from .musical_state_musicgpt import (
    INTERVAL_MAX,
    NUM_BAR_POSITIONS,
    NUM_ELAPSED,
    NUM_INTERVALS,
    NUM_REMAINING,
    num_wishes,
)


class Packed:
    """A `struct` with the arrays that it points to, which it keeps alive.

    Attributes:
        arrays (`dict[str, numpy.ndarray]`): by field.
        pointer (`int`): to pass to a compiled function.
    """

    def __init__(self, cls: type, **values: np.ndarray | int):
        self.arrays = values
        self._packed = pack(cls, **values)
        self.pointer = self._packed.ctypes.data

    def __getattr__(self, name: str) -> np.ndarray:
        return self.__dict__["arrays"][name]


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _matrix(weight: torch.Tensor) -> tuple[torch.Tensor]:
    """A weight `(out, in)` with rows of zeros to a multiple of 4 and columns to one of 16, as `fast_forward.product` reads it."""
    rows, columns = weight.shape
    if rows % 4 == 0 and columns % 16 == 0:
        return (weight,)
    return (nn.functional.pad(weight, (0, _up(columns, 16) - columns, 0, _up(rows, 4) - rows)),)


def _parts(model) -> list[torch.Tensor | tuple[torch.Tensor, ...]]:
    """All weights in the order of the names of places in `fast_forward`; zeros stand for what the configuration leaves out.

    Matrices are tuples, of those that are read as one.
    """
    config, base = model.config, model.model
    musical, hidden = base.musical_embedding, config.hidden_size

    def table(name: str, rows: int, width: int = hidden) -> torch.Tensor:
        return getattr(musical, name).weight if hasattr(musical, name) else torch.zeros(rows, width)

    rotary = base.rotary_emb
    pitches, remainings, elapseds = _voice_channels(model)
    zeros = torch.zeros(hidden, config.max_voices * (pitches + remainings + elapseds))
    frequencies = [
        rotary._angles(torch.ones(1, 1), pairs, lengths)[0, 0] for pairs, lengths in _rotary_parts(rotary) if pairs
    ]
    still = torch.zeros(rotary.pairs - rotary.token_pairs - rotary.tick_pairs)
    parts = [
        base.embed_tokens.weight,
        table("bar_position", NUM_BAR_POSITIONS),
        table("bar", config.bar_period),
        table("voice_pitch", config.token_blocks["NOTE"][1] + 1, pitches),
        table("voice_remaining", NUM_REMAINING, remainings),
        table("voice_elapsed", NUM_ELAPSED, elapseds),
        _matrix(musical.voice_proj.weight if config.voice_encoding else zeros),
        table("interval", NUM_INTERVALS),
        table("motif", 1),
        table("wish", num_wishes(config) + 1),
        torch.cat((*frequencies, still)),
        base.norm.weight,
        base.norm.bias,
        _matrix(model.lm_head.weight),
        _matrix(model.melodic_head.proj.weight) if hasattr(model, "melodic_head") else (),
        *_imitation_parts(model),
    ]
    for layer in base.layers:
        attention, norms = layer.self_attn, (layer.input_layernorm, layer.post_attention_layernorm)
        qkv = (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        parts += [norms[0].weight, norms[0].bias, qkv, (attention.o_proj.weight,), norms[1].weight, norms[1].bias]
        parts += [(layer.mlp.up_proj.weight,), (layer.mlp.down_proj.weight,)]
    return parts


def _imitation_parts(model) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Weight and bias of the imitation head, with zeros for scores up to a multiple of 4."""
    if not hasattr(model, "imitation_head"):
        return (), torch.zeros(0)
    weight, bias = model.imitation_head.weight_and_bias()
    return _matrix(weight), nn.functional.pad(bias, (0, _up(NUM_SCORES, 4) - NUM_SCORES))


def _rotary_parts(rotary):
    from .modeling_musicgpt import TICK_WAVELENGTHS, TOKEN_WAVELENGTHS

    return (rotary.token_pairs, TOKEN_WAVELENGTHS), (rotary.tick_pairs, TICK_WAVELENGTHS)


def _voice_channels(model) -> tuple[int, int, int]:
    musical = model.model.musical_embedding
    if not model.config.voice_encoding:
        return 16, 16, 16
    return tuple(getattr(musical, f"voice_{name}").embedding_dim for name in ("pitch", "remaining", "elapsed"))


def fits(config: MusicGPTConfig) -> bool:
    """Whether the kernels can run a model of this configuration."""
    return (
        config.is_musical
        and config.bos_token_id is not None
        and config.hidden_act == "gelu"
        and config.head_dim % 16 == 0
        and config.hidden_size % 16 == 0
        and config.intermediate_size % 16 == 0
        and config.max_voices <= MAX_VOICES
        and max(*config.durations, *config.time_steps) < LONGEST
    )


def _meanings(model) -> tuple[np.ndarray, np.ndarray]:
    """What each token means, `(vocab + 1, 8)`, and the tokens of each voice, duration and step, `(3, ticks)`."""
    config, tracker = model.config, model.model.musical_state
    names = ("step", "pitch", "duration", "bar_length", "voice", "is_time", "wish", "wish_kind")
    table = torch.stack([getattr(tracker, name).long() for name in names], dim=1).numpy()
    first = {name: block[0] for name, block in config.token_blocks.items()}
    token_of = np.zeros((3, LONGEST), dtype=np.int64)
    token_of[0, :2] = first["VOICE"], first["NOTE"]
    for row, name, ticks in ((1, "DUR", config.durations), (2, "TIME", config.time_steps)):
        nearest = np.abs(np.arange(LONGEST)[:, None] - np.asarray(ticks)).argmin(axis=1)
        token_of[row] = first[name] + nearest
    return np.ascontiguousarray(table, dtype=np.int64), token_of


class _Weights(NamedTuple):
    """The weights of a model as they were when it was last asked: tables first, then matrices."""

    at: np.ndarray
    first_matrix: int
    floats: torch.Tensor  # the tables, and the matrices if float16 would lose something
    halves: torch.Tensor  # the matrices, else empty

    def hold(self, place: int, part: torch.Tensor) -> bool:
        """Whether `part` is what stands at `place`."""
        if place < self.first_matrix or not len(self.halves):
            return torch.equal(self.floats[place : place + part.numel()].view(part.shape), part)
        place -= self.first_matrix
        return torch.equal(self.halves[place : place + part.numel()].view(part.shape).float(), part)


_kept: WeakKeyDictionary[nn.Module, _Weights] = WeakKeyDictionary()


@torch.no_grad()
def _weights_of(model) -> _Weights:
    """All weights, compared one by one with those of the last call, so that no way of changing them is missed.

    Where float16 holds every matrix exactly, as with the shipped weights, the kernels read them so, which takes half the time.
    """
    parts = _parts(model)
    groups = [part if isinstance(part, tuple) else (part,) for part in parts]
    order = sorted(range(len(parts)), key=lambda i: isinstance(parts[i], tuple))  # stable: each kind stays in the order of reading
    sizes = np.array([_up(sum(part.numel() for part in group), 16) for group in groups])
    at = np.zeros(len(parts), dtype=np.int64)
    at[order] = np.cumsum([0, *sizes[order]])[:-1]
    first_matrix = int(min(at[i] for i in order if isinstance(parts[i], tuple)))
    kept = _kept.get(model)
    if kept is None or not np.array_equal(kept.at, at) or not all(kept.hold(*one) for one in _each(at, groups)):
        total, none = int(sizes.sum()), torch.zeros(0, dtype=torch.float16)
        matrices = [part for group in parts if isinstance(group, tuple) for part in group]
        if converts_halves() and all(torch.equal(part.half().float(), part) for part in matrices):
            kept = _Weights(at, first_matrix, torch.zeros(first_matrix), torch.zeros(total - first_matrix, dtype=torch.float16))
        else:
            kept = _Weights(at, first_matrix, torch.zeros(total), none)
        for place, part in _each(at, groups):
            target, place = (kept.floats, place) if place < len(kept.floats) else (kept.halves, place - first_matrix)
            target[place : place + part.numel()] = part.reshape(-1)
        _kept[model] = kept
    return kept


def _each(at, groups) -> Iterator[tuple[int, torch.Tensor]]:
    for place, group in zip(at.tolist(), groups, strict=True):
        for part in group:
            yield place, part
            place += part.numel()


def model_of(model, rows: int, max_length: int) -> Packed:
    """What the kernels must know of a model.

    Args:
        model (`MusicGPTForCausalLM`): in float32 on the CPU, of a configuration that `fits`.
        rows (`int`): of the batch.
        max_length (`int`): tokens for which a cache will have room.
    """
    config, weights = model.config, _weights_of(model)
    rotary, channels = model.model.rotary_emb, _voice_channels(model)
    head = getattr(model, "melodic_head", None)
    size = np.array(
        [
            config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.num_attention_heads, config.head_dim,
            config.vocab_size, _up(config.vocab_size, 4), config.max_voices, rotary.token_pairs, rotary.tick_pairs, config.bar_period,
            *channels, _up(config.max_voices * sum(channels), 16), 0 if head is None else _up(head.proj.out_features, 4),
            2 * INTERVAL_MAX + 1, *config.token_blocks["NOTE"], _up(max_length, KEY_BLOCK), config.num_motifs, config.bos_token_id,
            _silent_token(config), config.default_bar_ticks, rows,
            len(weights.halves) > 0, weights.first_matrix, _up(NUM_SCORES, 4) if hasattr(model, "imitation_head") else 0,
            *config.token_blocks["DUR"], config.token_blocks["TIME"][0], config.lowest_pitch,
        ],
        dtype=np.int64,
    )  # fmt: skip
    table, token_of = _meanings(model)
    epsilon = np.array([config.layer_norm_eps], dtype=np.float32)
    halves = weights.halves.view(torch.int16).numpy()
    return Packed(Model, w=weights.floats.numpy(), halves=halves, at=weights.at, size=size, epsilon=epsilon, table=table, token_of=token_of)


def _silent_token(config: MusicGPTConfig) -> int:
    """`<pad>`, which does not move the grammar, unless it is `<eos>` too."""
    eos = config.eos_token_id
    eos = eos[0] if isinstance(eos, (list, tuple)) and eos else eos
    return -1 if config.pad_token_id is None or config.pad_token_id == eos else config.pad_token_id


def _ints(*shape: int) -> np.ndarray:
    return np.zeros(shape, dtype=np.int64)


def _floats(count: int) -> np.ndarray:
    return np.zeros(count, dtype=np.float32)


def work_for(model, rows: int, max_length: int) -> Packed:
    """Working memory for a batch. The system zeroes caches where they are first touched: room that is not used costs nothing."""
    config = model.config
    room, hidden = _up(max_length, KEY_BLOCK), config.hidden_size
    tokens = max(rows * (GUESSES + 1), PROMPT_PART) + 4
    widest = max(_up(config.max_voices * sum(_voice_channels(model)), 16), hidden)
    cache = config.num_hidden_layers * rows * room * hidden
    return Packed(
        Work, states=_ints(tokens, STATE_SIZE), positions=_ints(tokens), rows=_ints(rows), firsts=_ints(rows), counts=_ints(rows),
        keys=_floats(cache), values=_floats(cache), wide=_floats(tokens * max(3 * hidden, config.intermediate_size)),
        h=_floats(tokens * hidden), x=_floats(tokens * widest), y=_floats(tokens * hidden), angles=_floats(tokens * config.head_dim),
        p=_floats(4 * room), logits=_floats(tokens * _up(config.vocab_size, 4)),
        melodic=_floats(config.max_voices * (2 * INTERVAL_MAX + 1) + 4),
        expected=_ints(2 * config.max_voices + 4), imitation=_floats(_up(NUM_SCORES, 4)),
        tile=_floats(4 * max(config.intermediate_size, widest)),
    )  # fmt: skip


_BY_ROWS = ("ids", "length", "cached", "done", "state", "notes", "memory", "seen")


def rows_for(model, rows: int, max_length: int) -> Packed:
    """A batch of empty rows."""
    config = model.config
    # A note takes a NOTE and a VOICE at least.
    note_room = max_length // 2 + 1 if hasattr(model, "imitation_head") else 0
    state = _ints(rows, STATE_SIZE)
    state[:, BAR_TICKS] = state[:, BAR_TICKS_BEFORE] = config.default_bar_ticks
    return Packed(
        Rows, ids=_ints(rows, max_length), room=max_length, length=_ints(rows), cached=_ints(rows), done=np.zeros(rows, dtype=np.bool_),
        state=state, notes=_ints(rows, NUM_FIELDS, note_room), note_room=note_room, memory=np.zeros((rows, NUM_TABLES, TABLE_SIZE), dtype=np.int32),
        seen=np.zeros((rows, config.vocab_size), dtype=np.bool_), scores=_floats(config.vocab_size),
        sorted_scores=_floats(config.vocab_size), places=_ints(max(config.vocab_size, 2 * config.token_blocks["NOTE"][1])), allowed=np.zeros(config.vocab_size, dtype=np.bool_),
        statistics=_ints(2), noise_rows=rows,
    )  # fmt: skip


def some_rows(batch: Packed, first: int, count: int) -> Packed:
    """Rows `first` to `first + count` of a batch: its own memory where that goes by rows, another of the same size where it does not."""
    arrays = {name: array[first : first + count] if name in _BY_ROWS else array for name, array in batch.arrays.items()}
    for name in ("scores", "sorted_scores", "places", "allowed", "statistics"):
        arrays[name] = np.zeros_like(arrays[name])
    return Packed(Rows, **arrays)


__all__ = ["Packed", "fits", "model_of", "rows_for", "some_rows", "work_for"]
