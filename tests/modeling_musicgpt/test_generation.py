"""Grammar and end at a bar line inside `generate()`."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from modeling_musicgpt import MusicGPTForCausalLM, musical_generation_config
from tests.modeling_musicgpt.conftest import legal_ids, tiny_model
from tokenization import MusicGPTTokenizer, MusicGPTTokenizerFast
from tokenization.codec import decode, first_error
from tokenization.vocabulary import BOS_ID, EOS_ID, PAD_ID, TOKEN_TO_ID, VOCAB_SIZE

PREFIX = [BOS_ID, TOKEN_TO_ID["MODE_minor"], TOKEN_TO_ID["METER_3/4"]]


def _batch(rows: list[list[int]]) -> dict[str, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([[PAD_ID] * (width - len(row)) + row for row in rows])
    return {"input_ids": ids, "attention_mask": (ids != PAD_ID).long()}


PROMPTS = [PREFIX, *(legal_ids(39 + seed, seed) for seed in range(1, 5))]  # inside a note, too


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_beams": 3},
        {"num_return_sequences": 2},
        {"use_cache": False},
        {"cache_implementation": "static"},
    ],
)
def test_batches_of_prompts_in_any_state_give_legal_pieces(tiny, arguments):
    torch.manual_seed(1)
    output = tiny.generate(
        **_batch(PROMPTS), do_sample=True, max_new_tokens=30, disable_compile=True, **arguments
    )
    assert len(output) == len(PROMPTS) * arguments.get("num_return_sequences", 1)
    for row in output.tolist():
        assert first_error(row) is None


def test_switched_off_it_is_the_stock_generate(tiny):
    torch.manual_seed(1)
    arguments = {**_batch(PROMPTS), "do_sample": True, "max_new_tokens": 30, "eos_token_id": None}
    output = tiny.generate(**arguments, constrain_grammar=False)
    assert output.shape[1] == 43 + 30
    assert all(first_error(row) is not None for row in output.tolist())


@pytest.mark.parametrize("budget, meter", [(9, "3/2"), (30, "2/4"), (75, "12/8"), (200, "12/16")])
def test_pieces_end_at_a_bar_line_within_the_budget(tiny, budget, meter):
    prompts = [[BOS_ID, TOKEN_TO_ID[f"METER_{meter}"]], legal_ids(30, seed=5), legal_ids(33, seed=6)]
    batch = _batch(prompts)
    width = batch["input_ids"].shape[1]
    torch.manual_seed(budget)
    # An untrained model would end pieces anywhere: <eos> is left to the end at the bar line.
    quiet = LogitsProcessorList([_Unlikely(EOS_ID)])
    output = tiny.generate(**batch, do_sample=True, max_new_tokens=budget, logits_processor=quiet)
    assert output.shape[1] <= width + budget
    meter = tiny.model.musical_state.meter(output)
    for row, positions in zip(output.tolist(), meter.bar_position.tolist(), strict=True):
        assert first_error(row) is None
        assert EOS_ID in row
        end = row.index(EOS_ID)
        assert positions[end] == 0
        assert end + 1 - width >= min(budget * 0.3, budget - 120)  # it does not stop long before either


def test_without_the_end_at_the_bar_line_the_budget_cuts(tiny):
    torch.manual_seed(2)
    quiet = LogitsProcessorList([_Unlikely(EOS_ID)])
    output = tiny.generate(
        **_batch(PROMPTS), do_sample=True, max_new_tokens=61, end_at_bar=False, logits_processor=quiet
    )
    assert output.shape[1] == 43 + 61
    assert EOS_ID not in output


def test_too_small_a_budget_still_ends_between_notes_where_it_can(tiny):
    note, voice, duration = TOKEN_TO_ID["NOTE_60"], TOKEN_TO_ID["VOICE_0"], TOKEN_TO_ID["DUR_24"]
    inside = [*PREFIX, TOKEN_TO_ID["TIME_1"], note]
    after = [*inside, voice, duration]
    for prompt, budget, ends in ((after, 2, True), (inside, 4, True), (inside, 3, False), (after, 1, False)):
        output = tiny.generate(torch.tensor([prompt]), max_new_tokens=budget)[0].tolist()
        assert first_error(output) is None
        assert (output[-1] == EOS_ID) == ends


class _Unlikely(LogitsProcessor):
    """Makes a token the last choice without forbidding it."""

    def __init__(self, token: int):
        self.token = token

    def __call__(self, input_ids, scores):
        scores = scores.clone()
        scores[:, self.token] -= 1e4
        return scores


class _Keep(LogitsProcessor):
    """Remembers what it is given: that is what comes out of the processors before the warpers."""

    def __init__(self):
        self.seen = []

    def __call__(self, input_ids, scores):
        self.seen.append(scores.clone())
        return scores


def test_the_mask_comes_before_callers_processors_and_warpers(tiny):
    keep = _Keep()
    ids = torch.tensor([[*PREFIX, TOKEN_TO_ID["TIME_0"]]])
    how = {"do_sample": True, "top_k": 3, "max_new_tokens": 8, "end_at_bar": False}
    tiny.generate(ids, logits_processor=LogitsProcessorList([keep]), **how)
    finite = [int((scores > -torch.inf).sum()) for scores in keep.seen]
    assert finite[:4] == [64, 5, 32, 22]  # all notes, voices, durations, steps: top-k has not been here yet


def test_without_an_end_token_the_piece_goes_on(tiny):
    torch.manual_seed(3)
    output = tiny.generate(torch.tensor([PREFIX]), do_sample=True, max_new_tokens=120, eos_token_id=None)
    assert output.shape[1] == 123
    assert first_error(output[0].tolist()) is None
    assert len(decode(output[0].tolist()).score) > 12


@pytest.mark.parametrize("scale", [1.5, 4.0])
def test_guidance_is_what_its_formula_says(tiny, scale):
    """Classifier-free guidance through transformers' argument: token by token `u + s (c - u)` of full
    forwards, under the grammar's mask.
    """
    prompt, without = [*PREFIX, TOKEN_TO_ID["VOICES_4"]], [BOS_ID, TOKEN_TO_ID["METER_3/4"]]
    mask = torch.ones(1, 2, dtype=torch.long)
    arguments = {"negative_prompt_ids": torch.tensor([without]), "negative_prompt_attention_mask": mask}
    arguments |= {"do_sample": False, "max_new_tokens": 24, "end_at_bar": False, "guidance_scale": scale}
    output = tiny.generate(torch.tensor([prompt]), **arguments)
    new: list[int] = []
    for token in output[0, len(prompt) :].tolist():
        with torch.no_grad():
            wished, free = (
                tiny(torch.tensor([ids + new])).logits[0, -1].log_softmax(-1) for ids in (prompt, without)
            )
        legal = tiny.grammar.mask(torch.tensor([prompt + new]))[0]
        guided = torch.where(legal, free + scale * (wished - free), -torch.inf)
        assert token == int(guided.argmax()), len(new)
        new.append(token)
    assert len(new) == 24


def test_random_prompts_do_not_raise(tiny):
    torch.manual_seed(4)
    output = tiny.generate(
        torch.randint(0, VOCAB_SIZE, (8, 13)), do_sample=True, max_new_tokens=40, eos_token_id=None
    )
    new = output[:, 13:].tolist()
    for row in new:
        first_note = next(i for i, token in enumerate(row) if 27 <= token < 91)
        assert first_error([BOS_ID, TOKEN_TO_ID["TIME_0"], *row[first_note:]]) is None


def test_a_prompt_of_embeddings_is_read(tiny):
    ids = torch.tensor([legal_ids(41, seed=2), legal_ids(41, seed=7)])
    arguments = {"max_new_tokens": 40, "do_sample": False}
    expected = tiny.generate(ids, **arguments)[:, 41:]
    output = tiny.generate(inputs_embeds=tiny.get_input_embeddings()(ids), **arguments)
    assert torch.equal(output, expected)


def test_assisted_decoding_gives_the_greedy_piece(tiny):
    assistant = tiny_model(seed=9)
    ids = torch.tensor([legal_ids(30, seed=8)])
    arguments = {"do_sample": False, "max_new_tokens": 60}
    expected = tiny.generate(ids, **arguments)
    assert torch.equal(tiny.generate(ids, assistant_model=assistant, **arguments), expected)
    assert torch.equal(tiny.generate(ids, prompt_lookup_num_tokens=3, **arguments), expected)


def test_arguments_travel_in_the_generation_config(tmp_path):
    model = tiny_model()
    model.generation_config = musical_generation_config(
        model.config, constrain_grammar=False, end_at_bar=False, max_new_tokens=7
    )
    model.save_pretrained(tmp_path)
    loaded = MusicGPTForCausalLM.from_pretrained(tmp_path)
    kept, _ = loaded._prepare_generation_config(None)
    assert (kept.constrain_grammar, kept.end_at_bar, kept.max_new_tokens) == (False, False, 7)
    asked, _ = loaded._prepare_generation_config(None, constrain_grammar=True)
    assert (asked.constrain_grammar, asked.end_at_bar) == (True, False)
    plain, _ = tiny_model()._prepare_generation_config(GenerationConfig(max_new_tokens=3))
    assert (plain.constrain_grammar, plain.end_at_bar) == (True, True)


@pytest.mark.parametrize(
    "arguments, length",
    [
        ({"max_length": 20}, 20),
        ({"generation_config": GenerationConfig(max_length=21, do_sample=False)}, 21),
        ({"generation_config": GenerationConfig(max_new_tokens=9, do_sample=False), "max_length": 22}, 22),
        # both asked for: transformers warns and takes the new ones
        ({"max_new_tokens": 5, "max_length": 12}, len(PREFIX) + 5),
        ({}, len(PREFIX) + 30),
    ],
)
def test_an_explicit_max_length_counts(arguments, length):
    model = tiny_model()
    model.generation_config = musical_generation_config(model.config, max_new_tokens=30, eos_token_id=None)
    assert model.generate(torch.tensor([PREFIX]), **arguments).shape[1] == length
    assert model.generation_config.max_new_tokens == 30


@pytest.mark.parametrize("kind", [MusicGPTTokenizer, MusicGPTTokenizerFast])
def test_stop_strings(tiny, kind):
    """Tokens end where their text holds a string, be it one token, several, or a part of one."""
    tokenizer = kind()
    ids = torch.tensor([legal_ids(30, seed=8)])
    whole = tiny.generate(ids, do_sample=False, max_new_tokens=60)[0, 30:].tolist()
    words = tokenizer.convert_ids_to_tokens(whole)
    for stop in (words[20], " ".join(words[33:35]), words[41][:-1]):
        got = tiny.generate(
            ids, do_sample=False, max_new_tokens=60, stop_strings=[stop, "NOTE_99"], tokenizer=tokenizer
        )[0, 30:].tolist()
        first = next(n for n in range(1, 61) if stop in " ".join(words[:n]))
        assert got == whole[:first], stop


def test_refusals(tiny):
    with pytest.raises(ValueError, match="constrain_grammar is 'yes'"):
        tiny.generate(torch.tensor([PREFIX]), constrain_grammar="yes")
    with pytest.raises(NotImplementedError, match="continuous batching"):
        tiny.generate_batch([PREFIX], max_new_tokens=4)
    with pytest.raises(NotImplementedError, match="continuous batching"):
        tiny.generate(torch.tensor([PREFIX]), cache_implementation="paged", max_new_tokens=4)


def test_processors_are_called_as_transformers_calls_them(tiny):
    """With two arguments or more, objects and functions; what is missing is named."""

    class More(LogitsProcessor):
        def __call__(self, input_ids, scores, extra):
            return scores + extra

    ids, scores = torch.tensor([[1]]), torch.zeros(1, 150)
    ours = tiny._get_logits_processor(GenerationConfig(max_length=9), input_ids_seq_length=1)
    ours[:] = [lambda ids, scores: 2 * scores + 1, More(), _Unlikely(EOS_ID)]
    for _ in range(2):
        expected = LogitsProcessorList(ours)(ids, scores, extra=3.0)
        assert torch.equal(ours(ids, scores, extra=3.0), expected) and expected[0, 0] == 4
    with pytest.raises(ValueError, match="required parameters"):
        ours(ids, scores)
