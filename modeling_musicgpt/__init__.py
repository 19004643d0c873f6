"""The MusicGPT model for transformers: configuration, model, grammar and generation.

Importing the package makes `AutoConfig`, `AutoModel` and `AutoModelForCausalLM` know the model. What a
generating program does not always need is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from .checkpoint_musicgpt import shipped_checkpoint
from .configuration_musicgpt import MusicGPTConfig
from .modeling_musicgpt import MusicGPTForCausalLM, MusicGPTModel, MusicGPTPreTrainedModel

AutoConfig.register("musicgpt", MusicGPTConfig, exist_ok=True)
AutoModel.register(MusicGPTConfig, MusicGPTModel, exist_ok=True)
AutoModelForCausalLM.register(MusicGPTConfig, MusicGPTForCausalLM, exist_ok=True)

_HOMES = {
    "Grammar": "grammar_musicgpt",
    "GrammarLogitsProcessor": "grammar_musicgpt",
    "musical_generation_config": "generation_musicgpt",
    "NoteStreamer": "streaming_musicgpt",
    "StopOnEvent": "streaming_musicgpt",
    "StreamedNote": "streaming_musicgpt",
    "stream_notes": "streaming_musicgpt",
}
__all__ = [
    "MusicGPTConfig",
    "MusicGPTForCausalLM",
    "MusicGPTModel",
    "MusicGPTPreTrainedModel",
    "shipped_checkpoint",
    *_HOMES,
]

if TYPE_CHECKING:
    from .generation_musicgpt import musical_generation_config
    from .grammar_musicgpt import Grammar, GrammarLogitsProcessor
    from .streaming_musicgpt import NoteStreamer, StopOnEvent, StreamedNote, stream_notes


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
