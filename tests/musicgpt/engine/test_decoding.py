"""The engine gives what the stock loop gives: tokens and random numbers, whatever `generate()` is asked
for.
"""

from __future__ import annotations

import contextlib
import threading

import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from modeling_musicgpt import engine_musicgpt
from musicgpt.engine import EngineError, library
from musicgpt.engine.decoding import Decoding
from musicgpt.engine.rows import Rows

from .models import PROMPT, make_model, prompt, random_piece


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def shipped():
    """The default architecture with its real sizes."""
    return make_model(
        hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=8, num_motifs=3571
    )


def both(model, ids, seed: int = 0, expect_fast: bool = True, **arguments):
    """The results of both loops, which must agree, and the state of the random generator after them."""
    results = []
    for fast in (True, False):
        model.fast_decoding = fast
        try:
            torch.manual_seed(seed)
            results.append((model.generate(ids, **arguments), torch.get_rng_state()))
        finally:
            model.fast_decoding = True
        if fast and expect_fast:
            assert model.stock_loop_because is None
    (quick, after_quick), (usual, after_usual) = results
    assert torch.equal(quick, usual)
    assert torch.equal(after_quick, after_usual)
    return quick


class Higher(LogitsProcessor):
    """Likes high tokens, at each place another much."""

    def __call__(self, input_ids, scores):
        return scores + (input_ids.shape[1] % 7) * torch.linspace(0, 1, scores.shape[-1])


class TestSameTokens:
    ARGUMENTS = [
        {"do_sample": False},
        {"do_sample": True, "top_k": 50, "top_p": 0.95},
        {"do_sample": True, "top_k": 0, "temperature": 0.7, "min_p": 0.05},
        {"do_sample": True, "top_k": 3, "repetition_penalty": 1.3},
        {"do_sample": True, "constrain_grammar": False},
        {"do_sample": True, "end_at_bar": False, "min_new_tokens": 60},
        {"do_sample": True, "num_return_sequences": 3, "top_p": 0.9},
        {"do_sample": True, "eos_token_id": [2, 40], "min_length": 20},
        {"do_sample": True, "suppress_tokens": [30, 140], "no_repeat_ngram_size": 6},
        {"do_sample": True, "typical_p": 0.9, "num_return_sequences": 2},
    ]

    @pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda a: " ".join(f"{k}={v}" for k, v in a.items()))
    def test_one_prompt(self, model, arguments):
        for seed in range(2):
            both(model, torch.tensor([PROMPT]), seed, max_new_tokens=64, **arguments)

    @pytest.mark.parametrize("sample", [True, False])
    def test_left_padding_and_prompts_that_stop_anywhere(self, model, sample):
        rows = [random_piece(model, length, length) for length in (3, 17, 40, 41, 42, 70)]
        batch = prompt(*rows)
        both(model, **batch, do_sample=sample, top_p=0.95, max_new_tokens=60)

    @pytest.mark.parametrize("threads", [2, 3])
    def test_rows_are_divided_among_threads(self, model, threads, monkeypatch):
        divided, parts = Rows._divide, []

        def divide(rows: Rows) -> None:
            divided(rows)
            parts.append([end - first for first, end, _ in rows.parts])

        monkeypatch.setattr(Rows, "_divide", divide)
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        rows = [random_piece(model, length, length) for length in (3, 17, 40, 41, 42, 70, 12)]
        batch = prompt(*rows)
        both(model, **batch, do_sample=True, top_p=0.95, max_new_tokens=100)
        both(model, torch.tensor([PROMPT] * 7), do_sample=True, num_return_sequences=2, max_new_tokens=80)
        assert parts[0] == {2: [3, 4], 3: [2, 2, 3]}[threads]
        assert sum(parts[1]) == 14
        both(model, **prompt(*rows[:3]), do_sample=True, max_new_tokens=20)
        assert len(parts[-1]) == 1  # so few rows are not divided

    def test_repeated_pitches_are_limited_alike(self):
        model = make_model()
        with torch.no_grad():
            # one NOTE is by far the likeliest
            model.model.norm.bias.copy_(model.model.embed_tokens.weight[60] * 9)
        arguments = {"do_sample": True, "min_new_tokens": 450, "max_new_tokens": 450}
        limited = both(model, torch.tensor([PROMPT] * 2), **arguments)
        free = both(model, torch.tensor([PROMPT] * 2), limit_repetition=False, **arguments)
        assert (limited == 60).sum() < (free == 60).sum()

    def test_what_stands_under_the_mask_is_neither_heard_nor_changed(self, model):
        ids = torch.tensor([[60, 91, 96, *PROMPT], [1, 4, 7, 128, 60, 92]])
        mask = torch.tensor([[0, 0, 0, 1, 1, 1], [1] * 6])
        out = both(model, ids, attention_mask=mask, do_sample=True, max_new_tokens=40)
        assert torch.equal(out[:, :6], ids)
        greedy = {"do_sample": False, "max_new_tokens": 40}
        changed = torch.cat((torch.tensor([[2, 33, 140]]), ids[:1, 3:]), dim=1)
        other = both(model, changed, attention_mask=mask[:1], **greedy)
        assert torch.equal(other[:, 3:], both(model, ids[:1, 3:], **greedy))

    def test_prompts_that_break_the_grammar(self, model):
        rows = [random_piece(model, 30, seed, grammatical=False) for seed in range(3)]
        rows = [[t for t in row if t not in (0, 2)] for row in rows]
        batch = prompt(*rows, [34, 92, 100])
        both(model, **batch, do_sample=True, max_new_tokens=40)


