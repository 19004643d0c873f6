"""`Rows` token by token: state, expectation and logits are those of the model on the whole sequence; rows are
cropped, reordered, repeated.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modeling_musicgpt import grammar_musicgpt
from musicgpt.engine import EngineError, Rows
from musicgpt.engine.decoding import Decoding
from musicgpt.engine.library import Library, load
from musicgpt.engine.rows import rules_struct

from .models import LEVELS, PROMPT, make_model, random_piece


@pytest.fixture(scope="module")
def model():
    return make_model()


def assert_state(model, state: np.ndarray, ids: torch.Tensor) -> None:
    """The states of all rows are the tracker's at the end of `ids`, `(rows, length)`."""
    wanted = model.model.musical_state(ids)
    for name in ("ticks", "bar_position", "bar", "interval", "motif"):
        assert state[name].tolist() == getattr(wanted, name)[:, -1].tolist(), name
    pitches = np.where(state["count"] > 0, state["pitch"], 0)[:, : model.config.max_voices]
    assert pitches.tolist() == wanted.voice_pitch[:, -1].tolist()
    assert state["wishes"].tolist() == wanted.wishes[:, -1].tolist()
    assert (state["token"] == ids[:, -1].numpy()).all()


def wanted_logits(model, ids: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(ids).logits.numpy()


def assert_close(got: np.ndarray, wanted: np.ndarray) -> None:
    assert np.abs(got - wanted).max() < 1e-4 * max(1.0, np.abs(wanted).max())


class TestSteps:
    @pytest.mark.parametrize("grammatical", [True, False])
    def test_state_and_logits_at_every_token(self, model, grammatical):
        ids = torch.tensor([random_piece(model, 60, seed, grammatical) for seed in range(3)])
        wanted, rows, states = wanted_logits(model, ids), Rows(model, 3, 64), model.grammar.states(ids)
        for place in range(ids.shape[1]):
            assert_close(rows.step(ids[:, place].numpy()), wanted[:, place])
            assert_state(model, rows.state, ids[:, : place + 1])
            if grammatical:
                assert rows.state["grammar"].tolist() == states[:, place].tolist()
        assert wanted.std() > 0.3

    @pytest.mark.parametrize(
        "changes",
        [
            {"relative_attention": "token"}, {"relative_attention": "time"}, {"relative_attention": "none"},
            {"bar_encoding": "none"}, {"bar_encoding": "both"}, {"prefix_encoding": False}, {"voice_encoding": False},
            {"num_motifs": 0}, {"melodic_head": False}, {"imitation_head": False}, {"tie_word_embeddings": False},
            {"logit_scale": {"NOTE": 0.7, "DUR": 1.4}}, {"num_attention_heads": 4},
            {"hidden_size": 80, "num_attention_heads": 5}, {"hidden_size": 96, "num_attention_heads": 3},
            {"hidden_size": 128, "num_attention_heads": 8, "intermediate_size": 112},
        ],
        ids=lambda c: " ".join(f"{k}={v}" for k, v in c.items()),
    )  # fmt: skip
    def test_every_configuration_in_blocks(self, changes):
        model = make_model(**changes)
        ids = torch.tensor([random_piece(model, 150, seed) for seed in (5, 6)])
        wanted, rows = wanted_logits(model, ids), Rows(model, 2, 150)
        place = 0
        for size in (90, 1, 2, 3, 4, 5, 6, 7, 8, 24):
            place += size
            assert_close(rows.step(ids[:, place - size : place].numpy()), wanted[:, place - 1])

    def test_the_real_sizes_and_a_long_prompt(self):
        model = make_model(
            hidden_size=256,
            intermediate_size=1024,
            num_hidden_layers=4,
            num_attention_heads=8,
            num_motifs=3571,
        )
        ids = torch.tensor([random_piece(model, 700, 6)])
        rows = Rows(model, 1, 800)
        assert_close(rows.step(ids.numpy()), wanted_logits(model, ids)[:, -1])
        assert not rows.m.half

    @pytest.mark.parametrize("kind", [np.float16, np.float32])
    @pytest.mark.parametrize("level", LEVELS)
    def test_one_changed_number_of_a_weight_is_seen(self, level, kind):
        engine = Library(level=level)
        for count in (1, 16, 37):
            kept = np.linspace(-3, 3, count).astype(kind)
            now = kept.astype(np.float32)

            def is_same(now=now, kept=kept):
                return engine.is_same(now.ctypes.data, kept.ctypes.data, kind is np.float16, len(now))

            assert is_same()
            for place in range(count):
                now[place] += 0.125
                assert not is_same()
                now[place] -= 0.125
            now[-1] = np.nan
            assert not is_same()

    @pytest.mark.parametrize("level", LEVELS)
    def test_every_level_of_instructions(self, model, level, monkeypatch):
        other = Library(level=level)
        monkeypatch.setattr("musicgpt.engine.rows.load", lambda: other)
        halves = make_model()
        halves.load_state_dict({name: value.half().float() for name, value in halves.state_dict().items()})
        for one in (model, halves):
            ids = torch.tensor([random_piece(one, 80, seed) for seed in range(4)])
            rows = Rows(one, 4, 80)
            assert rows.m.half == (one is halves)  # what float16 holds is read so
            for size in (60, 12, 1, 2, 3, 2):
                end = int(rows.length[0]) + size
                assert_close(
                    rows.step(ids[:, end - size : end].numpy()), wanted_logits(one, ids[:, :end])[:, -1]
                )


class TestRowsMoved:
    def test_cropped_reordered_and_repeated(self, model):
        ids = torch.tensor([random_piece(model, 80, seed) for seed in range(3)])
        rows = Rows(model, 3, 100)
        rows.step(ids.numpy())
        rows.crop(70)
        assert_state(model, rows.state, ids[:, :70])
        rows.select([2, 0, 0, 1])
        moved = ids[[2, 0, 0, 1], :70]
        assert (rows.ids[:, :70] == moved.numpy()).all()
        assert_state(model, rows.state, moved)
        new = torch.tensor([random_piece(model, 90, seed)[70:90] for seed in range(10, 14)])
        whole = torch.cat((moved, new), dim=1)
        assert_close(rows.step(new.numpy()), wanted_logits(model, whole)[:, -1])
        rows.crop(np.array([60, 90, 75, 90]))
        assert rows.length.tolist() == [60, 90, 75, 90]
        assert_state(model, rows.state[2:3], whole[2:3, :75])

    @pytest.mark.parametrize("level", LEVELS)
    def test_rows_that_share_the_cache_of_their_prompt(self, model, level, monkeypatch):
        other = Library(level=level)
        monkeypatch.setattr("musicgpt.engine.rows.load", lambda: other)
        rng, rows = np.random.default_rng(0), Rows(model, 5, 190, threads=2)
        ids = np.tile(random_piece(model, 150, 1), (5, 1))
        rows.start(ids)
        rows.feed_one()
        assert rows.batch.shared[0] == 128 and not rows.batch.keys[1:, :, :, :8].any()
        for step in range(8):
            new = rng.integers(0, model.config.vocab_size, (len(ids), rng.integers(1, 4)))
            ids = np.concatenate((ids, new), axis=1)
            assert_close(rows.step(new), wanted_logits(model, torch.from_numpy(ids))[:, -1])
            if step == 2:  # the first row, which has the cache, goes on as another
                rows.copy(np.array([2]), np.array([0]))
                ids[0] = ids[2]
            if step == 5:
                rows.select([3, 1, 1])
                ids = ids[[3, 1, 1]]
        with pytest.raises(EngineError, match="cannot be cropped"):
            rows.crop(100)

    def test_what_another_one_has_read_is_not_read_again(self, model):
        ids = random_piece(model, 120, 1)
        alone, rows = Rows(model, 1, 130), Rows(model, 3, 130)
        alone.step(np.array([ids[:100]]))
        for begins in (ids, [*ids[:50], *random_piece(model, 120, 2)[50:]]):
            rows.start(np.tile(begins, (3, 1)))
            rows.take(alone)
            assert rows.batch.cached[0] == (100 if begins == ids else 0)
            rows.feed_one(keep=1)
            got = rows.feed()
            assert_close(got, wanted_logits(model, torch.tensor([begins] * 3))[:, -1])
            assert_state(model, rows.state, torch.tensor([begins] * 3))


# Fields of a configuration that the engine cannot run.
UNFIT = {
    "bar_period": [0], "default_bar_ticks": [0], "num_hidden_layers": [9, 0], "vocab_size": [140, 1 << 40],
    "max_voices": [9, 3, 6], "durations": [[12] * 31, [300] * 32], "lowest_pitch": [100, 10**12],
    "num_attention_heads": [3, 0], "intermediate_size": [1 << 12], "num_motifs": [10**6], "hidden_act": ["relu"],
    "meter_ticks": [[0] * 12], "time_steps": [[-1] * 22],
    "token_blocks": [{"NOTE": [140, 64]}, {"VOICE": [100, 4]}, {"DUR": [100, 40]}],
}  # fmt: skip


class TestChecks:
    @pytest.mark.parametrize("tokens", [[150], [-1], [1.0], [[1], [2]], [[]], [[1] * 9]], ids=str)
    def test_tokens(self, model, tokens):
        rows = Rows(model, 1, 8)
        with pytest.raises(EngineError, match="token"):
            rows.step(np.array(tokens))
        assert rows.length.tolist() == [0]

    def test_begun_anew_as_often_as_wanted(self, model):
        """Notes are logged in room for those of one piece; a row that begins again has none."""
        ids = np.array([random_piece(model, 64, 3)])
        rows = Rows(model, 1, 64)
        first = rows.step(ids)
        for _ in range(3):
            rows.start(ids)
            assert_close(rows.feed(), first)
            assert rows.state["notes"] <= 32
            assert_state(model, rows.state, torch.from_numpy(ids))

    @pytest.mark.parametrize("hidden", [[np.nan, 0], [-1, 0], [4, 0], [0]], ids=str)
    def test_padding(self, model, hidden):
        with pytest.raises(EngineError, match="padding"):
            Rows(model, 2, 8).start(np.array([PROMPT] * 2), np.array(hidden))

    def test_views_are_read_only(self, model):
        rows = Rows(model, 1, 8)
        for view in (rows.state, rows.ids, rows.length):
            with pytest.raises(ValueError, match="read-only"):
                view[:] = 0
        with pytest.raises(ValueError, match="read-only"):
            rows.state["token"][0] = 1 << 40

    def test_costs_of_closing_shorter_bars(self, model):
        """As of a model whose default bar was changed after its costs were made."""
        m, costs = Rows(model, 1, 8).m, model.closing_costs
        grammar = {"num_lengths": len(costs.lengths), "num_ticks": costs.cost.shape[3]}
        tables = {**Decoding._closing(costs), "use_bar_end": 1}
        make = lambda **how: rules_struct(load(), grammar_musicgpt, m, 8, model.grammar, **how)  # noqa: E731
        assert make(**tables).num_ticks == grammar["num_ticks"]
        short = np.ascontiguousarray(tables["costs"][..., :96])
        few = np.minimum(tables["lengths"], 96)
        for wrong in (
            {"costs": short, "lengths": few, "num_ticks": 96},
            {"begins_bar": np.zeros(3, dtype=np.uint8)},
            {"steps": tables["steps"][:-1]},
        ):
            with pytest.raises(EngineError, match="costs of closing"):
                make(**{**tables, **wrong})

    def test_rows_and_lengths(self, model):
        rows = Rows(model, 2, 8)
        rows.step(np.array([PROMPT] * 2))
        wrongs = [lambda n=n: rows.crop(n) for n in (4, -1)]
        wrongs += [lambda chosen=chosen: rows.select(chosen) for chosen in ([2], [-1], [])]
        for wrong in (*wrongs, lambda: Rows(model, 0, 8)):
            with pytest.raises(EngineError):
                wrong()

    @pytest.mark.parametrize("name, value", [(name, value) for name in UNFIT for value in UNFIT[name]])
    def test_configurations_that_do_not_fit(self, name, value):
        model = make_model(bar_encoding="both")
        if name == "token_blocks":
            value = {**model.config.token_blocks, **value}
        object.__setattr__(model.config, name, value)
        with pytest.raises(EngineError):
            Rows(model, 1, 8)

    def test_weights_of_another_shape_or_type(self):
        model = make_model()
        model.model.layers[1].mlp.up_proj.weight = torch.nn.Parameter(torch.zeros(96, 32))
        with pytest.raises(EngineError, match=r"1\.up"):
            Rows(model, 1, 8)
        with pytest.raises(EngineError, match="float64"):
            Rows(make_model().double(), 1, 8)

    def test_constants_of_another_code(self, monkeypatch):
        monkeypatch.setattr("modeling_musicgpt.imitation_musicgpt.REST", 25)
        with pytest.raises(EngineError, match="REST"):
            Rows(make_model(), 1, 8)

    def test_arrays_of_another_kind(self, model):
        m = Rows(model, 1, 8).m
        fields = {"norm1": m.norm, "norm2": m.norm, "bias1": m.bias, "bias2": m.bias}
        fields |= dict.fromkeys(("qkv", "out", "up", "down"), m.head)
        load().struct("Layer", **fields)
        for wrong in ({"norm1": m.norm.astype(float)}, {"up": m.head.transpose()}, {"other": m.norm}):
            with pytest.raises(EngineError):
                load().struct("Layer", **{**fields, **wrong})
