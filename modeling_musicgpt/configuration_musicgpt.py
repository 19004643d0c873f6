# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""MusicGPT model configuration: sizes, and what the model must know of the vocabulary."""

from __future__ import annotations

import sys
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

# The maps that LoRA adapts unless `target_modules` names others: all of every block, as Dettmers et al. 2023 (QLoRA) found to be needed.
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")

# What each id means, as (first id, number of ids); `tokenization/vocabulary.py` is the source and a test holds both together.
_TOKEN_BLOCKS = {
    "MODE": (4, 2),
    "FORM": (6, 2),
    "METER": (8, 12),
    "VOICES": (20, 4),
    "TEMPO": (24, 3),
    "NOTE": (27, 64),
    "VOICE": (91, 5),
    "DUR": (96, 32),
    "TIME": (128, 22),
}
_DURATIONS = (
    2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 24, 27, 30, 32, 36, 40, 42, 48, 54, 56, 60, 66, 72, 78, 84, 96, 108, 120, 144, 156, 168, 192,
)  # fmt: skip
_TIME_STEPS = (0, 1, 2, 3, 4, 6, 8, 9, 12, 15, 18, 24, 27, 30, 32, 36, 42, 48, 54, 60, 72, 96)
_METER_TICKS = (48, 72, 96, 96, 144, 144, 36, 72, 108, 144, 36, 72)