class TestAroundTheLoop:
    def test_streamer_gets_every_column_and_the_end(self, model):
        class Collect(BaseStreamer):
            def __init__(self):
                self.columns, self.ended = [], False

            def put(self, value):
                self.columns.append(value.clone())

            def end(self):
                self.ended = True

        for rows in (1, 3):
            ids, streamer = torch.tensor([PROMPT] * rows), Collect()
            torch.manual_seed(1)
            out = model.generate(ids, do_sample=True, max_new_tokens=50, streamer=streamer)
            assert model.stock_loop_because is None
            assert streamer.ended
            # The first put is the prompt.
            assert torch.equal(torch.stack(streamer.columns[1:], dim=1), out[:, len(PROMPT) :])
            assert torch.equal(out, both(model, ids, 1, do_sample=True, max_new_tokens=50))

    def test_stopping_criteria_of_single_rows(self, model):
        class Stop(StoppingCriteria):
            def __call__(self, input_ids, scores, **kwargs):
                return torch.tensor([input_ids.shape[1] >= 10 + 5 * row for row in range(len(input_ids))])

        for rows in (1, 3):
            ids, criteria = torch.tensor([PROMPT] * rows), StoppingCriteriaList([Stop()])
            out = both(model, ids, 2, do_sample=True, max_new_tokens=60, stopping_criteria=criteria)
            assert out.shape[1] <= 20

    def test_cancel_from_another_thread(self, model):
        event = threading.Event()

        class Cancel(StoppingCriteria):
            def __call__(self, input_ids, scores, **kwargs):
                if input_ids.shape[1] == 30:
                    thread = threading.Thread(target=event.set)
                    thread.start()
                    thread.join()
                return torch.full((len(input_ids),), event.is_set())

        criteria, length = StoppingCriteriaList([Cancel()]), {"min_new_tokens": 400, "max_new_tokens": 400}
        out = model.generate(torch.tensor([PROMPT]), do_sample=True, stopping_criteria=criteria, **length)
        assert out.shape[1] == 30
        assert model.stock_loop_because is None

    def test_changed_weights_are_seen(self):
        model, ids = make_model(), torch.tensor([PROMPT])
        before = both(model, ids, do_sample=False, max_new_tokens=30)
        for parameter in model.parameters():
            parameter.data.mul_(0.5)  # does not change the parameter's version
        assert not torch.equal(before, both(model, ids, do_sample=False, max_new_tokens=30))

    def test_error_for_weights_that_are_not_numbers(self):
        model = make_model()
        with torch.no_grad():
            model.model.norm.bias[3] = float("nan")
        with pytest.raises(RuntimeError, match="nan"):
            model.generate(torch.tensor([PROMPT]), do_sample=True, max_new_tokens=4)
        assert model.stock_loop_because is None

    def test_two_threads_at_once(self, model):
        ids, results = torch.tensor([PROMPT]), {}
        alone = model.generate(ids, do_sample=False, max_new_tokens=60)

        def work(name):
            results[name] = model.generate(ids, do_sample=False, max_new_tokens=60)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(results) == 3
        assert all(torch.equal(alone, result) for result in results.values())


