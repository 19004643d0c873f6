"""The way from the corpus to the shipped files: whole, killed and gone on with, refused."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.errors import TrainingError
from training.plan import read_plan
from training.reproduce import SHIP, Reproduction, card_figure, main

ROOT = Path(__file__).resolve().parent.parent.parent
# All kinds of steps; of the means one has a table that begins at zero.
PLAN = """
steps:
  - {name: "1", train: a.yaml}
  - {name: begin, mean: ["1@1", "1@3"], config: {prefix_encoding: true}}
  - {name: "2", train: b.yaml, from: begin, teachers: [begin]}
  - {name: "3", train: a.yaml}
  - {name: beside, mean: ["3@1", "3@2"]}
  - {name: last, mean: [begin, "2@2"], prefix_scale: 1.5}
  - {name: sure, calibrate: last}
"""
RECIPE = """
run: {seed: 3, threads: 1, cpu: true, mixed_precision: "no"}
fit: {epochs: 4, optimizer: muon}
augmentation: {stages: [{until: 1.0, transpose: 2}]}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "a.yaml").write_text(RECIPE + "model: {config_overrides: {prefix_encoding: false}}\n")
    (folder / "b.yaml").write_text(RECIPE.replace("epochs: 4", "epochs: 4, teacher_share: 0.5"))
    return folder / "plan.yaml"


@pytest.fixture(scope="module")
def whole(plan: Path, score_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """One that nobody interrupts."""
    work = Reproduction(tmp_path_factory.mktemp("whole"), str(score_folder), scale="tiny", plan=plan)
    work.run()
    return work


def weights(work: Reproduction, step: str = SHIP) -> dict[str, torch.Tensor]:
    folder = work.out / step
    file = (folder if step == SHIP else folder / "best-loss") / "model.safetensors"
    return {name: value.clone() for name, value in load_file(file).items()}  # not a view of the file


def test_the_shipped_file_is_the_mean_that_the_plan_asks_for(whole):
    begin, last = weights(whole, "begin"), weights(whole, "last")
    [of_two] = [
        load_file(whole.out / one["file"])
        for what, one in whole.record.steps["2"]["outputs"].items()
        if what == "epoch 2"
    ]
    for name, value in last.items():
        louder = 1.5 if name.endswith("wish.weight") else 1.0
        torch.testing.assert_close(value, (begin[name] + of_two[name]) / 2 * louder)
    sure = weights(whole, "sure")
    assert all(torch.equal(value, last[name]) for name, value in sure.items())
    assert not begin["model.musical_embedding.wish.weight"].any()
    assert last["model.musical_embedding.wish.weight"].any()
    shipped = weights(whole)
    assert all(torch.equal(value, last[name].half()) for name, value in shipped.items())
    assert "epoch 4" not in whole.record.steps["1"]["outputs"]  # no mean takes it
    card = (whole.out / SHIP / "README.md").read_text()
    assert (
        whole.record.values["data"]["fingerprint"] in card and "`begin`: the mean of 1 after epoch 1" in card
    )
    assert str(whole.out) not in card
    nats = whole.record.steps[SHIP]["figures"][SHIP]
    [stated] = re.findall(r"\| all tokens \| ([0-9.]+)", card)
    assert float(stated) == pytest.approx(nats, abs=0.01)  # before rounding to float16


def test_steps_beside_each_other_give_the_same_bits(whole, plan, score_folder, tmp_path):
    work = Reproduction(tmp_path / "out", str(score_folder), scale="tiny", plan=plan, jobs=2)
    work.run()
    assert not work.jobs.running
    for step in ("last", "beside", SHIP):
        assert all(
            torch.equal(value, weights(whole, step)[name]) for name, value in weights(work, step).items()
        )


def test_what_goes_wrong_in_a_step_beside_others_ends_the_command(plan, score_folder, tmp_path, capfd):
    for path in plan.parent.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "a.yaml").write_text(RECIPE + "model: {config_overrides: {loudness: 3}}\n")
    work = Reproduction(
        tmp_path / "out", str(score_folder), scale="tiny", plan=tmp_path / "plan.yaml", jobs=2
    )
    with pytest.raises(TrainingError, match="ended with code 2"):
        work.run()
    assert "no field 'loudness'" in capfd.readouterr().err


