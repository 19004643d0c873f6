"""The network of a run: built new, or begun from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenization.vocabulary import BOS_ID, EOS_ID, PAD_ID, VOCAB_SIZE

from .arguments import ModelArguments
from .errors import TrainingError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# A GPT-2 of MusicGPT's size: 4 layers, 256 wide, 4,096 learned positions, 4.25 million parameters. No dropout
# on the attention weights, as in MusicGPT: with it torch has no fused attention on a CPU, and the baseline
# would be three times slower than it need be.
GPT2_SIZE = {"n_layer": 4, "n_embd": 256, "n_head": 8, "n_positions": 4096, "attn_pdrop": 0.0}


def build_model(arguments: ModelArguments, seed: int) -> PreTrainedModel:
    """The model, its weights drawn with `seed` or read from `init_from`.

    Raises:
        TrainingError: if a field of the config is unknown or wrong, or the checkpoint cannot be read.
    """
    import torch

    torch.manual_seed(seed)
    dropout = _dropout_fields(arguments)
    if arguments.init_from is not None:
        model = load_model(arguments.init_from, **dropout)
    else:
        model = _new_model(arguments, {**dropout, **arguments.config_overrides})
    if arguments.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    model.train()
    return model


def _dropout_fields(arguments: ModelArguments) -> dict[str, float]:
    if arguments.dropout is None:
        return {}
    names = ("hidden_dropout",) if arguments.model == "musicgpt" else ("resid_pdrop", "embd_pdrop")
    return dict.fromkeys(names, arguments.dropout)


def _new_model(arguments: ModelArguments, fields: dict[str, Any]) -> PreTrainedModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    config_class: Any
    model_class: Any
    config_class, model_class = (
        (MusicGPTConfig, MusicGPTForCausalLM)
        if arguments.model == "musicgpt"
        else (GPT2Config, GPT2LMHeadModel)
    )
    known: dict[str, Any] = vars(config_class())
    unknown = [
        name
        for name in fields
        if name not in known and name not in getattr(config_class, "attribute_map", {})
    ]
    if unknown:
        raise TrainingError(
            f"The config of {arguments.model} has no field {unknown[0]!r} (--config_overrides)."
        )
    if arguments.model == "gpt2":
        ids = {"bos_token_id": BOS_ID, "eos_token_id": EOS_ID, "pad_token_id": PAD_ID}
        fields = {"vocab_size": VOCAB_SIZE, **ids, **GPT2_SIZE, **fields}
    try:
        return model_class(config_class(**fields))
    except Exception as error:
        # huggingface_hub's strict dataclasses have errors of their own, derived from Exception.
        hub = type(error).__module__.startswith("huggingface_hub")
        if not hub and not isinstance(error, (TypeError, ValueError)):
            raise
        raise TrainingError(
            f"The model cannot be built with {fields}: {' '.join(str(error).split())}."
        ) from error


def load_model(name: str, **fields: Any) -> PreTrainedModel:
    """A causal language model over the 150 tokens, in fp32: a folder, a run's folder, a Hub id, or `shipped`.

    Read as the composer reads one that nobody vouches for (`musicgpt/loading.py`).

    Args:
        name (`str`): where it is.
        fields: of the config, in place of those that were saved.

    Raises:
        MusicGPTError: if it cannot be read, holds no numbers or has another vocabulary.
    """
    from musicgpt import loading

    place = resolve(name)
    # A Hub id is NAME or USER/NAME; everything else was meant as a path.
    if not Path(place).is_dir() and (place.startswith((".", "/", "~")) or place.count("/") > 1):
        raise TrainingError(
            f"There is no checkpoint {name!r}: give a folder, a run's folder, a Hub id, or `shipped`."
        )
    # fp32 whatever the file holds: the optimiser's small steps would be lost in bf16.
    return loading.load_model(place, also_gpt2=True, **fields).float()


def resolve(name: str) -> str:
    """Where a model's files are: `shipped`, a folder with a config, or a run's folder (its best model, else
    its last checkpoint).
    """
    if name == "shipped":
        from modeling_musicgpt import shipped_checkpoint

        return str(shipped_checkpoint())
    folder = Path(name)
    if not folder.is_dir() or (folder / "config.json").is_file():
        return name
    places = [
        folder / "best-combined",
        folder / "best-loss",
        *sorted((folder / "checkpoints").glob("step-[0-9]*"), reverse=True),
    ]
    found = next((place for place in places if (place / "config.json").is_file()), None)
    if found is None:
        raise TrainingError(f"There is no model in {name}: neither a config.json nor a run's checkpoints.")
    return str(found)


def context_of(name: str, model: PreTrainedModel) -> int:
    """Tokens a validation window: what the model was trained and validated with if its folder says so, else
    all that it can hold.
    """
    import json

    path = Path(resolve(name)) / "training_arguments.json"
    if path.is_file():
        context = json.loads(path.read_text(encoding="utf-8")).get("evaluation", {}).get("context")
        if context:
            return int(context)
    return int(model.config.max_position_embeddings)
