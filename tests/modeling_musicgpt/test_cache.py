"""Decoding with a cache gives what the whole sequence gives, in float64, whatever is done to the cache."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import DynamicCache, GenerationMixin, StaticCache

from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
from modeling_musicgpt.cache_musicgpt import CACHE_NAME, CACHE_NAMES
from tests.modeling_musicgpt.conftest import legal_ids, tiny_model

IDS = torch.tensor([legal_ids(64, seed=1), legal_ids(64, seed=2), legal_ids(64, seed=3)])


@pytest.fixture(scope="module", params=["time_and_token", "learned"])
def model(request):
    return tiny_model(seed=3, relative_attention=request.param).double()


@pytest.fixture(autouse=True)
def _decoding():
    """As in `generate()`, where a layer grows in place."""
    with torch.no_grad():
        yield


def close(got: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(got, wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize("chunks", [[1] * 64, [13, 1, 1, 20, 2, 27]])
@pytest.mark.parametrize("kind", ["dynamic", "learning", "static", "own"])
def test_by_hand_in_pieces(model, chunks, kind):
    torch.set_grad_enabled(kind == "learning")
    cache = {
        "dynamic": lambda: DynamicCache(config=model.config),
        "learning": lambda: DynamicCache(config=model.config),
        "static": lambda: StaticCache(config=model.config, max_cache_len=80),
        "own": lambda: None,
    }[kind]()
    parts = []
    for chunk in IDS.split(chunks, dim=1):
        output = model(chunk, cache=cache, use_cache=True)
        cache = output.past_key_values
        parts.append(output.logits)
    close(torch.cat(parts, dim=1), model(IDS).logits)


def test_a_step_copies_no_earlier_keys(model):
    cache = model(IDS[:, :40], use_cache=True).past_key_values
    model(IDS[:, 40:41], cache=cache)
    places = [layer.keys.data_ptr() for layer in cache.layers]
    early = cache.layers[0].keys.clone()
    close(model(IDS[:, 41:60], cache=cache).logits, model(IDS[:, :60]).logits[:, 41:])
    assert [layer.keys.data_ptr() for layer in cache.layers] == places
    assert torch.equal(cache.layers[0].keys[:, :, :41], early)


def test_embeddings_in_pieces(model):
    embeds = model.get_input_embeddings()(IDS)
    first = model(inputs_embeds=embeds[:, :40], use_cache=True)
    second = model(inputs_embeds=embeds[:, 40:], cache=first.past_key_values)
    close(torch.cat((first.logits, second.logits), dim=1), model(IDS).logits)
    third = model(inputs_embeds=embeds[:, :40], use_cache=True).past_key_values
    close(model(IDS[:, 40:], cache=third).logits, second.logits)  # ids after embeddings


def test_cropped_and_continued_otherwise(model):
    other = IDS.clone()
    other[:, 30:] = IDS.roll(1, dims=0)[:, 30:]
    cache = model(IDS, use_cache=True).past_key_values
    cache.crop(-34)
    close(model(other[:, 30:], cache=cache).logits, model(other).logits[:, 30:])
    cache.crop(-10)
    close(model(other[:, 54:], cache=cache).logits, model(other).logits[:, 54:])


def test_reordered_repeated_and_selected(model):
    order = torch.tensor([2, 0, 0])
    cache = model(IDS[:, :50], use_cache=True).past_key_values
    cache.reorder_cache(order)
    rows = torch.cat((IDS[order][:, :50], IDS[:, 50:]), dim=1)
    close(model(IDS[:, 50:], cache=cache).logits, model(rows).logits[:, 50:])

    cache = model(IDS[:, :50], use_cache=True).past_key_values
    cache.batch_repeat_interleave(2)
    rows = IDS.repeat_interleave(2, dim=0)
    close(model(rows[:, 50:], cache=cache).logits, model(rows).logits[:, 50:])

    cache = model(IDS[:, :50], use_cache=True).past_key_values
    cache.batch_select_indices(torch.tensor([2, 1]))
    close(model(IDS[[2, 1], 50:], cache=cache).logits, model(IDS[[2, 1]]).logits[:, 50:])


@torch.no_grad()
def test_a_copied_cache_goes_on_alone(model):
    cache = model(IDS[:, :40], use_cache=True).past_key_values
    model(IDS[:, 40:50], cache=cache)
    copied = copy.deepcopy(cache)
    other = torch.cat((IDS[:, :50], IDS.roll(1, dims=0)[:, 50:]), dim=1)
    for place in range(50, 64):
        now = slice(place, place + 1)
        close(model(IDS[:, now], cache=cache).logits, model(IDS[:, : place + 1]).logits[:, -1:])
        close(model(other[:, now], cache=copied).logits, model(other[:, : place + 1]).logits[:, -1:])


def test_a_static_cache_is_used_again(model):
    cache = StaticCache(config=model.config, max_cache_len=80)
    model(IDS[:, :20], cache=cache)
    cache.reset()
    other = IDS.roll(1, dims=0)
    first = model(other[:, :20], cache=cache).logits
    close(torch.cat((first, model(other[:, 20:], cache=cache).logits), dim=1), model(other).logits)


def test_left_padding(model):
    pads = [0, 5, 17]
    rows = [[0] * pad + IDS[i].tolist()[: 64 - pad] for i, pad in enumerate(pads)]
    padded = torch.tensor(rows)
    mask = torch.tensor([[0] * pad + [1] * (64 - pad) for pad in pads])
    places, early = _positions(mask), mask[:, :40]
    cached = model(padded[:, :40], attention_mask=early, position_ids=places[:, :40], use_cache=True)
    kept = cached.past_key_values
    rest = model(padded[:, 40:], attention_mask=mask, position_ids=places[:, 40:], cache=kept)
    logits = torch.cat((cached.logits, rest.logits), dim=1)
    for i, pad in enumerate(pads):
        alone = model(IDS[i : i + 1, : 64 - pad]).logits[0]
        torch.testing.assert_close(logits[i, pad:], alone, atol=1e-5, rtol=0)


def test_hidden_tokens_are_neither_seen_nor_heard(model):
    """Whatever stands where the mask is 0; without position ids, relative positions make up for the shift."""
    mask = torch.ones_like(IDS)
    mask[:, :9] = 0
    noise = IDS.clone()
    noise[:, :9] = torch.randint(0, 150, (3, 9))
    silent = IDS.clone()
    silent[:, :9] = 0
    close(model(noise, attention_mask=mask).logits[:, 9:], model(silent, attention_mask=mask).logits[:, 9:])
    four = torch.ones(64, 64).tril().bool()[None, None] & mask.bool()[:, None, None]
    torch.testing.assert_close(
        model(noise, attention_mask=four).logits[:, 9:], model(noise, attention_mask=mask).logits[:, 9:]
    )


def test_packed_pieces_under_a_block_mask(model):
    first, second = IDS[:1, :30], IDS[1:2, :34]
    packed = torch.cat((first, second), dim=1)
    piece = torch.tensor([0] * 30 + [1] * 34)
    mask = (torch.ones(64, 64).tril().bool() & (piece[:, None] == piece))[None, None]
    logits = model(packed, attention_mask=mask).logits
    torch.testing.assert_close(logits[:, :30], model(first).logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(logits[:, 30:], model(second).logits, atol=1e-5, rtol=0)


def test_a_cache_without_ids_is_refused(model):
    cache = model(IDS[:, :10], use_cache=True).past_key_values
    foreign = DynamicCache()
    for i, layer in enumerate(cache.layers):
        foreign.update(layer.keys, layer.values, i)
    with pytest.raises(ValueError, match="holds 10 tokens but not their ids"):
        model(IDS[:, 10:], cache=foreign)


def _positions(mask: torch.Tensor) -> torch.Tensor:
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


def test_every_way_of_generating_agrees(model):
    ids, mask = IDS[:, :30], torch.ones_like(IDS[:, :30])
    arguments = {"attention_mask": mask, "max_new_tokens": 30, "eos_token_id": None}
    greedy = model.generate(ids, **arguments)
    for other in (
        {"use_cache": False},
        {"cache_implementation": "static", "disable_compile": True},
        {"logits_to_keep": 0},
    ):
        assert torch.equal(model.generate(ids, **arguments, **other), greedy), other
    beams = model.generate(ids, **arguments, num_beams=3)
    assert torch.equal(model.generate(ids, **arguments, num_beams=3, use_cache=False), beams)
    alone = model.generate(ids[1:2], **{**arguments, "attention_mask": mask[1:2]})
    assert torch.equal(greedy[1:2], alone)


def test_small_vocabularies_run_as_plain_transformers():
    torch.manual_seed(0)
    config = MusicGPTConfig(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=2)
    model = MusicGPTForCausalLM(config).double().eval()
    ids = torch.randint(0, 99, (2, 30))
    first = model(ids[:, :20], use_cache=True)
    close(model(ids[:, 20:], cache=first.past_key_values).logits, model(ids).logits[:, 20:])
    assert model.generate(ids, do_sample=True, max_new_tokens=10, eos_token_id=None).shape == (2, 40)


@pytest.mark.parametrize("name", [*CACHE_NAMES, "whatever_it_will_be_called"])
def test_the_cache_is_known_by_its_type_and_by_both_names(model, name):
    first = model(IDS[:, :40], use_cache=True)
    assert first.past_key_values is first.cache is first[CACHE_NAME]
    close(model(IDS[:, 40:], **{name: first.cache}).logits, model(IDS).logits[:, 40:])
    base = model.model(IDS[:, :40], **{name: DynamicCache()})
    assert base.cache.get_seq_length() == 40
    inputs = model.prepare_inputs_for_generation(IDS, next_sequence_length=24, **{name: base.cache})
    assert inputs[CACHE_NAME] is base.cache
    assert set(inputs) == {CACHE_NAME, "input_ids"}


def test_a_name_that_transformers_gave_up_is_deprecated(model, recwarn):
    for name in CACHE_NAMES:
        model(IDS[:, :4], **{name: DynamicCache()})
        said = [str(w.message) for w in recwarn if w.category is FutureWarning]
        given_up = CACHE_NAMES.index(name) < CACHE_NAMES.index(CACHE_NAME)
        assert any(f"`{name}` is deprecated" in text for text in said) == given_up, (name, said)
        recwarn.clear()


def test_generate_goes_on_from_a_cache_under_either_name(model):
    expected = model.generate(IDS[:1], max_new_tokens=9)
    for name in CACHE_NAMES:
        cache = model(IDS[:1, :40], use_cache=True).cache
        assert torch.equal(model.generate(IDS[:1], **{name: cache}, max_new_tokens=9), expected)


def test_two_caches_and_old_tuples_are_refused(model):
    cache = model(IDS[:, :40], use_cache=True).cache
    with pytest.raises(ValueError, match="Two caches are given, as past_key_values and cache"):
        model(IDS[:, 40:], past_key_values=cache, cache=DynamicCache())
    with pytest.raises(ValueError, match="past_key_values is a tuple; it must be a Cache"):
        model(IDS[:, 40:], past_key_values=((torch.zeros(1), torch.zeros(1)),))


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("cache", [None, DynamicCache])
def test_a_step_without_its_history_is_refused(model, length, cache):
    """However the history was lost: each sign alone is enough. A prompt has none of them."""
    ids, places, mask = (
        IDS[:, 40 : 40 + length],
        torch.arange(40, 40 + length)[None],
        torch.ones(3, 40 + length),
    )
    given = {"cache": cache() if cache else None, "use_cache": True}
    with pytest.raises(ValueError, match="no earlier ones, but the first position is 40"):
        model(ids, position_ids=places, **given)
    with pytest.raises(ValueError, match=f"no earlier ones, but attention_mask covers {40 + length} tokens"):
        model(ids, attention_mask=mask, **given)
    with pytest.raises(ValueError, match="no earlier ones, but attention_mask covers"):
        model(ids, attention_mask=mask.bool()[:, None, None].expand(-1, -1, length, -1), **given)
    model(ids, position_ids=places - 40, attention_mask=mask[:, 40:], **given)


def test_generate_stops_where_its_cache_does_not_arrive(model, monkeypatch):
    """The next renaming: `generate()` looks for the cache where the model does not put it."""

    def forget(self, outputs, model_kwargs, *args, **kwargs):
        kept = GenerationMixin._update_model_kwargs_for_generation(
            self, outputs, model_kwargs, *args, **kwargs
        )
        return {**kept, CACHE_NAME: None}

    monkeypatch.setattr(type(model), "_update_model_kwargs_for_generation", forget, raising=False)
    with pytest.raises(ValueError, match="the history is lost"):
        model.generate(IDS[:1], max_new_tokens=3)