@strict
class MusicGPTConfig(PreTrainedConfig):
    r"""
    Configuration of a [`MusicGPTModel`]. The defaults give the shipped architecture with 4.3 million parameters.

    Args:
        vocab_size (`int`, *optional*, defaults to 150): number of tokens. With fewer than the musical vocabulary needs the model runs as
            a plain transformer: it derives no metre, no voices and no grammar.
        hidden_size (`int`, *optional*, defaults to 256): width of the residual stream.
        intermediate_size (`int`, *optional*, defaults to 1024): width of the feed-forward layers.
        num_hidden_layers (`int`, *optional*, defaults to 4): number of blocks.
        num_attention_heads (`int`, *optional*, defaults to 8): number of attention heads.
        hidden_act (`str`, *optional*, defaults to `"gelu"`): activation of the feed-forward layers.
        max_position_embeddings (`int`, *optional*, defaults to 4096): longest sequence, in tokens, that the model was made for.
        hidden_dropout (`float`, *optional*, defaults to 0.1): dropout on the embeddings and on what each sub-layer adds.
        attention_dropout (`float`, *optional*, defaults to 0.0): dropout on the attention weights.
        initializer_range (`float`, *optional*, defaults to 0.02): standard deviation of the initial weights.
        layer_norm_eps (`float`, *optional*, defaults to 1e-05): epsilon of the layer norms.
        relative_attention (`str`, *optional*, defaults to `"time_and_token"`): what the rotary position encoding measures: `"time"` (ticks),
            `"token"` (places in the sequence), `"time_and_token"` (a part of each head's channels for each) or `"none"`.
        bar_encoding (`str`, *optional*, defaults to `"position"`): what is embedded of the metrical state: `"position"` (tick in the bar), `"bar"` (index
            of the bar modulo `bar_period`), `"both"` or `"none"`.
        bar_period (`int`, *optional*, defaults to 32): bars after which the bar index begins again.
        voice_encoding (`bool`, *optional*, defaults to `True`): embed, at every token, each voice's last pitch, how long ago it began and
            when it ends, and the melodic interval at each VOICE token.
        prefix_encoding (`bool`, *optional*, defaults to `True`): embed, at every token, what the prefix asks for: MODE, FORM, VOICES and TEMPO.
        num_motifs (`int`, *optional*, defaults to 3571): rows of the table of motifs, the hashed last intervals and durations of a voice; 0 for none.
        melodic_head (`bool`, *optional*, defaults to `True`): add to the logits of NOTE a term for the interval from each voice's last pitch.
        imitation_head (`bool`, *optional*, defaults to `True`): add to the logits of NOTE, DUR and TIME a term for what imitation leads one to expect.
        max_voices (`int`, *optional*, defaults to 5): number of VOICE tokens.
        token_blocks (`dict[str, tuple[int, int]]`, *optional*): first id and number of ids of every block of the vocabulary.
        lowest_pitch (`int`, *optional*, defaults to 28): MIDI pitch of the first NOTE token.
        durations, time_steps, meter_ticks (`tuple[int, ...]`, *optional*): ticks (24 a quarter note) of each DUR and TIME token, and of the bar of
            each METER token.
        default_bar_ticks (`int`, *optional*, defaults to 96): length of the bar while no METER token was seen (4/4).

    ```python
    >>> from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    >>> model = MusicGPTForCausalLM(MusicGPTConfig())
    >>> model.num_parameters() > 4_000_000
    True

    ```"""

    model_type = "musicgpt"
    keys_to_ignore_at_inference = ["past_key_values", "cache"]  # one thing under its names in different versions of transformers

    vocab_size: int = 150
    hidden_size: int = 256
    intermediate_size: int = 1024
    num_hidden_layers: int = 4
    num_attention_heads: int = 8
    hidden_act: str = "gelu"
    max_position_embeddings: int = 4096
    hidden_dropout: float | int = 0.1
    attention_dropout: float | int = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-5
    use_cache: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    tie_word_embeddings: bool = True
    relative_attention: str = "time_and_token"
    bar_encoding: str = "position"
    bar_period: int = 32
    voice_encoding: bool = True
    prefix_encoding: bool = True
    num_motifs: int = 3571
    melodic_head: bool = True
    imitation_head: bool = True
    max_voices: int = 5
    token_blocks: dict | None = None
    lowest_pitch: int = 28
    durations: list | tuple | None = None
    time_steps: list | tuple | None = None
    meter_ticks: list | tuple | None = None
    default_bar_ticks: int = 96

    def __post_init__(self, **kwargs):
        blocks = self.token_blocks or _TOKEN_BLOCKS
        self.token_blocks = {name: list(block) for name, block in blocks.items()}
        self.durations = list(self.durations or _DURATIONS)
        self.time_steps = list(self.time_steps or _TIME_STEPS)
        self.meter_ticks = list(self.meter_ticks or _METER_TICKS)
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def is_musical(self) -> bool:
        """Whether the vocabulary is large enough to hold the musical tokens."""
        return self.vocab_size >= max(first + count for first, count in self.token_blocks.values())

    def to_dict(self) -> dict[str, Any]:
        """As in transformers. PEFT has a table of default targets by model type, and no way for a model to add to it; but it asks the config
        for this right before it looks there. So where PEFT is in use, its table learns ours."""
        constants = sys.modules.get("peft.utils.constants")  # not imported: transformers would then ask every user of the model to install it
        targets = getattr(constants, "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING", None)
        if targets is not None:
            targets.setdefault(self.model_type, list(LORA_TARGETS))
        return super().to_dict()

    def validate_architecture(self):
        """Part of the `@strict` validation: refuses sizes and options that contradict each other, by name."""
        if self.hidden_size % self.num_attention_heads or self.head_dim % 2:
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be an even multiple of num_attention_heads ({self.num_attention_heads}): "
                "rotary position encoding turns pairs of channels."
            )
        choices = {
            "relative_attention": ("time", "token", "time_and_token", "none"),
            "bar_encoding": ("position", "bar", "both", "none"),
        }
        for name, values in choices.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown; it must be one of {', '.join(values)}.")
        lengths = {"durations": "DUR", "time_steps": "TIME", "meter_ticks": "METER"}
        for name, block in lengths.items():
            if len(getattr(self, name)) != self.token_blocks[block][1]:
                raise ValueError(f"{name} has {len(getattr(self, name))} values, but there are {self.token_blocks[block][1]} {block} tokens.")


__all__ = ["MusicGPTConfig"]
