"""The forward pass against a second one written out in float64, and what attention may depend on."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError

from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
from modeling_musicgpt.modeling_musicgpt import (
    QUERY_BLOCK,
    TICK_DISTANCES,
    TOKEN_DISTANCES,
    MusicGPTAttention,
    MusicGPTRelativePositions,
    MusicGPTRotaryEmbedding,
)
from tests.modeling_musicgpt.conftest import TINY, legal_ids, tiny_model


def _angles(positions: torch.Tensor, pairs: int, shortest: float, longest: float) -> torch.Tensor:
    wavelengths = torch.tensor(
        [shortest * (longest / shortest) ** (i / max(1, pairs - 1)) for i in range(pairs)], dtype=torch.double
    )
    return 2 * math.pi * positions[:, None].double() / wavelengths  # (L, pairs)


def _turned(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """`x` of shape `(L, heads, dim)` as complex numbers, turned by `angles` of shape `(L, dim / 2)`."""
    half = x.shape[-1] // 2
    turned = (
        torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles)[:, None]
    )
    return torch.cat((turned.real, turned.imag), dim=-1)


def _with_distances(
    q: torch.Tensor, k: torch.Tensor, places: torch.Tensor, ticks: torch.Tensor, tables: list[torch.Tensor]
) -> torch.Tensor:
    """Scores `(heads, L, L)` of Shaw et al. 2018, one pair at a time: a query times the key and the
    embeddings of both distances.
    """
    length, heads, dim = q.shape
    scores = q.new_zeros(heads, length, length)
    for i in range(length):
        for j in range(i + 1):
            key = k[j].clone()
            for times, edges, table in zip(
                (places, ticks), (TOKEN_DISTANCES, TICK_DISTANCES), tables, strict=True
            ):
                distance = int(times[i] - times[j])
                key += table[sum(edge <= distance for edge in edges) - 1].view(heads, dim)
            scores[:, i, j] = (q[i] * key).sum(-1)
    return scores


def reference_logits(model: MusicGPTForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Logits `(L, vocab)` of one row of ids, from the weights alone and without the model's own code (the
    state excepted).
    """
    w = {name: value.double() for name, value in model.state_dict().items()}
    config, state = model.config, model.model.musical_state(ids)
    heads, dim = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    music = {name.split(".")[-2]: value for name, value in w.items() if "musical_embedding" in name}
    voices = [
        music[name][getattr(state, name)[0]] for name in ("voice_pitch", "voice_remaining", "voice_elapsed")
    ]
    x = w["model.embed_tokens.weight"][ids[0]] + music["bar_position"][state.bar_position[0]]
    if config.bar_encoding == "both":
        x = x + music["bar"][state.bar[0] % config.bar_period]
    x = x + torch.cat(voices, -1).flatten(1) @ music["voice_proj"].T + music["wish"][state.wishes[0]].sum(1)
    x = x + music["interval"][state.interval[0]] + music["motif"][state.motif[0]]

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred
            / (centred.square().mean(-1, keepdim=True) + config.layer_norm_eps).sqrt()
            * w[f"{name}.weight"]
            + w[f"{name}.bias"]
        )

    length = ids.shape[1]
    by_token = round(dim // 2 * 0.375)
    turns = torch.cat(
        (
            _angles(torch.arange(length), by_token, 2 * math.pi, 2048.0),
            _angles(state.ticks[0], dim // 2 - by_token, 12.0, 2304.0),
        ),
        dim=1,
    )
    future = torch.ones(length, length).triu(1).bool()
    for i in range(config.num_hidden_layers):
        layer = f"model.layers.{i}"
        h = norm(x, f"{layer}.input_layernorm")
        q, k, v = ((h @ w[f"{layer}.self_attn.{n}_proj.weight"].T).view(length, heads, dim) for n in "qkv")
        if config.relative_attention == "learned":
            tables = [w[f"{layer}.self_attn.relative.{n}.weight"] for n in ("token", "time")]
            scores = _with_distances(q, k, torch.arange(length), state.ticks[0], tables) / math.sqrt(dim)
        else:
            scores = torch.einsum("qhd,khd->hqk", _turned(q, turns), _turned(k, turns)) / math.sqrt(dim)
        weights = scores.masked_fill(future, -math.inf).softmax(-1)
        x = (
            x
            + torch.einsum("hqk,khd->qhd", weights, v).reshape(length, -1)
            @ w[f"{layer}.self_attn.o_proj.weight"].T
        )
        h = norm(x, f"{layer}.post_attention_layernorm") @ w[f"{layer}.mlp.up_proj.weight"].T
        x = x + (h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))) @ w[f"{layer}.mlp.down_proj.weight"].T
    x = norm(x, "model.norm")
    logits = x @ w["lm_head.weight"].T
    scores = (x @ w["melodic_head.proj.weight"].T).view(length, config.max_voices, 49)
    first, count = config.token_blocks["NOTE"]
    for row in range(length):
        for voice, last in enumerate(state.voice_pitch[0, row].tolist()):
            for note in range(count):
                if last and abs(note + 1 - last) <= 24:
                    logits[row, first + note] += scores[row, voice, note + 1 - last + 24]
    scores = x @ w["imitation_head.proj.weight"].T + w["imitation_head.proj.bias"]
    return imitated(logits, scores, w["imitation_head.entry"], state.expectation[0], config)


