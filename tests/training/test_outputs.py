"""What a run leaves behind: musical evaluations, samples, cards, curves, pushes; and going on from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from huggingface_hub import metadata_load

from training.arguments import Arguments, DataArguments
from training.musical import MusicalResult, combined_score, judge, loss_score, settings_of
from training.plot import draw, epoch_axis, smooth
from training.record import code_fingerprint, data_fingerprint
from training.run_log import RunLog, read_log
from training.sources import load_pieces
from training.trainer import Trainer

from .conftest import make_pieces, run_values


@pytest.fixture(scope="module")
def heard_run(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs with a musical evaluation of two pieces after each."""
    out = tmp_path_factory.mktemp("heard") / "run"
    heard = {"musical_every": 1, "musical_pieces": 2, "musical_tokens": 120}
    values = run_values(out, built, fit__epochs=2, **{f"evaluation__{k}": v for k, v in heard.items()})
    Trainer(Arguments.from_dict(values)).run()
    return out


def test_musical_evaluations_are_logged_kept_and_combined(heard_run):
    from tokenization import read_score

    log = read_log(heard_run)
    assert (log[0]["kind"], log[0]["step"]) == ("start", 0)
    evals = [e for e in log if e["kind"] == "eval"]
    assert len(evals) == 2
    assert log[0]["nats_per_note"] > evals[-1]["nats_per_note"]
    for entry in evals:
        assert len(entry["scores"]) == 2
        assert entry["musical_score"] == pytest.approx(np.mean(entry["scores"]))
        zero = entry["unigram_nats_per_note"]
        expected = 0.3 * max(0.0, 100 * (1 - entry["nats_per_note"] / zero)) + 0.7 * entry["musical_score"]
        assert entry["combined"] == pytest.approx(expected)
        samples = sorted((heard_run / "samples" / f"epoch-{entry['epoch']:04d}").glob("*.mid"))
        names = [path.name.split("_score")[0] for path in samples]
        assert names == ["fugue_major_seed1001", "prelude_major_seed1000"]
        assert all(len(read_score(path)) > 0 for path in samples)
    best = max(evals, key=lambda e: e["combined"])
    assert (
        json.loads((heard_run / "best-combined" / "figures.json").read_text())["combined"] == best["combined"]
    )


def test_the_pieces_are_the_same_questions_every_time():
    asked = settings_of(5, 400)
    assert [s.seed for s in asked] == [*range(1000, 1005)]
    assert [s.form for s in asked] == ["prelude", "prelude", "fugue", "prelude", "fugue"]
    assert [s.key for s in asked] == ["C major"] * 3 + ["A minor"] * 2
    assert {s.form for s in settings_of(4, 400, form="prelude")} == {"prelude"}


def test_scales_of_the_combined_score():
    assert loss_score(8.0, 8.0) == 0.0
    assert loss_score(9.0, 8.0) == 0.0
    assert loss_score(2.0, 8.0) == 75.0
    assert combined_score(2.0, 8.0, 50.0, 0.3, 0.7) == pytest.approx(0.3 * 75 + 0.7 * 50)
    result = judge([piece.score for piece in make_pieces(2, notes=120)])
    assert len(result.scores) == 2
    assert 0 <= result.score <= 100


def test_processes_share_the_pieces(monkeypatch):
    """Each composes its part, those of a kind at once and without rules; together they are the pieces of one
    process, in order.
    """
    from training import musical

    asked: list[bool] = []
    batches: list[int] = []
    made = dict(zip(range(1000, 1005), (piece.score for piece in make_pieces(5, notes=120)), strict=True))

    class Stub:
        def __init__(self, model, rules):
            asked.append(rules)

        def compose(self, settings, num):
            batches.append(num)
            seeds = range(settings.seed, settings.seed + num)
            return [SimpleNamespace(score=made[seed], seed=seed) for seed in seeds]

    monkeypatch.setattr("musicgpt.Composer", Stub)
    model = torch.nn.Linear(1, 1)
    alone = musical.evaluate_music(model, 5, 400)
    parts = [musical.evaluate_music(model, 5, 400, share=(k, 2)) for k in (0, 1)]
    assert [part.seeds for part in parts] == [[1000, 1001], [1002, 1003, 1004]]
    assert batches == [2, 1, 1, 1, 2, 1, 1, 1]
    joined = musical.together(parts)
    assert (joined.seeds, joined.scores, joined.metrics) == (alone.seeds, alone.scores, alone.metrics)
    assert joined.score == pytest.approx(alone.score)
    assert asked == [False] * 3
    own = np.array(alone.scores)
    assert alone.error == pytest.approx(np.sqrt(np.square(own - own.mean()).sum() / 4 / 5))
    assert alone.summary()["musical_error"] == alone.error
    assert "musical_error" not in MusicalResult([1.0]).summary()