def test_killed_at_any_moment_it_goes_on_to_the_same_bits(whole, plan, score_folder, tmp_path):
    out = tmp_path / "out"
    script = (
        "import sys; from pathlib import Path; from training.reproduce import Reproduction\n"
        "Reproduction(Path(sys.argv[1]), sys.argv[2], scale='tiny', plan=Path(sys.argv[3])).run()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(out), str(score_folder), str(plan)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    step = random.choice(["1", "2"])
    ends = time.monotonic() + 300
    while not (out / step / "log.jsonl").is_file() or '"train"' not in (out / step / "log.jsonl").read_text():
        assert process.poll() is None and time.monotonic() < ends
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    work = Reproduction(out, str(score_folder), scale="tiny", plan=plan)
    assert f"to do  step {step}" in work.told() and SHIP not in work.record.steps
    assert (step == "2") == ("whole  step 1" in work.told())
    work.run()
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(work).items())


def test_what_is_whole_is_kept_and_what_is_damaged_is_made_again(whole, plan, score_folder, monkeypatch):
    shipped = (whole.out / SHIP / "model.safetensors").stat().st_mtime_ns
    again = Reproduction(whole.out, str(score_folder), scale="tiny", plan=plan)
    with monkeypatch.context() as patched:
        patched.setattr("training.trainer.Trainer.run", lambda self: pytest.fail("trained again"))
        again.run()
    assert (whole.out / SHIP / "model.safetensors").stat().st_mtime_ns == shipped
    before, file = weights(whole, "last"), whole.out / "last" / "best-loss" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    Reproduction(whole.out, str(score_folder), scale="tiny", plan=plan).run()
    assert all(torch.equal(value, before[name]) for name, value in weights(whole, "last").items())


def test_other_data_and_other_recipes_are_refused(whole, plan, score_folder, built, tmp_path):
    with pytest.raises(TrainingError, match=r"not those with which .*record\.json was begun"):
        folder = tmp_path / "fewer"
        folder.mkdir()
        for path in sorted(score_folder.glob("*.mid"))[1:]:
            (folder / path.name).write_bytes(path.read_bytes())
        Reproduction(whole.out, str(folder), scale="tiny", plan=plan).run()
    for name in ("plan.yaml", "a.yaml", "b.yaml"):
        (tmp_path / name).write_text((plan.parent / name).read_text().replace("seed: 3", "seed: 4"))
    with pytest.raises(TrainingError, match=r"Step '1' .* another recipe"):
        Reproduction(whole.out, str(score_folder), scale="tiny", plan=tmp_path / "plan.yaml").run()
    with pytest.raises(TrainingError, match=r"Step '1' .* another recipe"):
        Reproduction(whole.out, str(score_folder), plan=plan).run()  # at full scale


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"1@3"', '"1"', "epoch is named exactly"),
        ("from: begin", 'from: "1"', "which is no mean"),
        ("from: begin", "from: nobody", "no earlier step"),
        ("teachers: [begin]", 'teachers: ["1"]', "which is no mean"),
        ("prefix_scale", "loudness", "unknown field 'loudness'"),
        ('mean: [begin, "2@2"]', 'mean: [begin, "1@2"]', "no mean takes an epoch"),
        ("steps:", "stages:", "cannot be read"),
    ],
)
def test_wrong_plans_are_named(plan, tmp_path, old, new, told):
    assert old in PLAN
    (tmp_path / "plan.yaml").write_text(PLAN.replace(old, new))
    with pytest.raises(TrainingError, match=told):
        read_plan(tmp_path / "plan.yaml")


def test_the_plan_of_the_project_and_its_command(tmp_path, capsys):
    steps = read_plan()
    assert [step.last_epoch for step in steps if step.recipe] == [10, 7, 1, 1]
    for step in steps:
        if step.recipe:  # the recipes are such as training takes
            sources = {name: Path(name) for name in step.sources}
            assert step.arguments(Path("d"), Path("o"), sources, "full").fit.stop_after == step.last_epoch
    assert main(["--dry-run", "--out", str(tmp_path / "none")]) == 0
    told = capsys.readouterr().out
    assert "to do  step 4: trains by 4.yaml to epoch 1, from one, taught by one and two" in told
    assert not (tmp_path / "none").exists()
    (tmp_path / "record.json").write_text(json.dumps([1]))
    assert main(["--out", str(tmp_path), "--dry-run"]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert 1 < card_figure() < 4
