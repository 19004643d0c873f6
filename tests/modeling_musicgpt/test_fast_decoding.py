"""Fast decoding gives what the usual loop gives: state, logits, tokens, random numbers."""

from __future__ import annotations

import contextlib
import threading

import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

pytest.importorskip("llvmlite")

from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM, fast_music
from modeling_musicgpt.fast_sampling import compiled_program

PROMPT = [1, 4, 7]
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2, "num_motifs": 97}


def make_model(seed: int = 0, **changes) -> MusicGPTForCausalLM:
    """Random weights, none of them zero and large enough that logits differ."""
    torch.manual_seed(seed)
    model = MusicGPTForCausalLM(MusicGPTConfig(**{**SIZES, **changes})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.12)
    return model


@pytest.fixture(scope="module")
def model() -> MusicGPTForCausalLM:
    return make_model()


@pytest.fixture(scope="module")
def shipped() -> MusicGPTForCausalLM:
    """The default architecture with its real sizes."""
    model = make_model(hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=8, num_motifs=3571)
    assert model.config.hidden_size == MusicGPTConfig().hidden_size
    return model


def random_piece(model, length: int, seed: int, grammatical: bool = True) -> list[int]:
    """Tokens from `<bos>` on that the grammar allows, or any."""
    generator, grammar = torch.Generator().manual_seed(seed), model.grammar
    ids, state = [1], int(grammar.next_state[0, 1])
    while len(ids) < length:
        allowed = [t for t in grammar.legal[state].nonzero().flatten().tolist() if t not in (0, 1, 2)]
        allowed = allowed if grammatical else range(150)
        ids.append(allowed[int(torch.randint(len(allowed), (), generator=generator))])
        state = int(grammar.next_state[state, ids[-1]])
    return ids


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
            assert model.usual_decoding_because is None
    (quick, after_quick), (usual, after_usual) = results
    assert torch.equal(quick, usual)
    assert torch.equal(after_quick, after_usual)
    return quick