def test_the_ear_may_choose_another_epoch_than_the_loss(tmp_path, monkeypatch, capsys):
    """With the musical score of epoch 2 the highest, best-combined is epoch 2, whatever the loss does
    afterwards.
    """
    heard = iter([10.0, 90.0, 20.0, 20.0, 20.0, 20.0])
    monkeypatch.setattr("training.musical.evaluate_music", lambda *_, **__: MusicalResult([next(heard)]))
    pieces = {"train": make_pieces(6, notes=20), "validation": make_pieces(1, seed=3, notes=20)}
    values = run_values(
        tmp_path / "run",
        fit__epochs=6,
        evaluation__musical_every=1,
        evaluation__stop_on="combined",
        evaluation__patience=2,
    )
    best = Trainer(Arguments.from_dict(values), pieces).run()
    begun = read_log(tmp_path / "run")[0]["nats_per_note"]
    assert f"before the first step: nats_per_note {begun:.3f}" in capsys.readouterr().err
    assert best["combined_epoch"] == 2
    # the loss still fell when two evaluations without improvement ended the run
    assert best["loss_epoch"] == 4
    assert max(e["epoch"] for e in read_log(tmp_path / "run")) == 4
    saved = {
        name: json.loads((tmp_path / "run" / f"best-{name}" / "figures.json").read_text())["epoch"]
        for name in ("loss", "combined")
    }
    assert saved == {"loss": 4, "combined": 2}


def test_the_card_is_the_runs_own(heard_run):
    best = min((e for e in read_log(heard_run) if e["kind"] == "eval"), key=lambda e: e["nats_per_note"])
    card = (heard_run / "best-loss" / "README.md").read_text()
    assert metadata_load(heard_run / "best-loss" / "README.md")["library_name"] == "transformers"
    assert f"| {best['nats_per_note']:.4f} |" in card
    assert '| optimizer | "muon" |' in card
    assert f"Musical score {best['musical_score']:.1f} of 100" in card
    # Made-up scores: whoever trains knows their licence, the card does not; and nobody need compare them with
    # Bach's.
    for word in ("license", "## Memory", "Tempered", "key number", "bach"):
        assert word not in card, word
    assert card.index("trust_remote_code") < card.index("from musicgpt import")
    data = json.loads((heard_run / "data.json").read_text())
    assert f"| train | {data['splits']['train']['pieces']} |" in card


def test_the_card_says_of_what_the_model_was_made(heard_run, built):
    pieces, code = load_pieces(DataArguments(data=str(built))), code_fingerprint()
    made_of = json.loads((heard_run / "data.json").read_text())["fingerprints"]
    assert (made_of["data"], made_of["code"]) == (data_fingerprint(pieces), code)
    card = (heard_run / "best-loss" / "README.md").read_text()
    assert all(f"{what} `{digest}`" in card for what, digest in made_of.items())
    recipes = []
    for changes in ({}, {"run__output_dir": "elsewhere", "data__data": "moved"}, {"fit__batch_size": 5}):
        trainer = Trainer(Arguments.from_dict(run_values(heard_run, built, **changes)))
        recipes.append(trainer._made_of(pieces)["recipe"])
    assert recipes[0] == recipes[1] != recipes[2]


