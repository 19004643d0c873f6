"""What the engine takes from a model: its weights as the kernels read them, its sizes, and its tables of
tokens, all of them checked.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from .library import EngineError, Library, Struct, code_of

# Sizes beyond these are no model of ours: memory and times stay within 64 bits with much to spare.
_MOST = {
    "vocab_size": 1 << 16,
    "hidden_size": 1 << 13,
    "intermediate_size": 1 << 15,
    "num_hidden_layers": 128,
    "num_attention_heads": 1 << 9,
    "num_motifs": 1 << 22,
    "bar_period": 1 << 16,
    "default_bar_ticks": 1 << 16,
    "lowest_pitch": 127,
}
_MAY_BE_0 = ("num_motifs", "lowest_pitch")
_BLOCK = 16  # outputs in a block of a weight, `BLOCK` in `engine.hpp`


def package_of(model: Any) -> str:
    """The package that the model's class comes from: the installed one, or one that was loaded from a folder
    or the Hub.
    """
    return type(model).__module__.rpartition(".")[0]


def check(model: Any, library: Library) -> None:
    """Whether the kernels can run a model of this configuration, with weights of these shapes.

    Raises:
        EngineError: with what does not fit.
    """
    config = model.config
    for name, most in (*_MOST.items(), ("max_voices", library.sizes["MAX_VOICES"])):
        value = getattr(config, name)
        if not isinstance(value, int) or not (0 if name in _MAY_BE_0 else 1) <= value <= most:
            raise EngineError(f"the configuration has {name}={value}")
    try:
        config.validate()  # blocks, tables and heads fit each other, also where a field was changed later
    except Exception as error:  # huggingface_hub has errors of its own, derived from Exception
        raise EngineError(f"the configuration is not valid: {' '.join(str(error).split())}") from error
    code = code_of(package_of(model), "grammar_musicgpt")
    if not code.has_grammar(config) or config.hidden_act != "gelu":
        raise EngineError("the configuration is not one of a musical model with GELU and a <bos>")
    if config.relative_attention == "learned":
        raise EngineError("the configuration has relative_attention='learned', which the kernels do not know")
    for name in ("head_dim", "intermediate_size"):
        if getattr(config, name) % _BLOCK:
            raise EngineError(
                f"the configuration has {name}={getattr(config, name)}, not a multiple of {_BLOCK}"
            )
    if max(*config.durations, *config.time_steps) >= library.sizes["LONGEST"]:
        raise EngineError("the configuration has durations or steps that the engine has no room for")


# What a configuration can leave out.
_OPTIONAL = (
    "bar_positions",
    "bars",
    "voice_pitches",
    "voice_remainings",
    "voice_elapseds",
    "voice_proj",
    "intervals",
    "motifs",
    "wishes",
    "melodic",
    "imitation",
    "imitation_bias",
)


class _Weight(NamedTuple):
    """A weight as it must be: its shape, and whether it is a matrix, which is stored in blocks, in float16
    where that loses nothing.
    """

    name: str
    tensors: list[torch.Tensor]
    shape: tuple[int, ...]
    is_matrix: bool


def _weights(model: Any) -> list[_Weight]:
    """All weights with the shapes that the configuration says, those of layers as `<number>.<name>`. What it
    leaves out is missing.

    Raises:
        EngineError: if a weight is another.
    """
    config, base = model.config, model.model
    if len(base.layers) < config.num_hidden_layers:
        raise EngineError(
            f"the model has {len(base.layers)} layers, its configuration {config.num_hidden_layers}"
        )
    weights = [*_of_embeddings(model), *_of_heads(model)]
    for number, layer in enumerate(base.layers[: config.num_hidden_layers]):
        weights += _of_layer(layer, number, config)
    for name, tensors, shape, _ in weights:
        found = (sum(t.shape[0] for t in tensors), *tensors[0].shape[1:])
        if found != shape or any(t.dtype != torch.float32 or t.device.type != "cpu" for t in tensors):
            raise EngineError(
                f"the weight {name} is {found} {tensors[0].dtype} on {tensors[0].device}, not {shape} float32"
                " on the CPU"
            )
    return weights


def _of_embeddings(model: Any) -> list[_Weight]:
    """Those of tokens and of the musical state."""
    config, base, state = model.config, model.model, code_of(package_of(model), "musical_state_musicgpt")
    musical, hidden = base.musical_embedding, config.hidden_size
    channels = code_of(package_of(model), "modeling_musicgpt").VOICE_CHANNELS
    tables = {
        "bar_positions": ("bar_position", state.NUM_BAR_POSITIONS, hidden),
        "bars": ("bar", config.bar_period, hidden),
        "voice_pitches": ("voice_pitch", config.token_blocks["NOTE"][1] + 1, channels[0]),
        "intervals": ("interval", state.NUM_INTERVALS, hidden),
        "voice_remainings": ("voice_remaining", state.NUM_REMAINING, channels[1]),
        "voice_elapseds": ("voice_elapsed", state.NUM_ELAPSED, channels[2]),
        "motifs": ("motif", config.num_motifs + 1, hidden),
        "wishes": ("wish", state.num_wishes(config) + 1, hidden),
    }
    weights = [_Weight("tokens", [base.embed_tokens.weight], (config.vocab_size, hidden), False)]
    for name, (attribute, rows, width) in tables.items():
        if hasattr(musical, attribute):
            weights.append(_Weight(name, [getattr(musical, attribute).weight], (rows, width), False))
    if hasattr(musical, "voice_proj"):
        shape = (hidden, config.max_voices * sum(channels))
        weights.append(_Weight("voice_proj", [musical.voice_proj.weight], shape, True))
    return weights


def _of_heads(model: Any) -> list[_Weight]:
    """Those behind the layers."""
    config, norm, hidden = model.config, model.model.norm, model.config.hidden_size
    weights = [
        _Weight("norm", [norm.weight], (hidden,), False),
        _Weight("bias", [norm.bias], (hidden,), False),
        _Weight("head", [model.lm_head.weight], (config.vocab_size, hidden), True),
    ]
    if hasattr(model, "melodic_head"):
        reach = code_of(package_of(model), "musical_state_musicgpt").INTERVAL_MAX
        shape = (config.max_voices * (2 * reach + 1), hidden)
        weights.append(_Weight("melodic", [model.melodic_head.proj.weight], shape, True))
    if hasattr(model, "imitation_head"):
        scores = code_of(package_of(model), "imitation_musicgpt").NUM_SCORES
        weight, bias = model.imitation_head.weight_and_bias()
        weights += [
            _Weight("imitation", [weight], (scores, hidden), True),
            _Weight("imitation_bias", [bias], (scores,), False),
        ]
    return weights


def _of_layer(layer: Any, number: int, config: Any) -> list[_Weight]:
    """Those of one layer."""
    attention, hidden, inner = layer.self_attn, config.hidden_size, config.intermediate_size
    weights = []
    for name, part in (("norm1", layer.input_layernorm), ("norm2", layer.post_attention_layernorm)):
        weights.append(_Weight(f"{number}.{name}", [part.weight], (hidden,), False))
        weights.append(_Weight(f"{number}.bias{name[-1]}", [part.bias], (hidden,), False))
    qkv = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
    for name, parts, rows, width in (
        ("qkv", qkv, 3 * hidden, hidden),
        ("out", [attention.o_proj.weight], hidden, hidden),
        ("up", [layer.mlp.up_proj.weight], inner, hidden),
        ("down", [layer.mlp.down_proj.weight], hidden, inner),
    ):
        weights.append(_Weight(f"{number}.{name}", parts, (rows, width), True))
    return weights


class _Kept(NamedTuple):
    """The weights of a model as they were when it was last asked."""

    originals: list[torch.Tensor]  # one for each weight; matrices in float16 where that loses nothing
    arrays: dict[str, np.ndarray]  # as the kernels read them
    half: bool

    def hold(self, weights: list[_Weight], library: Library) -> bool:
        """Whether these are the same: names, shapes, values."""
        if list(self.arrays) != [w.name for w in weights]:
            return False
        return all(_same(kept, w, library) for kept, w in zip(self.originals, weights, strict=True))


def _same(kept: torch.Tensor, weight: _Weight, library: Library) -> bool:
    if kept.shape != weight.shape:
        return False
    now = [t.contiguous() for t in weight.tensors]
    parts, half = kept.split([len(t) for t in now]), kept.dtype == torch.float16
    return all(
        library.is_same(t.data_ptr(), part.data_ptr(), half, t.numel())
        for part, t in zip(parts, now, strict=True)
    )


_kept: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()


@torch.no_grad()
def _kept_weights(model: Any, library: Library) -> _Kept:
    """All weights, compared one by one with those of the last call, so that no way of changing them is
    missed.
    """
    weights = _weights(model)
    kept = _kept.get(model)
    if kept is not None and kept.hold(weights, library):
        return kept
    matrices = [t for w in weights if w.is_matrix for t in w.tensors]
    half = all(torch.equal(t.half().float(), t) and bool(t.isfinite().all()) for t in matrices)
    originals, arrays = [], {}
    for weight in weights:
        whole = torch.cat([t.detach() for t in weight.tensors]).clone()
        if weight.is_matrix and half:
            whole = whole.half()
        originals.append(whole)
        arrays[weight.name] = _blocks(whole) if weight.is_matrix else whole.contiguous().numpy()
    _kept[model] = kept = _Kept(originals, arrays, half)
    return kept


def _up(number: int) -> int:
    return -(-number // _BLOCK) * _BLOCK


def _blocks(matrix: torch.Tensor) -> np.ndarray:
    """`(out, in)` -> `(out / 16, in, 16)`, filled up with zeros, as `product` in `kernels.hpp` reads it;
    float16 as its bits.
    """
    rows, width = matrix.shape
    padded = nn.functional.pad(matrix, (0, _up(width) - width, 0, _up(rows) - rows))
    blocks = padded.view(-1, _BLOCK, _up(width)).transpose(1, 2).contiguous()
    return (
        blocks.view(torch.int16).numpy().view(np.uint16) if matrix.dtype == torch.float16 else blocks.numpy()
    )


def _meanings(model: Any, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """What each token means, `(vocab + 1, 8)`, and the tokens of each voice, duration and step, `(3,
    longest)`.
    """
    config = model.config
    names = ("step", "pitch", "duration", "bar_length", "voice", "is_time", "wish", "wish_kind")
    # from the configuration, which was checked: the buffers of a model can be changed
    made = model.model.musical_state.tables()
    table = torch.stack([made[name].long() for name in names], dim=1).numpy()
    first = {name: block[0] for name, block in config.token_blocks.items()}
    token_of = np.zeros((3, longest), dtype=np.int64)
    token_of[0, :2] = first["VOICE"], first["NOTE"]
    for row, name, ticks in ((1, "DUR", config.durations), (2, "TIME", config.time_steps)):
        token_of[row] = first[name] + np.abs(np.arange(longest)[:, None] - np.asarray(ticks)).argmin(axis=1)
    return np.ascontiguousarray(table), token_of


def silent_token(config: Any) -> int:
    """`<pad>`, which does not move the grammar, unless it is `<eos>` too."""
    eos = config.eos_token_id
    eos = eos[0] if isinstance(eos, (list, tuple)) and eos else eos
    return -1 if config.pad_token_id is None or config.pad_token_id == eos else config.pad_token_id


def model_struct(model: Any, library: Library) -> Struct:
    """What the kernels must know of a model.

    Args:
        model (`MusicGPTForCausalLM`): in float32 on the CPU.
        library (`Library`): the engine's.

    Raises:
        EngineError: if configuration or weights are not what the kernels take.
    """
    check(model, library)
    config, kept = model.config, _kept_weights(model, library)
    arrays = dict(kept.arrays)
    fields = ("norm1", "bias1", "qkv", "out", "norm2", "bias2", "up", "down")
    layers = [
        library.struct("Layer", **{name: arrays.pop(f"{i}.{name}") for name in fields})
        for i in range(config.num_hidden_layers)
    ]
    missing = {name: None for name in _OPTIONAL if name not in arrays}
    channels = code_of(package_of(model), "modeling_musicgpt").VOICE_CHANNELS
    meanings, token_of = _meanings(model, library.sizes["LONGEST"])
    first, scales = config.token_blocks, config.logit_scales()
    struct = library.struct(
        "Model",
        **arrays,
        **missing,
        frequencies=model.model.rotary_emb.frequencies(torch.device("cpu")).contiguous().numpy(),
        logit_scales=None if scales is None else np.asarray(scales, dtype=np.float32),
        layers=np.concatenate([layer.words for layer in layers]),
        meanings=meanings,
        token_of=token_of,
        half=kept.half,
        epsilon=config.layer_norm_eps,
        hidden=config.hidden_size,
        inner=config.intermediate_size,
        num_layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        dim=config.head_dim,
        vocab=config.vocab_size,
        voices=config.max_voices,
        token_pairs=model.model.rotary_emb.token_pairs,
        bar_period=config.bar_period,
        pitch_channels=channels[0],
        remaining_channels=channels[1],
        elapsed_channels=channels[2],
        voice_input=_up(config.max_voices * sum(channels)),
        num_motifs=config.num_motifs,
        bos=config.bos_token_id,
        silent=silent_token(config),
        bar_ticks=config.default_bar_ticks,
        first_note=first["NOTE"][0],
        num_notes=first["NOTE"][1],
        first_duration=first["DUR"][0],
        num_durations=first["DUR"][1],
        first_time=first["TIME"][0],
        lowest_pitch=config.lowest_pitch,
    )
    struct.__dict__["kept"] = kept, layers  # their memory is pointed to
    return struct