def prompt(*rows: list[int]) -> dict[str, torch.Tensor]:
    """A left-padded batch."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    return {"ids": ids, "attention_mask": (ids != 0).long()}


class TestStateAndLogits:
    @pytest.mark.parametrize("seed, grammatical", [(0, True), (1, True), (2, False), (3, False)])
    def test_state_is_the_trackers_at_every_token(self, model, seed, grammatical):
        from modeling_musicgpt.fast_session import FastDecoding

        ids = torch.tensor([random_piece(model, 60, seed, grammatical)])
        wanted = model.model.musical_state(ids)
        session = self._session(model, ids)
        assert isinstance(session, FastDecoding)
        session.batch.length[:] = 0
        for place in range(ids.shape[1] - 1):
            session.batch.length[:] = place + 2
            session.program.read_prompt(*self._pointers(session), 0, place, 0)
            session.batch.cached[:] = 0
            s, F = session.batch.state[0], fast_music
            got = (s[F.TICKS], s[F.BAR_POSITION], s[F.BAR], s[F.INTERVAL], s[F.MOTIF])
            names = ("ticks", "bar_position", "bar", "interval", "motif")
            assert got == tuple(int(getattr(wanted, name)[0, place]) for name in names), place
            pitches = [int(s[F.PITCH_0 + v]) if s[F.COUNT + v] else 0 for v in range(5)]
            assert pitches == wanted.voice_pitch[0, place].tolist()
            assert s[F.WISH_0 : F.WISH_0 + F.NUM_WISHES].tolist() == wanted.wishes[0, place].tolist()

    @staticmethod
    def _pointers(session):
        return [x.pointer for x in (session.m, session.rules, session.work, session.batch)]

    @staticmethod
    def _session(model, ids, mask=None):
        from transformers import GenerationConfig, StoppingCriteriaList
        from transformers.generation.stopping_criteria import MaxLengthCriteria

        from modeling_musicgpt.fast_session import FastDecoding

        config = GenerationConfig(do_sample=False)
        config._pad_token_tensor = torch.tensor(0)
        limit = StoppingCriteriaList([MaxLengthCriteria(ids.shape[1] + 8)])
        return FastDecoding(model, ids, mask, [], limit, config, None)

    @pytest.mark.parametrize("changes", [
        {}, {"relative_attention": "token"}, {"relative_attention": "time"}, {"relative_attention": "none"}, {"bar_encoding": "none"}, {"bar_encoding": "both"}, {"prefix_encoding": False},
        {"voice_encoding": False}, {"num_motifs": 0}, {"melodic_head": False}, {"imitation_head": False}, {"num_attention_heads": 4}, {"tie_word_embeddings": False},
    ])  # fmt: skip
    def test_logits_for_every_configuration(self, changes):
        model = make_model(**changes)
        ids = torch.tensor([random_piece(model, 150, 5)])
        self._compare_logits(model, ids)

    def test_logits_of_the_shipped_architecture_for_a_long_prompt(self, shipped):
        self._compare_logits(shipped, torch.tensor([random_piece(shipped, 900, 6)]))

    def test_logits_of_weights_that_float16_holds(self, shipped):
        model = make_model()
        model.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
        ids = torch.tensor([random_piece(model, 100, 7)])
        assert self._session(model, ids).m.halves.size > 0
        assert self._session(shipped, ids).m.halves.size == 0
        self._compare_logits(model, ids)
        both(model, torch.tensor([PROMPT] * 3), do_sample=True, max_new_tokens=40)

    def _compare_logits(self, model, ids):
        session = self._session(model, ids)
        session._read_prompts(session.parts[0])
        pointers = self._pointers(session)
        assert session.program.look_ahead(*pointers, ids.shape[1] + 4, 3) == 1
        # The pass holds the last token and three guesses: each must have the logits of the full forward.
        guessed = torch.from_numpy(session.work.states[1:4, fast_music.TOKEN].copy())[None]
        with torch.no_grad():
            wanted = model(torch.cat((ids, guessed), dim=1)).logits[0, -4:]
        for place in range(4):
            first = session.program.finish_logits(*pointers, 0, place, True)
            got = torch.from_numpy(session.work.logits[first : first + 150].copy())
            assert (got - wanted[place]).abs().max() < 1e-4
        assert wanted.std() > 0.3


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

    def test_many_seeds(self, model):
        ids = torch.tensor([PROMPT])
        ends = {both(model, ids, seed, do_sample=True, top_k=50, top_p=0.95, max_new_tokens=24).shape[1] for seed in range(24)}
        assert len(ends) > 1  # some pieces end before the limit

    def test_shipped_architecture(self, shipped):
        out = both(shipped, torch.tensor([PROMPT]), do_sample=True, top_k=50, top_p=0.95, max_new_tokens=120)
        assert not shipped.model.musical_state(out)[0].eq(0).all()

    @pytest.mark.parametrize("sample", [True, False])
    def test_left_padding_and_prompts_that_stop_anywhere(self, model, sample):
        rows = [random_piece(model, length, length) for length in (3, 17, 40, 41, 42, 70)]
        batch = prompt(*rows)
        both(model, batch["ids"], attention_mask=batch["attention_mask"], do_sample=sample, top_p=0.95, max_new_tokens=60)

    @pytest.mark.parametrize("threads", [2, 3])
    def test_rows_are_divided_among_threads(self, model, threads, monkeypatch):
        from modeling_musicgpt.fast_session import FastDecoding

        divided, parts = FastDecoding._divide, []
        monkeypatch.setattr(FastDecoding, "_divide", lambda self: parts.append(divided(self)) or parts[-1])
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        rows = [random_piece(model, length, length) for length in (3, 17, 40, 41, 42, 70, 12)]
        batch = prompt(*rows)
        both(model, batch["ids"], attention_mask=batch["attention_mask"], do_sample=True, top_p=0.95, max_new_tokens=100)
        both(model, torch.tensor([PROMPT] * 7), do_sample=True, num_return_sequences=2, max_new_tokens=80)
        assert [part.count for part in parts[0]] == {2: [3, 4], 3: [2, 2, 3]}[threads]
        assert sum(part.count for part in parts[1]) == 14
        both(model, batch["ids"][:3], attention_mask=batch["attention_mask"][:3], do_sample=True, max_new_tokens=20)
        assert len(parts[2]) == 1  # so few rows are not divided

    def test_repeated_pitches_are_limited_alike(self):
        model = make_model()
        with torch.no_grad():
            model.model.norm.bias.copy_(model.model.embed_tokens.weight[60] * 9)  # one NOTE is by far the likeliest
        limited = both(model, torch.tensor([PROMPT] * 2), do_sample=True, min_new_tokens=450, max_new_tokens=450)
        free = both(model, torch.tensor([PROMPT] * 2), do_sample=True, min_new_tokens=450, max_new_tokens=450, limit_repetition=False)
        assert (limited == 60).sum() < (free == 60).sum()

    def test_what_stands_under_the_mask_is_neither_heard_nor_changed(self, model):
        ids = torch.tensor([[60, 91, 96, *PROMPT], [1, 4, 7, 128, 60, 92]])
        mask = torch.tensor([[0, 0, 0, 1, 1, 1], [1] * 6])
        out = both(model, ids, attention_mask=mask, do_sample=True, max_new_tokens=40)
        assert torch.equal(out[:, :6], ids)
        other = both(model, torch.cat((torch.tensor([[2, 33, 140]]), ids[:1, 3:]), dim=1), attention_mask=mask[:1], do_sample=False, max_new_tokens=40)
        assert torch.equal(other[:, 3:], both(model, ids[:1, 3:], do_sample=False, max_new_tokens=40))

    def test_prompts_that_break_the_grammar(self, model):
        rows = [random_piece(model, 30, seed, grammatical=False) for seed in range(3)]
        rows = [[t for t in row if t not in (0, 2)] for row in rows]
        batch = prompt(*rows, [34, 92, 100])
        both(model, batch["ids"], attention_mask=batch["attention_mask"], do_sample=True, max_new_tokens=40)


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
            assert model.usual_decoding_because is None
            assert streamer.ended
            # The first put is the prompt.
            assert torch.equal(torch.stack(streamer.columns[1:], dim=1), out[:, len(PROMPT) :])
            assert torch.equal(out, both(model, ids, 1, do_sample=True, max_new_tokens=50))

    def test_stopping_criteria_of_single_rows(self, model):
        class Stop(StoppingCriteria):
            def __call__(self, input_ids, scores, **kwargs):
                return torch.tensor([input_ids.shape[1] >= 10 + 5 * row for row in range(len(input_ids))])

        for rows in (1, 3):
            out = both(
                model, torch.tensor([PROMPT] * rows), 2, do_sample=True, max_new_tokens=60, stopping_criteria=StoppingCriteriaList([Stop()])
            )
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

        out = model.generate(
            torch.tensor([PROMPT]), do_sample=True, min_new_tokens=400, max_new_tokens=400, stopping_criteria=StoppingCriteriaList([Cancel()])
        )
        assert out.shape[1] == 30
        assert model.usual_decoding_because is None

    def test_own_logits_processors(self, model):
        class Higher(LogitsProcessor):
            def __call__(self, input_ids, scores):
                return scores + (input_ids.shape[1] % 7) * torch.linspace(0, 1, scores.shape[-1])

        for rows in (1, 3):
            both(model, torch.tensor([PROMPT] * rows), 4, do_sample=True, max_new_tokens=50, logits_processor=LogitsProcessorList([Higher()]))

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
        assert model.usual_decoding_because is None

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
    @pytest.mark.parametrize("arguments, because", [
        ({"return_dict_in_generate": True}, "return_dict"),
        ({"cache_implementation": "static"}, "cache"),
        ({"use_cache": False}, "cache"),
    ])  # fmt: skip
    def test_arguments(self, model, arguments, because):
        model.generate(torch.tensor([PROMPT]), max_new_tokens=3, do_sample=False, **arguments)
        assert because in model.usual_decoding_because

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
            assert because in model.usual_decoding_because, because

    def test_mask_with_holes_and_inputs_embeds(self, model):
        ids = torch.tensor([[*PROMPT, 128, 40]])
        mask = torch.tensor([[1, 1, 0, 1, 1]])
        model.generate(ids, attention_mask=mask, max_new_tokens=3, do_sample=False)
        assert "mask" in model.usual_decoding_because
        model.generate(inputs_embeds=model.model.embed_tokens(ids), max_new_tokens=3, do_sample=False)
        assert model.usual_decoding_because is not None

    @pytest.mark.parametrize("arguments, because", [
        ({"num_beams": 2}, "beams"),
        ({"prompt_lookup_num_tokens": 2}, "proposes"),
        ({"assistant_model": "itself"}, "proposes"),
        ({"guidance_scale": 2.0}, "guidance"),
        ({"custom_generate": lambda model, input_ids, **_: input_ids}, "custom_generate"),
        ({"max_new_tokens": -3}, "refused"),
    ])  # fmt: skip
    def test_other_ways_of_decoding_are_named_and_forgotten(self, arguments, because):
        model = make_model()
        given = {"do_sample": False, "max_new_tokens": 3, **arguments}
        if "assistant_model" in given:
            given["assistant_model"] = model
        with contextlib.nullcontext() if given["max_new_tokens"] > 0 else pytest.raises(ValueError, match="max_new_tokens"):
            model.generate(torch.tensor([PROMPT]), **given)
        assert because in model.usual_decoding_because
        model.generate(torch.tensor([PROMPT]), do_sample=False, max_new_tokens=3)
        assert model.usual_decoding_because is None

    def test_what_was_recorded_once_does_not_slow_later_calls(self):
        model, ids = make_model(), torch.tensor([PROMPT])
        model.set_attn_implementation("eager")
        out = model.generate(ids, max_new_tokens=3, do_sample=False, output_hidden_states=True, output_attentions=True, return_dict_in_generate=True)
        assert len(out.hidden_states) == len(out.attentions) == 3
        assert model(ids, output_hidden_states=True).hidden_states is not None
        assert torch.equal(model.generate(ids, max_new_tokens=3, do_sample=False), out.sequences)
        assert model.usual_decoding_because is None

    def test_one_warning_without_llvmlite(self, model, monkeypatch):
        from modeling_musicgpt import fast_compiler, fast_sampling

        def broken(*_):
            raise OSError("no processor")

        monkeypatch.setattr(fast_sampling, "_program", None)
        monkeypatch.setattr(fast_compiler, "_machine", broken)
        with pytest.warns(UserWarning, match="usual speed") as caught:
            out = [model.generate(torch.tensor([PROMPT]), max_new_tokens=3, do_sample=False) for _ in range(2)]
        assert sum("usual speed" in str(w.message) for w in caught) == 1
        assert out[1].shape == (1, 6)
        assert "llvmlite" in model.usual_decoding_because


class _Other(torch.nn.Module):
    def forward(self, x):
        return x


def test_the_program_is_compiled_once():
    assert compiled_program() is compiled_program()
