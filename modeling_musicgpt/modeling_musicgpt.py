# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""PyTorch MusicGPT model: the whole forward pass in this file, the derivation of meter and voices in
`musical_state_musicgpt.py`.

Notable features: pre-norm blocks, tied output, rotary relative attention over musical time and token distance
(RoFormer, Su et al. 2021; musical time as the measure of distance is ours), embeddings of the tick in the bar
(and the bar index, if asked for) and of what the prefix asks for, embeddings of what every voice is doing and
of the motif it just played, a melodic head that scores a NOTE by its interval from each voice's last pitch,
and an imitation head that scores what a voice would do if it went on as one went on before
(`imitation_musicgpt.py`).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel
from transformers.models.llama.modeling_llama import eager_attention_forward
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, auto_docstring, can_return_tuple, logging
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.import_utils import is_tracing
from transformers.utils.output_capturing import capture_outputs

from .cache_musicgpt import (
    CACHE_NAME,
    CACHE_NAMES,
    gives_cache,
    read_steps,
    refuse_lost_history,
    remember_tokens,
    takes_cache,
)
from .configuration_musicgpt import MusicGPTConfig
from .generation_musicgpt import MusicGPTGenerationMixin
from .grammar_musicgpt import Grammar, has_grammar
from .imitation_musicgpt import MusicGPTImitationHead
from .musical_state_musicgpt import (
    INTERVAL_MAX,
    NUM_BAR_POSITIONS,
    NUM_ELAPSED,
    NUM_INTERVALS,
    NUM_REMAINING,
    MusicalFeatures,
    MusicalStateTracker,
    num_wishes,
)
from .stepping_musicgpt import StepTables

logger = logging.get_logger(__name__)

# Channels per voice: pitch, time until its note ends, time since it began.
VOICE_CHANNELS = (32, 16, 8)
# Longest and shortest wavelength of the rotary encoding: in tokens, and in ticks (an eighth note to 24 bars
# of 4/4).
TOKEN_WAVELENGTHS = (2 * math.pi, 2048.0)
TICK_WAVELENGTHS = (12.0, 2304.0)
# Where learned distances begin a new embedding: in tokens, each up to 64 and then 64 more up to the longest
# context; in ticks, every second up to a bar of 4/4, every eighth note up to 8 bars, 24 more up to 24 bars.
TOKEN_DISTANCES = (*range(64), *(round(64 * 64 ** (i / 64)) for i in range(64)))
TICK_DISTANCES = (*range(0, 96, 2), *range(96, 768, 12), *(round(768 * 3 ** (i / 24)) for i in range(24)))
# Queries that are scored at once where distances are learned: what they need besides stays in the processor's
# cache, and fresh memory, which costs more than the sums, is used again.
QUERY_BLOCK = 64
# Digits of 7 bits, which every floating-point type holds, of a place in the sequence and of a tick.
PLACE_DIGITS, TICK_DIGITS = 3, 4


@gives_cache
@dataclass
class MusicGPTModelOutputWithPast(BaseModelOutputWithPast):
    """
    Output of [`MusicGPTModel`].

    Args:
        voice_pitch (`torch.LongTensor` of shape `(batch_size, sequence_length, max_voices)`):
            Place of each voice's last NOTE token in its block plus 1; 0 while the voice has not begun. The
            melodic head reads it.
        expectation (`torch.LongTensor` of shape `(batch_size, sequence_length, 2 * max_voices + 4)`):
            What imitation leads one to expect of the next token; `None` in a step where that is nothing. The
            imitation head reads it.
    """

    voice_pitch: torch.LongTensor | None = None
    expectation: torch.LongTensor | None = None


@gives_cache
@dataclass
class MusicGPTCausalLMOutputWithPast(CausalLMOutputWithPast):
    """
    Output of [`MusicGPTForCausalLM`]: that of any causal language model of transformers.

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*):
            Nats a token; given where `labels` are.
        logits (`torch.FloatTensor` of shape `(batch_size, sequence_length, vocab_size)`):
            Scores of the next token before softmax, without the grammar.
    """


