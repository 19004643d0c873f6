"""A model from a folder or the Hub that nobody vouches for: nothing of it is believed before it was looked
at.

Of the config only the fields of `MusicGPTConfig` are taken, which check their ranges; of the weights the
safetensors' header is compared with what this config needs before memory is taken for them, and then every
number is looked at. Nothing else in the folder is read.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenization.errors import MusicGPTError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig

    from modeling_musicgpt import MusicGPTForCausalLM

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# No config of ours is larger than 4 kB.
MAX_CONFIG_BYTES = 1 << 20
# What the rules, the prompts and the readers of tokens are written for.
_SPECIAL = ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")
_VOCABULARY = (
    *_SPECIAL,
    "max_voices",
    "token_blocks",
    "lowest_pitch",
    "durations",
    "time_steps",
    "meter_ticks",
    "default_bar_ticks",
)
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class ModelError(MusicGPTError):
    """A folder or a name on the Hub gives no model that can compose."""


def load_model(
    name_or_path: str | os.PathLike | None = None, *, also_gpt2: bool = False, **fields: Any
) -> MusicGPTForCausalLM:
    """Load a MusicGPT model, in evaluation mode on the CPU: for composing, and to train on.

    Args:
        name_or_path (`str` or path, *optional*): a folder that `save_pretrained` wrote, or a name on the Hub;
            the shipped model when not given.
        also_gpt2 (`bool`): take a `GPT2LMHeadModel` over the same tokens, too: the baseline of training.
        fields: of the config, in place of those that were saved.

    Raises:
        ModelError: in one sentence, whatever is wrong: no folder, no config, values out of their range,
            another vocabulary, weights that are missing, damaged, of other shapes or no numbers, or that
            stand in a pickle only.
    """
    from modeling_musicgpt import shipped_checkpoint

    source = str(name_or_path) if name_or_path is not None else str(shipped_checkpoint())
    try:
        _check_source(source)
        config = _read_config(_find(source, CONFIG), source, also_gpt2, fields)
        return _with_weights(config, _find(source, WEIGHTS), source)
    except ModelError:
        raise
    except MemoryError as error:
        raise ModelError(f"The model in {source} does not fit into the memory of this machine.") from error
    except Exception as error:
        # The Hub's client, the strict config and safetensors have errors of their own, some of them derived
        # from Exception alone.
        raise ModelError(
            f"Cannot load a model from {source!r}: {' '.join(str(error).split())[:300]}"
        ) from error


def _check_source(source: str) -> None:
    """Find out what is wrong with a folder before its name is looked up on the Hub."""
    path = Path(source)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise ModelError(
                f"No model in {source}: there is no {CONFIG}; give a folder that save_pretrained wrote."
            )
        if not (path / WEIGHTS).is_file():
            others = sorted(
                p.name for pattern in ("*.bin", "*.pt", "*.ckpt", "*.index.json") for p in path.glob(pattern)
            )
            found = (
                f", only {others[0]}; pickles are never loaded, and of safetensors one file is"
                if others
                else ""
            )
            raise ModelError(
                f"No weights in {source}: there is no {WEIGHTS}{found}. Save it anew with save_pretrained."
            )
    elif path.is_absolute() or source.startswith(".") or path.exists():
        raise ModelError(
            f"No model in {source}: there is no such folder; give one that save_pretrained wrote."
        )


def _find(source: str, name: str) -> Path:
    """A file of the folder, or of the repository of that name on the Hub, fetched if it is not there yet."""
    if (folder := Path(source)).is_dir():
        return folder / name
    from transformers.utils import cached_file

    return Path(cached_file(source, name))


def _read_config(path: Path, source: str, also_gpt2: bool, fields: dict[str, Any]) -> PreTrainedConfig:
    from transformers import GPT2Config

    from modeling_musicgpt import MusicGPTConfig

    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ModelError(f"{CONFIG} in {source} is larger than {MAX_CONFIG_BYTES} bytes, which no config is.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{CONFIG} in {source} is no JSON: {error}.") from error
    kind = data.get("model_type") if isinstance(data, dict) else None
    kinds: dict[Any, Any] = {c.model_type: c for c in (MusicGPTConfig, *([GPT2Config] if also_gpt2 else []))}
    if not isinstance(kind, str) or kind not in kinds:
        raise ModelError(
            f"{source} holds {f'a model of type {str(kind)[:40]!r}' if kind else 'no model'}, not"
            f" {' or '.join(kinds)}."
        )
    dtype = data.get("dtype", data.get("torch_dtype"))
    config = kinds[kind](
        **{name: data[name] for name in inspect.get_annotations(kinds[kind]) if name in data} | fields,
        dtype=dtype if dtype in _DTYPES.values() else None,
    )
    usual = MusicGPTConfig()
    for name in _VOCABULARY if kind == MusicGPTConfig.model_type else _SPECIAL:
        if getattr(config, name) != getattr(usual, name):
            raise ModelError(
                f"The model in {source} has another vocabulary than MusicGPT's: {name} is"
                f" {str(getattr(config, name))[:60]}, not {str(getattr(usual, name))[:60]}."
            )
    return config


def _class_of(config: PreTrainedConfig) -> Any:
    from transformers import GPT2LMHeadModel

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    return MusicGPTForCausalLM if isinstance(config, MusicGPTConfig) else GPT2LMHeadModel


def _with_weights(config: PreTrainedConfig, path: Path, source: str) -> MusicGPTForCausalLM:
    import torch
    from safetensors.torch import load_file

    from modeling_musicgpt import MusicGPTConfig
    from modeling_musicgpt.generation_musicgpt import musical_generation_config

    stored = _check_header(config, path, source)
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"The weights in {source} are damaged: {name} holds values that are no numbers.")
    # shipped weights are stored as float16 and run in float32
    model = _class_of(config)(config).to(config.dtype or stored)
    model.load_state_dict(tensors, strict=False)  # the names were compared
    model.tie_weights()
    if isinstance(config, MusicGPTConfig):
        model.generation_config = musical_generation_config(config)
    return model.eval()


def _check_header(config: PreTrainedConfig, path: Path, source: str) -> torch.dtype:
    """Compare names, shapes and types in the file with what the config needs, without reading a weight;
    returns the type.
    """
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        slices: dict[str, Any] = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
    wanted, tied = _wanted(config)
    if missing := sorted(wanted.keys() - found.keys() - tied):
        raise ModelError(f"The weights in {source} are not whole: {_some(missing)} missing.")
    if strange := sorted(found.keys() - wanted.keys()):
        raise ModelError(
            f"The weights in {source} are not those of its config: it has no place for {_some(strange)}."
        )
    for name, (shape, _) in found.items():
        if shape != wanted[name]:
            raise ModelError(
                f"The weights in {source} are not those of its config: {name} has the shape {shape}, not"
                f" {wanted[name]}."
            )
    types = {kind for _, kind in found.values()}
    if len(types) != 1 or not types <= _DTYPES.keys():
        raise ModelError(
            f"The weights in {source} are of type {', '.join(sorted(types))}; they must all be one of"
            f" {', '.join(_DTYPES)}."
        )
    return getattr(torch, _DTYPES[types.pop()])


def _wanted(config: PreTrainedConfig) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """Names and shapes of the weights of a config, and which of them are others by another name. Takes no
    memory for them.
    """
    import torch

    with torch.device("meta"):
        model = _class_of(config)(config)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, tied


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