class TestFallingThrough:
    @pytest.mark.parametrize(
        "arguments, because",
        [
            ({"return_dict_in_generate": True}, "return_dict"),
            ({"cache_implementation": "static"}, "cache"),
            ({"use_cache": False}, "cache"),
        ],
    )
    def test_arguments(self, model, arguments, because):
        model.generate(torch.tensor([PROMPT]), max_new_tokens=3, do_sample=False, **arguments)
        assert because in model.stock_loop_because

    def test_models(self):
        ids = torch.tensor([PROMPT])
        cases = {
            "dropout": lambda m: m.train(),
            "float32": lambda m: m.double(),
            "hooks": lambda m: m.model.layers[0].register_forward_hook(lambda *_: None),
            "configuration": lambda m: setattr(m.config, "hidden_act", "relu"),
            "fast_decoding": lambda m: setattr(m, "fast_decoding", False),
            "part of type": lambda m: setattr(m.model.layers[0].mlp, "act_fn", _Other()),
        }
        for because, change in cases.items():
            model = make_model()
            change(model)
            model.generate(ids, max_new_tokens=2, do_sample=False)
            assert because in model.stock_loop_because, because
        learned = make_model(relative_attention="learned")
        learned.generate(ids, max_new_tokens=2, do_sample=False)
        assert "relative_attention='learned'" in learned.stock_loop_because
        for no_bos in (-1, None):
            model = make_model(bos_token_id=no_bos)
            model.generate(ids, max_new_tokens=2, do_sample=False)
            assert "and a <bos>" in model.stock_loop_because

    def test_mask_with_holes_and_inputs_embeds(self, model):
        ids = torch.tensor([[*PROMPT, 128, 40]])
        mask = torch.tensor([[1, 1, 0, 1, 1]])
        model.generate(ids, attention_mask=mask, max_new_tokens=3, do_sample=False)
        assert "mask" in model.stock_loop_because
        model.generate(inputs_embeds=model.model.embed_tokens(ids), max_new_tokens=3, do_sample=False)
        assert model.stock_loop_because is not None

    @pytest.mark.parametrize(
        "arguments, because",
        [
            ({"num_beams": 2}, "beams"),
            ({"prompt_lookup_num_tokens": 2}, "proposes"),
            ({"assistant_model": "itself"}, "proposes"),
            ({"guidance_scale": 2.0}, "guidance"),
            ({"custom_generate": lambda model, input_ids, **_: input_ids}, "custom_generate"),
            ({"max_new_tokens": -3}, "refused"),
        ],
    )
    def test_other_ways_of_decoding_are_named_and_forgotten(self, arguments, because):
        model = make_model()
        given = {"do_sample": False, "max_new_tokens": 3, **arguments}
        if "assistant_model" in given:
            given["assistant_model"] = model
        with (
            contextlib.nullcontext()
            if given["max_new_tokens"] > 0
            else pytest.raises(ValueError, match="max_new_tokens")
        ):
            model.generate(torch.tensor([PROMPT]), **given)
        assert because in model.stock_loop_because
        model.generate(torch.tensor([PROMPT]), do_sample=False, max_new_tokens=3)
        assert model.stock_loop_because is None

    def test_what_was_recorded_once_does_not_slow_later_calls(self):
        model, ids = make_model(), torch.tensor([PROMPT])
        model.set_attn_implementation("eager")
        more = {"output_hidden_states": True, "output_attentions": True, "return_dict_in_generate": True}
        out = model.generate(ids, max_new_tokens=3, do_sample=False, **more)
        assert len(out.hidden_states) == len(out.attentions) == 3
        assert model(ids, output_hidden_states=True).hidden_states is not None
        assert torch.equal(model.generate(ids, max_new_tokens=3, do_sample=False), out.sequences)
        assert model.stock_loop_because is None

    def test_one_warning_without_the_library(self, model, monkeypatch, tmp_path):
        monkeypatch.setattr(engine_musicgpt, "_warned", False)
        monkeypatch.setattr(library, "_loaded", EngineError("no compiler"))
        with pytest.warns(UserWarning, match="stock loop") as caught:
            out = [
                model.generate(torch.tensor([PROMPT]), max_new_tokens=3, do_sample=False) for _ in range(2)
            ]
        assert sum("no compiler" in str(w.message) for w in caught) == 1
        assert out[1].shape == (1, 6)
        assert "no compiler" in model.stock_loop_because

    def test_another_version_of_the_models_code(self, model, monkeypatch):
        monkeypatch.setattr(engine_musicgpt, "INTERFACE", 0)
        monkeypatch.setattr(engine_musicgpt, "_warned", True)
        model.generate(torch.tensor([PROMPT]), max_new_tokens=3, do_sample=False)
        assert "version" in model.stock_loop_because