def test_curves_are_drawn(heard_run, tmp_path):
    import matplotlib.image

    path = draw(heard_run, tmp_path / "curves.png")
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[0] > 600
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20
    entries = [{"kind": "train", "step": s, "epoch": (s - 1) // 4} for s in range(1, 11)] + [
        {"kind": "eval", "step": 4, "epoch": 1},
        {"kind": "eval", "step": 8, "epoch": 2},
    ]
    where = epoch_axis(entries)
    assert (where[4], where[8], where[2], where[10]) == (1.0, 2.0, 0.5, 2.5)
    np.testing.assert_allclose(smooth([1.0, 2.0, 3.0, 4.0], 2), [1.0, 1.5, 2.5, 3.5])


def test_the_command_draws_and_complains(heard_run, tmp_path, capsys):
    from training.__main__ import main

    assert main(["--plot", str(heard_run)]) == 0
    assert (heard_run / "curves.png").is_file()
    assert main(["--plot", str(tmp_path)]) == 2
    assert "No run in" in capsys.readouterr().err


def test_going_on_from_a_checkpoint(heard_run, built, tmp_path):
    from training.__main__ import with_recipe

    assert with_recipe(["--init-from", "shipped"])[:2] == ["--config", "finetune"]
    assert with_recipe(["--init_from=x", "--config", "wtc"])[0] == "--init_from=x"
    begin = {"model__init_from": str(heard_run / "best-loss"), "model__config_overrides": {}}
    values = run_values(tmp_path / "run", built, **begin, fit__epochs=1, fit__learning_rate=1e-5)
    Trainer(Arguments.from_dict(values)).run()
    before = min(e["nats_per_note"] for e in read_log(heard_run) if e["kind"] == "eval")
    after = read_log(tmp_path / "run")[-1]["nats_per_note"]
    assert after == pytest.approx(before, abs=0.05)


def test_a_shipped_folder_is_the_best_model_in_half_the_bytes(heard_run, tmp_path):
    from safetensors.torch import load_file

    from modeling_musicgpt import MusicGPTForCausalLM
    from training.errors import TrainingError
    from training.ship import ship

    paths = ship(heard_run, tmp_path / "shipped", temperature=0.9)
    best = load_file(heard_run / "best-loss" / "model.safetensors")
    stored = load_file(tmp_path / "shipped" / "model.safetensors")
    assert {w.dtype.itemsize for w in stored.values()} == {2}
    model = MusicGPTForCausalLM.from_pretrained(tmp_path / "shipped")
    assert model.generation_config.temperature == 0.9 and model.generation_config.constrain_grammar
    assert all(
        w.dtype.itemsize == 4 and abs(w - best[name]).max() < 1e-3
        for name, w in model.state_dict().items()
        if name in best
    )
    assert sorted(path.name for path in (tmp_path / "shipped").iterdir()) == sorted(
        path.name for path in paths
    )
    with pytest.raises(TrainingError, match="no best-loss"):
        ship(tmp_path, tmp_path / "nothing")


def test_the_mean_of_two_models_is_a_run(heard_run, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    from training.average import average
    from training.errors import TrainingError

    other = tmp_path / "other"
    shutil.copytree(heard_run / "best-loss", other)
    weights = load_file(other / "model.safetensors")
    louder = {name: weight + 1 for name, weight in weights.items()}
    save_file(louder, other / "model.safetensors", metadata={"format": "pt"})
    folder = average(tmp_path / "mean", [str(other), str(heard_run)])
    assert all(
        torch.allclose(w, weights[name] + 0.5, atol=1e-6)
        for name, w in load_file(folder / "model.safetensors").items()
    )
    assert read_log(tmp_path / "mean") == read_log(heard_run)
    with pytest.raises(TrainingError, match="there already"):
        average(tmp_path / "mean", [str(other), str(heard_run)])
    louder = load_file(
        average(tmp_path / "louder", [str(other), str(heard_run)], prefix_scale=3.0) / "model.safetensors"
    )
    for name, weight in load_file(folder / "model.safetensors").items():
        assert torch.allclose(louder[name], weight * (3 if "wish" in name else 1), atol=1e-5), name
    assert sum("wish" in name for name in louder) == 1
    with pytest.raises(TrainingError, match="two models at least"):
        average(tmp_path / "one", [str(heard_run)])


def test_a_model_that_does_not_hear_its_prefix_everywhere_cannot_be_made_to_hear_it_more(heard_run, tmp_path):
    from modeling_musicgpt import MusicGPTForCausalLM
    from training.average import average
    from training.errors import TrainingError

    model = MusicGPTForCausalLM.from_pretrained(heard_run / "best-loss")
    model.config.prefix_encoding = False
    deaf = type(model)(model.config)
    deaf.save_pretrained(tmp_path / "deaf")
    run = tmp_path / "run"
    shutil.copytree(heard_run, run)
    deaf.save_pretrained(run / "best-loss")
    with pytest.raises(TrainingError, match=r"prefix_scale of 2\.0 needs models"):
        average(tmp_path / "louder", [str(tmp_path / "deaf"), str(run)], prefix_scale=2.0)
    assert not (tmp_path / "louder").exists()


def test_pushing_sends_the_best_model(heard_run, monkeypatch):
    from training.card import push

    calls = []

    class FakeHub:
        def create_repo(self, repo, **options):
            calls.append(("create", repo, options["private"]))
            return "address"

        def upload_folder(self, repo_id, folder_path, **_):
            calls.append(("upload", repo_id, sorted(path.name for path in Path(folder_path).iterdir())))

    monkeypatch.setattr("huggingface_hub.HfApi", FakeHub)
    assert push(heard_run, "me/mine", private=True) == "address"
    assert calls[0] == ("create", "me/mine", True)
    wanted = {"README.md", "config.json", "model.safetensors", "modeling_musicgpt.py", "vocab.json"}
    assert wanted <= set(calls[1][2])


def test_a_log_cut_by_a_crash_is_read_and_rolled_back(tmp_path):
    log = RunLog(tmp_path)
    for step in (1, 2, 3):
        log.add("train", step=step, epoch=0, loss=1.0 / step)
    with open(log.path, "a") as file:
        file.write('{"kind": "train", "st')
    assert [e["step"] for e in read_log(tmp_path)] == [1, 2, 3]
    RunLog(tmp_path, step=2).add("train", step=3, epoch=0, loss=9.0)
    assert [(e["step"], e["loss"]) for e in read_log(tmp_path)] == [(1, 1.0), (2, 0.5), (3, 9.0)]


def test_trackers_get_the_figures(built, tmp_path):
    pytest.importorskip("tensorboard")
    values = run_values(tmp_path / "run", built, run__trackers=["tensorboard"], fit__epochs=1)
    Trainer(Arguments.from_dict(values)).run()
    assert list((tmp_path / "run").rglob("events.out.tfevents*"))
