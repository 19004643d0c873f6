# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""MusicGPT model configuration: sizes, and what the model must know of the vocabulary."""

# No `from __future__ import annotations` here: `@strict` checks types that are types, and lets those pass
# that are strings.
import sys
from collections.abc import Iterable
from typing import Any

from huggingface_hub.dataclasses import strict, validated_field
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN

# The maps that LoRA adapts unless `target_modules` names others: all of every block, as Dettmers et al. 2023
# (QLoRA) found to be needed.
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")

# What each id means, as (first id, number of ids); `tokenization/vocabulary.py` is the source and a test
# holds both together.
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
    *(2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 24),  # up to a quarter
    *(27, 30, 32, 36, 40, 42, 48, 54, 56, 60, 66, 72, 78, 84, 96),  # up to a whole note
    *(108, 120, 144, 156, 168, 192),
)
_TIME_STEPS = (0, 1, 2, 3, 4, 6, 8, 9, 12, 15, 18, 24, 27, 30, 32, 36, 42, 48, 54, 60, 72, 96)
_METER_TICKS = (48, 72, 96, 96, 144, 144, 36, 72, 108, 144, 36, 72)
# The types of token whose logits may have a scale of their own, and between what it lies.
SCALED_TYPES = ("NOTE", "VOICE", "DUR", "TIME")
_SCALES = (0.1, 10.0)
# The longest duration, step in time and bar, in ticks: tables of the model end there.
_MAX_TICKS = 1024
_TOP_PITCH = 127


def _within(default: Any, low: float, high: float) -> Any:
    """A field that takes numbers from `low` to `high`; a config comes from a file, and its numbers reach
    machine code.
    """

    def check(value: float) -> None:
        if isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"it must be a number from {low} to {high}, not {value!r}.")

    return validated_field(check, default=default)


def _one_of(default: str, choices: Iterable[str]) -> Any:
    def check(value: str) -> None:
        if value not in choices:
            raise ValueError(f"{value!r} is unknown; it must be one of {', '.join(choices)}.")

    return validated_field(check, default=default)


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