class TestProcessorsInAnyOrder:
    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"top_k": 20, "top_p": 0.9, "min_p": 0.01, "temperature": 1.2},
            {"repetition_penalty": 1.2, "min_new_tokens": 30},
            {"suppress_tokens": [30]},
            {"typical_p": 0.9, "top_k": 30},
            {"epsilon_cutoff": 0.01},
            {"renormalize_logits": True},
        ],
        ids=lambda a: " ".join(a),
    )
    def test_a_processor_of_ones_own_among_the_others(self, model, arguments):
        for rows in (1, 3):
            processors = LogitsProcessorList([Higher()])
            sampling = {"do_sample": True, "max_new_tokens": 40, "logits_processor": processors, **arguments}
            both(model, torch.tensor([PROMPT] * rows), 4, **sampling)

    def test_what_comes_before_and_behind_it_runs_in_the_engine(self, model, monkeypatch):
        plans = []
        planned = Decoding._plan
        monkeypatch.setattr(
            Decoding, "_plan", lambda self, processors: plans.append(planned(self, processors)) or plans[-1]
        )
        own = Higher()
        arguments = {"do_sample": True, "top_k": 20, "max_new_tokens": 12}
        model.generate(torch.tensor([PROMPT]), logits_processor=LogitsProcessorList([own]), **arguments)
        plan, last = plans[0]
        assert [type(part).__name__ for part in plan] == ["Struct", "Higher"]
        assert plan[0].use_grammar and plan[0].use_repetition and not last.use_grammar
        assert last.top_k == 20
        model.generate(torch.tensor([PROMPT]), **arguments)
        assert plans[1][0] == []

    @pytest.mark.parametrize("rows", [1, 3])
    def test_what_was_guessed_right_needs_no_pass(self, shipped, rows, monkeypatch):
        """Rows that are alike guess alike: a pass serves all of them for several steps."""
        made, run = [], Decoding.run
        monkeypatch.setattr(Decoding, "run", lambda self: made.append(self) or run(self))
        ids, own = torch.tensor([PROMPT] * rows), LogitsProcessorList([Higher()])
        out = shipped.generate(ids, do_sample=False, max_new_tokens=120, logits_processor=own)
        steps = out.shape[1] - ids.shape[1]
        assert made[0].plan and made[0].passes < 0.8 * steps


class _Other(torch.nn.Module):
    def forward(self, x):
        return x