class MusicGPTRotaryEmbedding(nn.Module):
    """Angles by which queries and keys are turned, so that their product depends on differences of time and
    of place only.
    """

    def __init__(self, config: MusicGPTConfig):
        super().__init__()
        pairs = config.head_dim // 2
        shares = {"time": (0.0, 1.0), "token": (1.0, 0.0), "time_and_token": (0.375, 0.625)}
        token_share, tick_share = shares.get(config.relative_attention, (0.0, 0.0))
        self.token_pairs = round(pairs * token_share)
        self.tick_pairs = pairs - self.token_pairs if tick_share else 0
        self.pairs = pairs

        self._known_turns: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    def forward(
        self, position_ids: torch.Tensor, ticks: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            position_ids (`torch.LongTensor` of shape `(batch or 1, length)`): places in the sequence.
            ticks (`torch.LongTensor` of shape `(batch, length)`): musical time.

        Returns:
            cosines and signed sines, each `(batch, 1, length, head_dim)`; see `apply_rotary_pos_emb`.
        """
        by_token, by_tick = self.turns(ticks.device)
        angles = position_ids.unsqueeze(-1) * by_token + ticks.unsqueeze(-1) * by_tick  # (B, L, head_dim)
        angles = angles.unsqueeze(1)
        return angles.cos().to(dtype), angles.sin().to(dtype)

    def turns(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Radians by which a token and a tick turn each channel, `(head_dim,)`; made once for a device."""
        if not torch.compiler.is_compiling() and device in self._known_turns:
            return self._known_turns[device]
        radians = self.frequencies(device)
        radians = torch.cat((-radians, radians))  # of a pair the first has the negative sine
        of_token = torch.arange(2 * self.pairs, device=device) % self.pairs < self.token_pairs
        turns = radians * of_token, radians * ~of_token
        if not is_tracing(radians) and device.type != "meta":
            self._known_turns[device] = turns
        return turns

    def frequencies(self, device: torch.device) -> torch.Tensor:
        """Radians a token or tick of each pair, `(pairs,)`."""
        token = self._geometric(self.token_pairs, TOKEN_WAVELENGTHS, device)
        tick = self._geometric(self.tick_pairs, TICK_WAVELENGTHS, device)
        still = tick.new_zeros(self.pairs - self.token_pairs - self.tick_pairs)
        return torch.cat((token, tick, still))

    @staticmethod
    def _geometric(pairs: int, wavelengths: tuple[float, float], device: torch.device) -> torch.Tensor:
        """Frequencies whose wavelengths are in geometric progression, `(pairs,)`. Always in float32: times
        run into the ten thousands.
        """
        shortest, longest = wavelengths
        exponent = torch.arange(pairs, device=device, dtype=torch.float32) / max(1, pairs - 1)
        return (2 * math.pi / shortest) * (shortest / longest) ** exponent


def apply_rotary_pos_emb(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turns queries or keys of shape `(B, heads, L, head_dim)` by angles of shape `(B, 1, L, head_dim)`:
    channel `i` and the one half of `head_dim` behind are a pair, for the first of which `sin` is negative.
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


class MusicGPTRelativePositions(nn.Module):
    """Learned relative positions: each query scores a key by an embedding of their distance besides (Shaw et
    al. 2018, "Self-Attention with Relative Position Representations", eq. 4, for keys, which they found to be
    enough). Here there are two, of the distance in tokens and of that in musical time, in buckets.

    Where a key stands is kept in channels behind its own, and goes with it through every cache.
    """

    def __init__(self, config: MusicGPTConfig):
        super().__init__()
        self.head_dim = config.head_dim
        self.token = nn.Embedding(len(TOKEN_DISTANCES), config.hidden_size)
        self.time = nn.Embedding(len(TICK_DISTANCES), config.hidden_size)

    @staticmethod
    def mark(key: torch.Tensor, places: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Keys `(B, heads, L, head_dim)` with the digits of their places and ticks behind them."""
        digits = [
            (number.clamp(min=0) >> (7 * digit)) & 127
            for number, count in zip(places, (PLACE_DIGITS, TICK_DIGITS), strict=True)
            for digit in range(count)
        ]
        marks = torch.stack(torch.broadcast_tensors(*digits), dim=-1)  # (B, L, digits)
        marks = marks[:, None].expand(key.shape[0], key.shape[1], -1, -1)
        return torch.cat((key, marks.to(key.dtype)), dim=-1)

    def unmark(self, key: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Keys as they were before `mark`, and their places and ticks, each `(B, K)`."""
        marks = key[:, 0, :, self.head_dim :].long().split((PLACE_DIGITS, TICK_DIGITS), dim=-1)
        token, tick = (sum(digits[..., i] << (7 * i) for i in range(digits.shape[-1])) for digits in marks)
        return key[..., : self.head_dim].contiguous(), (token, tick)

    def forward(
        self,
        query: torch.Tensor,
        here: tuple[torch.Tensor, torch.Tensor],
        there: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """
        Args:
            query (`torch.Tensor` of shape `(B, heads, L, head_dim)`): scaled.
            here (`tuple[torch.LongTensor, torch.LongTensor]`): places in the sequence, `(B or 1, L)`, and
                ticks, `(B, L)`, of the queries.
            there (`tuple[torch.LongTensor, torch.LongTensor]`): those of the keys, `(B, K)`.
            attention_mask (`torch.Tensor` of shape `(B or 1, 1 or heads, L, K)`, *optional*): what may be
                seen is true or 0.

        Returns:
            what is to be added to the scores, `(B, heads, L, K)`.
        """
        heads = query.shape[1]
        is_hidden = None
        if attention_mask is not None and attention_mask.dtype == torch.bool and attention_mask.shape[1] == 1:
            is_hidden, attention_mask = ~attention_mask[:, 0], None
        added = None
        for table, edges, now, then in zip(
            (self.token, self.time), (TOKEN_DISTANCES, TICK_DISTANCES), here, there, strict=True
        ):
            bucket = _buckets((now[..., None] - then[:, None]).clamp(min=0), edges)  # (B, L, K)
            by_bucket = table.weight.view(len(edges), heads, self.head_dim).permute(1, 2, 0)
            scores = query @ by_bucket.to(query.dtype)  # (B, heads, L, buckets)
            if is_hidden is not None and added is None:
                # What is hidden has a bucket of its own. Half of the lowest number: no sum is infinite.
                scores = nn.functional.pad(scores, (0, 1), value=torch.finfo(scores.dtype).min / 2)
                bucket = bucket.masked_fill(is_hidden, len(edges))
            chosen = _choose(scores, bucket)
            added = chosen if added is None else added + chosen
        if attention_mask is None:
            return added
        if attention_mask.dtype == torch.bool:
            return added.masked_fill(~attention_mask, torch.finfo(added.dtype).min)
        return (added + attention_mask).clamp(min=torch.finfo(added.dtype).min)


def _buckets(distance: torch.Tensor, edges: tuple[int, ...]) -> torch.Tensor:
    """The last of the ascending `edges` that each distance has reached."""
    limits = distance.new_tensor(edges)
    if distance.shape[1] == 1:
        return torch.bucketize(distance, limits, right=True) - 1
    # Many distances: each is looked up in a list of all, which is faster than a search among the edges.
    known = torch.bucketize(torch.arange(edges[-1] + 1, device=distance.device), limits, right=True) - 1
    return known[distance.clamp(max=edges[-1])]


def _choose(scores: torch.Tensor, bucket: torch.Tensor) -> torch.Tensor:
    """From `(B, heads, L, buckets)` those that `bucket`, `(B, L, K)`, names: `(B, heads, L, K)`.

    All heads ask for the same bucket. With the heads last they are one row of memory, and the gradient is a
    sum of rows: three times as fast as `gather`.
    """
    batch, heads, length, count = scores.shape
    first = torch.arange(batch * length, device=scores.device).view(batch, length, 1) * count
    rows = scores.permute(0, 2, 3, 1).reshape(-1, heads).index_select(0, (bucket + first).flatten())
    return rows.view(batch, length, -1, heads).permute(0, 3, 1, 2)


class MusicGPTAttention(nn.Module):
    """Multi-head self-attention with rotary relative positions."""

    def __init__(self, config: MusicGPTConfig, layer_idx: int):
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.head_dim = config.head_dim
        self.num_key_value_groups = 1  # asked for by attention that is written out
        self.scaling = self.head_dim**-0.5
        self.attention_dropout = config.attention_dropout
        self.is_causal = True
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.o_proj._adds_to_residual = True
        # Read once: what a config holds takes long to read.
        self.is_learned = config.relative_attention == "learned"
        if self.is_learned:
            self.relative = MusicGPTRelativePositions(config)

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        places: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None = None,
        cache: Cache | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`hidden_states` of shape `(B, L, hidden)` -> the same shape, and the weights if the implementation
        gives them. `places` are those in the sequence, `(B or 1, L)`, and in musical time, `(B, L)`.
        """
        input_shape = hidden_states.shape[:-1]
        hidden_shape = (*input_shape, -1, self.head_dim)
        # (B, L, hidden) -> (B, heads, L, head_dim)
        query = self.q_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        key = self.k_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        value = self.v_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        if self.is_learned:
            key = self.relative.mark(key, places)
        else:
            both = apply_rotary_pos_emb(torch.cat((query, key), dim=1), *position_embeddings)
            query, key = both.chunk(2, dim=1)
        if cache is not None:
            key, value = cache.update(key, value, self.layer_idx)
        if self.is_learned:
            output, weights = self._attend_by_distance(query, key, value, places, attention_mask, **kwargs)
        else:
            output, weights = self._attend(query, key, value, attention_mask, **kwargs)
        output = output.reshape(*input_shape, -1).contiguous()  # (B, L, heads, head_dim) -> (B, L, hidden)
        return self.o_proj(output), weights

    def _attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Output `(B, L, heads, head_dim)` and weights of the implementation that is chosen."""
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        dropout = self.attention_dropout if self.training else 0.0
        return attend(
            self, query, key, value, attention_mask, dropout=dropout, scaling=self.scaling, **kwargs
        )

    def _attend_by_distance(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        places: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`_attend` with learned distances, block by block of the queries.

        Without a mask a single query sees every key, and the first of several the first key, as in
        `torch.nn.functional.scaled_dot_product_attention`; keys behind a block are then left out.
        """
        key, there = self.relative.unmark(key)
        length, seen = query.shape[2], key.shape[2]
        is_causal = attention_mask is None and length > 1
        if attention_mask is not None:
            attention_mask = attention_mask.expand(-1, -1, length, -1)
        elif is_causal:
            attention_mask = torch.ones(1, 1, length, seen, dtype=torch.bool, device=query.device).tril()
        # A graph is for all lengths, and weights are wanted as one.
        whole = self.config._attn_implementation != "sdpa" or is_tracing(query)
        ends: Iterable[int | None] = (
            [None] if whole else range(QUERY_BLOCK, length + QUERY_BLOCK, QUERY_BLOCK)
        )
        outputs, weights = [], None
        for end in ends:
            now = slice(end and end - QUERY_BLOCK, end)
            then = slice(end if is_causal else None)
            added = self.relative(
                query[:, :, now] * self.scaling,
                (places[0][:, now], places[1][:, now]),
                (there[0][:, then], there[1][:, then]),
                None if attention_mask is None else attention_mask[:, :, now, then],
            )
            output, weights = self._attend(
                query[:, :, now], key[:, :, then], value[:, :, then], added, **kwargs
            )
            outputs.append(output)
        return torch.cat(outputs, dim=1), weights


class MusicGPTMLP(nn.Module):
    """Feed-forward: `down(act(up(x)))`."""

    def __init__(self, config: MusicGPTConfig):
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.down_proj._adds_to_residual = True
        # torch's dynamic quantisation leaves out what has no `qconfig`: one scale for all of its inputs is
        # too coarse for this map, for `voice_proj` and for the output; with them logits move by up to 1.1.
        self.down_proj.qconfig = None
        self.act_fn = ACT2FN[config.hidden_act]

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """`(B, L, hidden)` -> `(B, L, hidden)`."""
        return self.down_proj(self.act_fn(self.up_proj(hidden_states)))


class MusicGPTDecoderLayer(GradientCheckpointingLayer):
    """One pre-norm block."""

    def __init__(self, config: MusicGPTConfig, layer_idx: int):
        super().__init__()
        self.self_attn = MusicGPTAttention(config, layer_idx)
        self.mlp = MusicGPTMLP(config)
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        places: tuple[torch.Tensor, torch.Tensor] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> torch.Tensor:
        """`(B, L, hidden)` -> `(B, L, hidden)`; the cache comes by its name in transformers."""
        cache = kwargs.pop(CACHE_NAME, None)
        attended, _ = self.self_attn(
            self.input_layernorm(hidden_states),
            position_embeddings=position_embeddings,
            places=places,
            attention_mask=attention_mask,
            cache=cache,
            **kwargs,
        )
        hidden_states = hidden_states + self._dropped(attended)
        return hidden_states + self._dropped(self.mlp(self.post_attention_layernorm(hidden_states)))

    def _dropped(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.dropout(hidden_states) if self.training else hidden_states


class MusicGPTMusicalEmbedding(nn.Module):
    """Embeds the `MusicalFeatures`: meter, voices and melodic interval, summed into the token embedding."""

    def __init__(self, config: MusicGPTConfig):
        super().__init__()
        # Read once: what a config holds takes long to read.
        self.bar_encoding, self.bar_period = config.bar_encoding, config.bar_period
        self.voice_encoding, self.prefix_encoding = config.voice_encoding, config.prefix_encoding
        self.has_motifs, width = config.num_motifs > 0, config.hidden_size
        if config.bar_encoding in ("position", "both"):
            self.bar_position = nn.Embedding(NUM_BAR_POSITIONS, width)
        if config.bar_encoding in ("bar", "both"):
            self.bar = nn.Embedding(config.bar_period, width)
        if config.voice_encoding:
            pitch, remaining, elapsed = VOICE_CHANNELS
            self.voice_pitch = nn.Embedding(config.token_blocks["NOTE"][1] + 1, pitch)
            self.voice_remaining = nn.Embedding(NUM_REMAINING, remaining)
            self.voice_elapsed = nn.Embedding(NUM_ELAPSED, elapsed)
            for table in (self.voice_pitch, self.voice_remaining, self.voice_elapsed):
                table._is_narrow = True
            self.voice_proj = nn.Linear(config.max_voices * sum(VOICE_CHANNELS), width, bias=False)
            self.voice_proj.qconfig = None
            self.interval = nn.Embedding(NUM_INTERVALS, width)
        if config.prefix_encoding:
            self.wish = nn.Embedding(num_wishes(config) + 1, width)
            self.wish._starts_at_zero = True
        if config.num_motifs:
            self.motif = nn.Embedding(config.num_motifs + 1, width)
            self.motif._starts_at_zero = True

    def forward(self, state: MusicalFeatures, embeds: torch.Tensor) -> torch.Tensor:
        """Adds to `embeds` of shape `(B, L, hidden)`."""
        if self.bar_encoding in ("position", "both"):
            embeds = embeds + self.bar_position(state.bar_position)
        if self.bar_encoding in ("bar", "both"):
            embeds = embeds + self.bar(state.bar % self.bar_period)
        if self.voice_encoding:
            voices = (
                self.voice_pitch(state.voice_pitch),
                self.voice_remaining(state.voice_remaining),
                self.voice_elapsed(state.voice_elapsed),
            )
            flat = torch.cat(voices, dim=-1).flatten(2)  # (B, L, V, channels) -> (B, L, V * channels)
            embeds = embeds + self.voice_proj(flat) + self.interval(state.interval)
        if self.prefix_encoding:
            embeds = embeds + self.wish(state.wishes).sum(dim=2)  # (B, L, wishes, hidden) -> (B, L, hidden)
        if self.has_motifs:
            embeds = embeds + self.motif(state.motif)
        return embeds


class MusicGPTMelodicHead(nn.Module):
    """Scores each NOTE by its interval from the last pitch of each voice: the same step up counts the same at
    every pitch.
    """

    def __init__(self, config: MusicGPTConfig):
        super().__init__()
        self.max_voices = config.max_voices
        self.num_intervals = 2 * INTERVAL_MAX + 1
        self.first_note, self.num_notes = config.token_blocks["NOTE"]
        self.proj = nn.Linear(config.hidden_size, config.max_voices * self.num_intervals, bias=False)
        self.proj._starts_at_zero = True
        self.proj.qconfig = None
        self.register_buffer("places", self.tables()["places"], persistent=False)

    def forward(
        self, hidden_states: torch.Tensor, voice_pitch: torch.Tensor, logits: torch.Tensor
    ) -> torch.Tensor:
        """Adds to the NOTE columns of `logits`, `(B, L, vocab)`, from `voice_pitch`, `(B, L, V)`."""
        scores = self.proj(hidden_states).unflatten(-1, (self.max_voices, self.num_intervals))
        places = nn.functional.embedding(voice_pitch, self.places)  # (B, L, V, notes)
        melodic = nn.functional.pad(scores, (1, 0)).gather(-1, places).sum(dim=-2)  # (B, L, notes)
        after = logits.shape[-1] - self.first_note - self.num_notes
        return logits + nn.functional.pad(melodic, (self.first_note, after)).to(logits.dtype)

    def tables(self) -> dict[str, torch.Tensor]:
        """`places`, by last pitch and note: the place of the score of their interval, 0 where there is
        none.
        """
        pitch = torch.arange(self.num_notes + 1)[:, None]
        interval = torch.arange(1, self.num_notes + 1) - pitch
        return {"places": (interval + INTERVAL_MAX + 1) * ((interval.abs() <= INTERVAL_MAX) & (pitch > 0))}


@auto_docstring
class MusicGPTPreTrainedModel(PreTrainedModel):
    """What the models share: how weights begin, what attention they support, how the vocabulary is
    resized.
    """

    config: MusicGPTConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["MusicGPTDecoderLayer"]
    _skip_keys_device_placement = list(CACHE_NAMES)
    _supports_flash_attn = False
    _supports_sdpa = True
    _supports_flex_attn = True
    _can_compile_fullgraph = True
    _supports_attention_backend = True
    _can_record_outputs = {"hidden_states": MusicGPTDecoderLayer, "attentions": MusicGPTAttention}

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        if getattr(module, "_adds_to_residual", False):
            # 2 additions a block: keeps the variance of the residual stream at its input's (GPT-2).
            init.normal_(module.weight, mean=0.0, std=std / math.sqrt(2 * self.config.num_hidden_layers))
        elif getattr(module, "_starts_at_zero", False):
            init.zeros_(module.weight)
            if getattr(module, "bias", None) is not None:
                init.zeros_(module.bias)
        elif getattr(module, "_is_narrow", False):
            # tables behind a projection: not the scale of the residual stream
            init.normal_(module.weight, mean=0.0, std=0.5)
        if isinstance(module, MusicGPTImitationHead):
            init.zeros_(module.entry)
        if isinstance(module, (MusicalStateTracker, MusicGPTMelodicHead, MusicGPTImitationHead)):
            for name, table in module.tables().items():
                init.copy_(getattr(module, name), table)

    def resize_token_embeddings(self, *args, **kwargs) -> nn.Embedding:
        """As in transformers. New tokens mean nothing to meter, voices and grammar; a vocabulary cut below
        the musical blocks makes the model a plain transformer, without melodic head.
        """
        embeddings = super().resize_token_embeddings(*args, **kwargs)
        for module in self.modules():
            if isinstance(module, MusicalStateTracker):
                module.rebuild()
        if hasattr(self, "melodic_head") and not self.config.is_musical:
            logger.warning(
                f"With {self.config.vocab_size} tokens the vocabulary lacks musical ones: no meter, voices"
                " and grammar any more, and the melodic head is dropped."
            )
            del self.melodic_head
            self.config.melodic_head = False
        if hasattr(self, "imitation_head") and not self.config.is_musical:
            del self.imitation_head
            self.config.imitation_head = False
        return embeddings


@auto_docstring
class MusicGPTModel(MusicGPTPreTrainedModel):
    """The blocks of the transformer, from token ids to hidden states of shape `(batch, length,
    hidden_size)`.
    """

    # The heads stand beside this model, in `MusicGPTForCausalLM`.
    _keys_to_ignore_on_load_unexpected = [r"^melodic_head\.", r"^imitation_head\."]

    def __init__(self, config: MusicGPTConfig):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.musical_state = MusicalStateTracker(config)
        self.musical_embedding = MusicGPTMusicalEmbedding(config)
        self.rotary_emb = MusicGPTRotaryEmbedding(config)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(MusicGPTDecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.gradient_checkpointing = False
        self._step_tables_made_for: tuple | None = None
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    @auto_docstring
    @takes_cache
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> MusicGPTModelOutputWithPast:
        if (input_ids is None) ^ (inputs_embeds is not None):
            raise ValueError("You must specify exactly one of input_ids or inputs_embeds")
        if inputs_embeds is None:
            inputs_embeds = self.embed_tokens(input_ids)
        else:
            input_ids = self.nearest_tokens(inputs_embeds)
        past_length = cache.get_seq_length() if cache is not None else 0
        refuse_lost_history(cache, inputs_embeds.shape[1], position_ids, attention_mask)
        if use_cache and cache is None:
            cache = DynamicCache(config=self.config)
        new = torch.arange(inputs_embeds.shape[1], device=inputs_embeds.device) + past_length
        if position_ids is None:
            position_ids = new.unsqueeze(0)
        heard = self._without_masked(input_ids, attention_mask, new)
        history = remember_tokens(cache, heard, new, past_length, self.config.pad_token_id or 0)
        state = read_steps(cache, self, history, past_length)
        if state is None:
            state = self.musical_state(history).at(new if cache is not None else slice(None))

        if (
            self.config.relative_attention == "learned"
            and self.config._attn_implementation == "flex_attention"
        ):
            raise ValueError(
                "relative_attention='learned' adds to every score, which flex_attention's masks cannot: use"
                " set_attn_implementation('sdpa') or 'eager'."
            )
        causal_mask = create_causal_mask(
            config=self.config,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            **{CACHE_NAME: cache},
        )
        hidden_states = self.dropout(self.musical_embedding(state, inputs_embeds))
        position_embeddings = self.rotary_emb(position_ids, state.ticks, hidden_states.dtype)
        for layer in list(self.layers)[: self.config.num_hidden_layers]:  # fewer with early exit
            hidden_states = layer(
                hidden_states,
                attention_mask=causal_mask,
                position_embeddings=position_embeddings,
                places=(position_ids, state.ticks),
                **{CACHE_NAME: cache},  # by the name at which gradient checkpointing looks
                **kwargs,
            )
        return MusicGPTModelOutputWithPast(
            last_hidden_state=self.norm(hidden_states),
            voice_pitch=state.voice_pitch,
            expectation=state.expectation,
            **{CACHE_NAME: cache},
        )

    @property
    def step_tables(self) -> StepTables:
        """What the tokens mean to a `MusicalState`, built when it is first asked for."""
        config = self.config
        made_for = (config.vocab_size, config.bos_token_id, str(config.eos_token_id), config.pad_token_id)
        if self._step_tables_made_for != made_for:
            self._step_tables = Grammar(config).step_tables if has_grammar(config) else StepTables(config)
            self._step_tables_made_for = made_for
        return self._step_tables

    @torch.no_grad()
    def nearest_tokens(self, inputs_embeds: torch.Tensor) -> torch.LongTensor:
        """The ids whose embeddings lie nearest to `inputs_embeds`, `(B, L, hidden)` -> `(B, L)`.

        Meter and voices are derived from ids: embeddings that are rows of the table give exactly what their
        ids give; others (soft prompts) are heard, as far as meter and voices go, as the nearest token.
        """
        table = self.embed_tokens.weight.float()
        scores = inputs_embeds.float() @ table.T - table.square().sum(dim=1) / 2  # (B, L, vocab)
        return scores.argmax(dim=-1)

    def _without_masked(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None, places: torch.Tensor
    ) -> torch.Tensor:
        """The ids with `<pad>` wherever the mask hides a token, so that hidden tokens neither pass time nor
        sound: `(B, L)`.

        `places` of shape `(L,)` are the columns of the tokens in a mask of shape `(B, 1, L, keys)`, whose
        keys may have room behind them.
        """
        if not isinstance(attention_mask, torch.Tensor) or attention_mask.ndim not in (2, 4):
            return input_ids
        if attention_mask.ndim == 4:
            own = attention_mask[:, 0].index_select(-1, places)  # (B, L, L)
            # hidden is what no token sees
            visible = (own if own.dtype == torch.bool else own >= 0).any(dim=1)
        else:
            if attention_mask.shape[1] < input_ids.shape[1]:
                return input_ids
            visible = attention_mask[:, -input_ids.shape[1] :].bool()
        return torch.where(visible, input_ids, self.config.pad_token_id or 0)


@auto_docstring
class MusicGPTForCausalLM(MusicGPTPreTrainedModel, MusicGPTGenerationMixin):
    """The model with its heads, from token ids to logits of the next token, `(batch, length, vocab_size)`; it
    has `generate()`.
    """

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: MusicGPTConfig):
        super().__init__(config)
        self.model = MusicGPTModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.lm_head.qconfig = None
        if config.melodic_head and config.is_musical:
            self.melodic_head = MusicGPTMelodicHead(config)
        if config.imitation_head and config.is_musical:
            self.imitation_head = MusicGPTImitationHead(config)
        self._known_scales: tuple[tuple, torch.Tensor] = (), torch.empty(0)
        self.post_init()

    @can_return_tuple
    @auto_docstring
    @takes_cache
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Unpack[TransformersKwargs],
    ) -> MusicGPTCausalLMOutputWithPast:
        outputs: MusicGPTModelOutputWithPast = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        hidden_states = outputs.last_hidden_state[:, keep]
        logits = self.lm_head(hidden_states)
        if hasattr(self, "melodic_head"):
            logits = self.melodic_head(hidden_states, outputs.voice_pitch[:, keep], logits)
        if hasattr(self, "imitation_head") and outputs.expectation is not None:
            logits = self.imitation_head(hidden_states, outputs.expectation[:, keep], logits)
        if self.config.logit_scale:
            logits = logits * self._scales(logits)

        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs
            )
        return MusicGPTCausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **{CACHE_NAME: outputs.get(CACHE_NAME)},
        )

    def _scales(self, logits: torch.Tensor) -> torch.Tensor:
        """The scale of every token, `(vocab_size,)`; kept until something that it is made of changes."""
        if torch.compiler.is_compiling() or torch.is_inference_mode_enabled() or is_tracing(logits):
            return logits.new_tensor(self.config.logit_scales())  # no later step could use it
        made_for = (*self.config.logit_scale.items(), logits.shape[-1], logits.dtype, logits.device)
        if self._known_scales[0] != made_for:
            self._known_scales = made_for, logits.new_tensor(self.config.logit_scales())
        return self._known_scales[1]


__all__ = ["MusicGPTForCausalLM", "MusicGPTModel", "MusicGPTPreTrainedModel"]