@strict
class MusicGPTConfig(PreTrainedConfig):
    r"""
    Configuration of a [`MusicGPTModel`]. The defaults give the shipped architecture with 4.3 million
    parameters.

    Args:
        vocab_size (`int`, *optional*, defaults to 150): number of tokens. With fewer than the musical
            vocabulary needs the model runs as a plain transformer: it derives no meter, no voices and no
            grammar.
        hidden_size (`int`, *optional*, defaults to 256): width of the residual stream.
        intermediate_size (`int`, *optional*, defaults to 1024): width of the feed-forward layers.
        num_hidden_layers (`int`, *optional*, defaults to 4): number of blocks.
        num_attention_heads (`int`, *optional*, defaults to 8): number of attention heads.
        hidden_act (`str`, *optional*, defaults to `"gelu"`): activation of the feed-forward layers.
        max_position_embeddings (`int`, *optional*, defaults to 4096): longest sequence, in tokens, that the
            model was made for.
        hidden_dropout (`float`, *optional*, defaults to 0.1): dropout on the embeddings and on what each
            sub-layer adds.
        attention_dropout (`float`, *optional*, defaults to 0.0): dropout on the attention weights.
        initializer_range (`float`, *optional*, defaults to 0.02): standard deviation of the initial weights.
        layer_norm_eps (`float`, *optional*, defaults to 1e-05): epsilon of the layer norms.
        relative_attention (`str`, *optional*, defaults to `"time_and_token"`): how attention knows of
            distances. By rotary position encoding, of `"time"` (ticks), `"token"` (places in the sequence) or
            `"time_and_token"` (a part of each head's channels for each); by embeddings that are `"learned"`,
            of both; or `"none"`.
        bar_encoding (`str`, *optional*, defaults to `"position"`): what is embedded of the metrical state:
            `"position"` (tick in the bar), `"bar"` (index of the bar modulo `bar_period`), `"both"` or
            `"none"`.
        bar_period (`int`, *optional*, defaults to 32): bars after which the bar index begins again.
        voice_encoding (`bool`, *optional*, defaults to `True`): embed, at every token, each voice's last
            pitch, how long ago it began and when it ends, and the melodic interval at each VOICE token.
        prefix_encoding (`bool`, *optional*, defaults to `True`): embed, at every token, what the prefix asks
            for: MODE, FORM, VOICES and TEMPO.
        num_motifs (`int`, *optional*, defaults to 3571): rows of the table of motifs, the hashed last
            intervals and durations of a voice; 0 for none.
        melodic_head (`bool`, *optional*, defaults to `True`): add to the logits of NOTE a term for the
            interval from each voice's last pitch.
        imitation_head (`bool`, *optional*, defaults to `True`): add to the logits of NOTE, DUR and TIME a
            term for what imitation leads one to expect.
        logit_scale (`dict[str, float]`, *optional*): what the logits of NOTE, VOICE, DUR and TIME tokens are
            multiplied by, by type; 1 where a type is not named. Below 1 the model is less sure. Fitted by
            `training.calibrate`.
        max_voices (`int`, *optional*, defaults to 5): number of VOICE tokens.
        token_blocks (`dict[str, tuple[int, int]]`, *optional*): first id and number of ids of every block of
            the vocabulary.
        lowest_pitch (`int`, *optional*, defaults to 28): MIDI pitch of the first NOTE token.
        durations, time_steps, meter_ticks (`tuple[int, ...]`, *optional*): ticks (24 a quarter note) of each
            DUR and TIME token, and of the bar of each METER token.
        default_bar_ticks (`int`, *optional*, defaults to 96): length of the bar while no METER token was seen
            (4/4).

    ```python
    >>> from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    >>> model = MusicGPTForCausalLM(MusicGPTConfig())
    >>> model.num_parameters() > 4_000_000
    True

    ```
    """

    model_type = "musicgpt"
    # one thing under its names in different versions of transformers
    keys_to_ignore_at_inference = ["past_key_values", "cache"]

    vocab_size: int = _within(150, 1, 1_000_000)
    hidden_size: int = _within(256, 2, 16_384)
    intermediate_size: int = _within(1024, 1, 65_536)
    num_hidden_layers: int = _within(4, 1, 256)
    num_attention_heads: int = _within(8, 1, 256)
    hidden_act: str = _one_of("gelu", ACT2FN)
    max_position_embeddings: int = _within(4096, 16, 65_536)
    hidden_dropout: float | int = _within(0.1, 0, 0.99)
    attention_dropout: float | int = _within(0.0, 0, 0.99)
    initializer_range: float | int = _within(0.02, 0, 1)
    layer_norm_eps: float | int = _within(1e-5, 1e-12, 1)
    use_cache: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    tie_word_embeddings: bool = True
    relative_attention: str = _one_of(
        "time_and_token", ("time", "token", "time_and_token", "learned", "none")
    )
    bar_encoding: str = _one_of("position", ("position", "bar", "both", "none"))
    bar_period: int = _within(32, 1, 1024)
    voice_encoding: bool = True
    prefix_encoding: bool = True
    num_motifs: int = _within(3571, 0, 1_000_000)
    melodic_head: bool = True
    imitation_head: bool = True
    logit_scale: dict | None = None
    max_voices: int = _within(5, 1, 64)
    token_blocks: dict | None = None
    lowest_pitch: int = _within(28, 0, _TOP_PITCH)
    durations: list | tuple | None = None
    time_steps: list | tuple | None = None
    meter_ticks: list | tuple | None = None
    default_bar_ticks: int = _within(96, 1, _MAX_TICKS)

    def __post_init__(self, **kwargs):
        blocks = self.token_blocks or _TOKEN_BLOCKS
        self.token_blocks = {
            name: list(block) if isinstance(block, tuple) else block for name, block in blocks.items()
        }
        self.durations = list(self.durations or _DURATIONS)
        self.time_steps = list(self.time_steps or _TIME_STEPS)
        self.meter_ticks = list(self.meter_ticks or _METER_TICKS)
        self.validate_vocabulary()  # what transformers does with these fields comes before its own validation
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
        """As in transformers. PEFT has a table of default targets by model type, and no way for a model to
        add to it; but it asks the config for this right before it looks there. So where PEFT is in use, its
        table learns ours.
        """
        # not imported: transformers would then ask every user of the model to install it
        constants = sys.modules.get("peft.utils.constants")
        targets = getattr(constants, "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING", None)
        if targets is not None:
            targets.setdefault(self.model_type, list(LORA_TARGETS))
        return super().to_dict()

    def validate_architecture(self):
        """Part of the `@strict` validation: refuses sizes and options that contradict each other, by name."""
        if self.hidden_size % self.num_attention_heads or self.head_dim % 2:
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be an even multiple of num_attention_heads"
                f" ({self.num_attention_heads}): rotary position encoding turns pairs of channels."
            )

    def validate_logit_scale(self):
        """Part of the `@strict` validation: refuses types without a scale, and scales out of range, by
        name.
        """
        for name, scale in (self.logit_scale or {}).items():
            if name not in SCALED_TYPES:
                raise ValueError(f"logit_scale names {name!r}; it must be of {', '.join(SCALED_TYPES)}.")
            number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
            if not (number and _SCALES[0] <= scale <= _SCALES[1]):
                raise ValueError(
                    f"logit_scale of {name} is {scale!r}; it must be a number from {_SCALES[0]} to"
                    f" {_SCALES[1]}."
                )

    def logit_scales(self) -> list[float] | None:
        """The scale of every token, `vocab_size` long; `None` where all are 1."""
        if not self.logit_scale:
            return None
        scales = [1.0] * self.vocab_size
        for name, scale in self.logit_scale.items():
            first, count = self.token_blocks[name]
            for token in range(first, min(first + count, self.vocab_size)):
                scales[token] = float(scale)
        return scales

    def validate_vocabulary(self):
        """Part of the `@strict` validation: refuses a vocabulary whose parts do not fit, by name."""
        for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
            given = getattr(self, name)
            for token in given if isinstance(given, list) else [given]:
                if token is not None and not _is_int(token, -1, self.vocab_size - 1):
                    raise ValueError(f"{name} is {token!r}; it must be below vocab_size ({self.vocab_size}).")
        self._check_blocks()
        if self.max_voices != self.token_blocks["VOICE"][1]:
            raise ValueError(
                f"max_voices is {self.max_voices}, but there are {self.token_blocks['VOICE'][1]} VOICE"
                " tokens."
            )
        top = self.lowest_pitch + self.token_blocks["NOTE"][1] - 1
        if top > _TOP_PITCH:
            raise ValueError(
                f"The highest NOTE would be MIDI pitch {top}, above {_TOP_PITCH}: lower lowest_pitch"
                f" ({self.lowest_pitch})."
            )
        for name, block, least in (
            ("durations", "DUR", 1),
            ("time_steps", "TIME", 0),
            ("meter_ticks", "METER", 1),
        ):
            ticks = getattr(self, name)
            if not all(_is_int(value, least, _MAX_TICKS) for value in ticks):
                raise ValueError(f"{name} must hold whole numbers of ticks from {least} to {_MAX_TICKS}.")
            if len(ticks) != self.token_blocks[block][1]:
                raise ValueError(
                    f"{name} has {len(ticks)} values, but there are {self.token_blocks[block][1]} {block}"
                    " tokens."
                )

    def _check_blocks(self):
        if sorted(map(str, self.token_blocks)) != sorted(_TOKEN_BLOCKS):
            raise ValueError(f"token_blocks must name {', '.join(_TOKEN_BLOCKS)}.")
        taken = 0
        for block in self.token_blocks.values():
            if not (
                isinstance(block, list)
                and len(block) == 2
                and _is_int(block[0], 0, 1_000_000)
                and _is_int(block[1], 1, 10_000)
            ):
                raise ValueError(
                    "each of token_blocks must be two whole numbers, its first id and how many ids it has."
                )
        for name, (first, count) in sorted(self.token_blocks.items(), key=lambda item: item[1]):
            if first < taken:
                raise ValueError(f"token_blocks: {name} begins at {first}, inside the block before it.")
            taken = first + count


__all__ = ["MusicGPTConfig"]