def imitated(
    logits: torch.Tensor,
    scores: torch.Tensor,
    entry: torch.Tensor,
    expectation: torch.Tensor,
    config: MusicGPTConfig,
) -> torch.Tensor:
    """`logits` with what imitation adds, from its 32 scores: 4 x 5 for pitches two semitones around the
    expected one, 8 for durations, 4 for times; odd kinds of agreement, which reach back to an entry, get
    `entry` besides.
    """

    def score(row: int, place: int, kind: int) -> torch.Tensor:
        return scores[row, place] + (entry[place] if kind % 2 else 0)

    voices = config.max_voices
    (note, count), duration, time = (config.token_blocks[name] for name in ("NOTE", "DUR", "TIME"))
    for row, values in enumerate(expectation.tolist()):
        for pitch, match in zip(values[:voices], values[voices : 2 * voices], strict=True):
            for k in range(5) if match else ():
                if 0 <= pitch - 3 + k < count:
                    logits[row, note + pitch - 3 + k] += score(row, 5 * ((match - 1) // 2) + k, match)
        token, case, step, match = values[2 * voices :]
        if token:
            logits[row, duration[0] + token - 1] += score(
                row, 20 + (case - 1) // 4 * 2 + (case - 1) % 2, (case - 1) // 2 + 1
            )
        if step:
            logits[row, time[0] + step - 1] += score(row, 28 + (match - 1) // 2, match)
    return logits


@pytest.mark.parametrize(
    ("tied", "relative"), [(True, "time_and_token"), (False, "time_and_token"), (True, "learned")]
)
def test_agrees_with_the_forward_written_out(tied, relative):
    """Attention scale, relative offsets, untied weights, the melodic and the imitation head are each in
    it.
    """
    model = tiny_model(
        seed=5, tie_word_embeddings=tied, bar_encoding="both", relative_attention=relative
    ).double()
    assert (model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()) == tied
    ids = torch.tensor([legal_ids(90, seed=6)])
    expected = reference_logits(model, ids)
    assert expected.std() > 0.5
    # the model's angles are float32
    torch.testing.assert_close(model(ids).logits[0], expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("kind", ["time", "token", "none"])
def test_each_kind_of_distance_ignores_the_other(kind):
    rotary = MusicGPTRotaryEmbedding(MusicGPTConfig(**TINY, relative_attention=kind))
    places, ticks = torch.arange(5)[None], torch.arange(0, 50, 10)[None]
    here = torch.stack(rotary(places, ticks, torch.float32))
    assert torch.equal(torch.stack(rotary(places + 3, ticks, torch.float32)), here) == (kind != "token")
    assert torch.equal(torch.stack(rotary(places, ticks + 3, torch.float32)), here) == (kind != "time")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_learned_distances_are_exact_wherever_a_piece_stands(dtype):
    """Places and ticks go through the cache as channels of the keys, in every type of number."""
    torch.manual_seed(0)
    relative = MusicGPTRelativePositions(MusicGPTConfig(**TINY, relative_attention="learned")).double()
    query, key = torch.randn(2, 1, 2, 20, 16, dtype=torch.double)
    places, ticks = torch.arange(20)[None], torch.randint(0, 90, (1, 20)).cumsum(1)

    def added(places: torch.Tensor, ticks: torch.Tensor) -> torch.Tensor:
        marked = relative.mark(key.to(dtype), (places, ticks))
        back, there = relative.unmark(marked.double())
        scores = relative(query, (places, ticks), there, None)
        assert marked.dtype == dtype and torch.equal(back, key.to(dtype).double())
        return scores.tril()

    here = added(places, ticks)
    assert torch.equal(added(places + 60_000, ticks), here)
    assert torch.equal(added(places, ticks + 200_000_000), here)
    assert not torch.equal(added(places * 2, ticks), here)
    assert not torch.equal(added(places, ticks * 2), here)


def _plain_attention(
    attention: MusicGPTAttention, hidden: torch.Tensor, places: tuple[torch.Tensor, ...], mask: torch.Tensor
) -> torch.Tensor:
    """Attention with learned distances as it is defined: an embedding for every pair of query and key."""
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    q, k, v = (proj(hidden).unflatten(-1, (-1, attention.head_dim)) for proj in projections)
    scores = torch.einsum("bihd,bjhd->bhij", q, k)
    tables = attention.relative.token, attention.relative.time
    for times, edges, table in zip(places, (TOKEN_DISTANCES, TICK_DISTANCES), tables, strict=True):
        distance = (times[:, :, None] - times[:, None]).clamp(min=0)
        bucket = (distance[..., None] >= torch.tensor(edges)).sum(-1) - 1
        pairs = table(bucket).unflatten(-1, (-1, attention.head_dim))
        scores = scores + torch.einsum("bihd,bijhd->bhij", q, pairs)
    weights = (scores * attention.scaling).masked_fill(~mask, -1e300).softmax(-1)
    return attention.o_proj(torch.einsum("bhij,bjhd->bihd", weights, v).flatten(2))


@pytest.mark.parametrize(
    ("pieces", "mask_type"),
    [
        ("one", "none"),
        *itertools.product(("one", "packed", "padded"), ("seen", "seen by each head", "added")),
    ],
)
def test_learned_distances_in_blocks_are_the_definition(pieces, mask_type):
    """Values and gradients, with two pieces in a row or a row that begins later."""
    length = 2 * QUERY_BLOCK + 23
    torch.manual_seed(0)
    config = MusicGPTConfig(**TINY, relative_attention="learned")
    config._attn_implementation = "sdpa"
    attention = MusicGPTAttention(config, 0).double()
    hidden = torch.randn(2, length, 32, dtype=torch.double, requires_grad=True)
    place, tick = torch.arange(length).expand(2, -1), torch.randint(0, 60, (2, length)).cumsum(1)
    mask = torch.ones(2, 1, length, length, dtype=torch.bool).tril()
    if pieces == "packed":  # the second piece begins anew in places, ticks and what it sees
        mask[:, :, 90:, :90] = False
        place, tick = (torch.cat((x[:, :90], x[:, 90:] - x[:, 90:91]), dim=1) for x in (place, tick))
    if pieces == "padded":
        mask[1, :, :, :70] = False
        place = torch.stack((place[0], (place[1] - 70).clamp(min=0)))
    if mask_type == "seen by each head":
        mask = torch.cat((mask, mask & (torch.rand(mask.shape) < 0.5)), dim=1)
    added = torch.zeros(mask.shape, dtype=torch.double).masked_fill(~mask, -1e300)
    given = {"none": None, "added": added}.get(mask_type, mask)

    sees = mask.any(dim=-1).all(dim=1)[..., None]  # of what sees nothing nobody asks
    got = attention(hidden, None, (place, tick), given)[0] * sees
    wanted = _plain_attention(attention, hidden, (place, tick), mask) * sees
    torch.testing.assert_close(got, wanted, atol=1e-12, rtol=0)
    towards, leaves = torch.randn_like(got), (hidden, *attention.parameters())
    for one, other in zip(
        torch.autograd.grad((got * towards).sum(), leaves),
        torch.autograd.grad((wanted * towards).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


def test_learned_positions_learn_and_refuse_what_cannot_have_them():
    model = tiny_model(relative_attention="learned").train()
    ids = torch.tensor([legal_ids(60, seed=4)])
    model(ids, labels=ids).loss.backward()
    for layer in model.model.layers:
        for table in (layer.self_attn.relative.token, layer.self_attn.relative.time):
            assert table.weight.grad.abs().sum(1).count_nonzero() > 5
    model.set_attn_implementation("flex_attention")
    with pytest.raises(ValueError, match=r"'learned' adds .* use set_attn_implementation\('sdpa'\)"):
        model(ids)


@pytest.mark.parametrize("relative", ["time_and_token", "learned"])
def test_what_comes_later_changes_nothing(relative):
    model = tiny_model(seed=1, relative_attention=relative).double()
    torch.manual_seed(2)
    ids = torch.randint(0, 150, (2, 50))
    changed = ids.clone()
    changed[:, 30:] = torch.randint(0, 150, (2, 20))
    assert torch.equal(model(ids).logits[:, :30], model(changed).logits[:, :30])


def test_size_of_the_default_model():
    model = MusicGPTForCausalLM(MusicGPTConfig())
    assert abs(model.num_parameters() - 4_290_000) <= 0.005 * 4_290_000


def test_initial_weights_are_those_asked_for():
    torch.manual_seed(0)
    model = MusicGPTForCausalLM(MusicGPTConfig())
    std = {name: value.std().item() for name, value in model.named_parameters()}
    assert std["model.layers.0.self_attn.q_proj.weight"] == pytest.approx(0.02, rel=0.02)
    assert std["model.layers.3.mlp.down_proj.weight"] == pytest.approx(0.02 / math.sqrt(8), rel=0.02)
    assert std["model.layers.3.self_attn.o_proj.weight"] == pytest.approx(0.02 / math.sqrt(8), rel=0.02)
    assert not model.melodic_head.proj.weight.any()
    assert not model.model.embed_tokens.weight[0].any()
    loss = model(torch.tensor([legal_ids(200)]), labels=torch.tensor([legal_ids(200)])).loss
    assert loss.item() == pytest.approx(math.log(150), abs=0.2)


@pytest.mark.parametrize("relative", ["time_and_token", "learned"])
def test_eager_and_sdpa_agree(relative):
    ids = torch.tensor([legal_ids(70, seed=3)])
    mask = torch.ones_like(ids)
    model = tiny_model(relative_attention=relative)
    logits = {}
    for name in ("eager", "sdpa"):
        model.set_attn_implementation(name)
        logits[name] = model(ids, attention_mask=mask).logits
    torch.testing.assert_close(logits["eager"], logits["sdpa"], atol=1e-5, rtol=0)
    with pytest.raises((ValueError, ImportError), match=r"[Ff]lash"):
        model.set_attn_implementation("flash_attention_2")


def test_gradient_checkpointing_changes_no_gradient():
    ids = torch.tensor([legal_ids(60, seed=4)])
    gradients = {}
    for kind in (None, True, False):
        model = tiny_model(hidden_dropout=0.0).train()
        if kind is not None:
            model.gradient_checkpointing_enable({"use_reentrant": kind})
        model(ids, labels=ids).loss.backward()
        gradients[kind] = torch.cat([p.grad.flatten() for p in model.parameters()])
    for kind in (True, False):
        torch.testing.assert_close(gradients[kind], gradients[None], atol=1e-6, rtol=1e-5)


def test_a_scale_of_the_logits_is_that_of_their_type(tiny):
    """By type of token, in all ways of running: the whole, step by step, compiled, with other vocabularies."""
    scale = {"NOTE": 0.8, "TIME": 1.3}
    model = tiny_model(logit_scale=scale)
    ids = torch.tensor([legal_ids(50, seed=5)])
    factors = torch.ones(150)
    factors[27:91], factors[128:150] = 0.8, 1.3
    wanted = tiny(ids).logits * factors
    torch.testing.assert_close(model(ids).logits, wanted)
    first = model(ids[:, :30], use_cache=True)
    rest = model(ids[:, 30:], cache=first.past_key_values)
    torch.testing.assert_close(torch.cat((first.logits, rest.logits), dim=1), wanted, atol=1e-5, rtol=1e-5)
    model.config.logit_scale = {"NOTE": 0.8}  # what was kept for the steps before does not count any more
    assert model(ids).logits[..., 128:].equal(tiny(ids).logits[..., 128:])
    model.config.logit_scale = scale
    assert MusicGPTConfig(**TINY).logit_scales() is None
    model.resize_token_embeddings(153)
    torch.testing.assert_close(model(ids).logits[..., :150], wanted)
    for wrong in ({"NOTES": 1.0}, {"NOTE": 0.0}, {"NOTE": math.nan}, {"DUR": "1"}, {"DUR": True}):
        with pytest.raises((StrictDataclassError, ValueError), match="logit_scale"):
            MusicGPTConfig(logit_scale=wrong)


def test_logits_to_keep_and_labels(tiny):
    ids = torch.tensor([legal_ids(50, seed=5), legal_ids(50, seed=6)])
    full = tiny(ids, labels=ids)
    torch.testing.assert_close(tiny(ids, logits_to_keep=1).logits, full.logits[:, -1:])
    torch.testing.assert_close(
        tiny(ids, logits_to_keep=torch.tensor([3, 17])).logits, full.logits[:, [3, 17]]
    )
    wanted = torch.nn.functional.cross_entropy(full.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    torch.testing.assert_close(full.loss, wanted)


def test_resizing_keeps_what_tokens_mean():
    model = tiny_model()
    ids = torch.tensor([legal_ids(80, seed=7)])
    before = model(ids).logits
    model.resize_token_embeddings(153)
    after = model(ids).logits
    torch.testing.assert_close(after[..., :150], before)
    strange = torch.cat((ids, torch.tensor([[152]])), dim=1)
    assert torch.isfinite(model(strange).logits).all()
    out = model.generate(strange, max_new_tokens=20, do_sample=True)
    assert (out[:, 81:] < 150).all()  # the new tokens have no place in the grammar
    model.resize_token_embeddings(99)
    assert not hasattr(model, "melodic_head") and not model.config.is_musical
    assert torch.isfinite(model(ids.clamp(max=98)).logits).all()


def test_contradictions_in_a_config_are_named():
    with pytest.raises(Exception, match="must be an even multiple of num_attention_heads"):
        MusicGPTConfig(hidden_size=100, num_attention_heads=8)
    with pytest.raises(Exception, match=r"'relative_attention'(?s:.*)'ticks' is unknown"):
        MusicGPTConfig(relative_attention="ticks")
    with pytest.raises(Exception, match="there are 22 TIME tokens"):
        MusicGPTConfig(time_steps=[0, 1])


WRONG = {
    "bar_period": [0, 2.0, True], "num_attention_heads": [0], "hidden_size": ["256"], "layer_norm_eps": [math.nan],
    "hidden_dropout": [1.0], "num_motifs": [-1], "max_position_embeddings": [2**31], "voice_encoding": [1],
    "hidden_act": ["sine"], "max_voices": [4], "bos_token_id": [150], "lowest_pitch": [100], "default_bar_ticks": [0],
    "meter_ticks": [[0] * 12], "durations": [[0.5] * 32], "time_steps": [[2**40] * 22],
    "token_blocks": [{"NOTE": [27, 64]}, [1]],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_values_out_of_range_are_named(name, value):
    """They reach machine code: a `bar_period` of 0 was a division by zero there."""
    with pytest.raises((StrictDataclassError, ValueError), match=name):
        MusicGPTConfig(**{name: value})
    if name == "bar_period":
        config = MusicGPTConfig()
        with pytest.raises(StrictDataclassError, match=name):
            config.bar_period = value
