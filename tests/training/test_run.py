"""Whole runs of a tiny model: killed and resumed, on two processes, stopped by SIGTERM, with a full disk and
a damaged checkpoint.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tokenization.interruption import Interruption
from training import checkpoints
from training.arguments import Arguments
from training.errors import ArgumentsError, CheckpointError
from training.run_log import read_log
from training.trainer import Trainer

from .conftest import TINY, as_argv, make_pieces, run_values

ROOT = Path(__file__).resolve().parent.parent.parent
TIMES = ("tokens_per_second", "seconds")


def curve(run: Path) -> list[dict]:
    """The log without what depends on the clock."""
    return [{name: value for name, value in entry.items() if name not in TIMES} for entry in read_log(run)]


def tensors(run: Path) -> dict[str, torch.Tensor]:
    """Everything in the newest checkpoint."""
    newest = checkpoints.list_checkpoints(run / "checkpoints")[0]
    return {**load_file(newest / "training.safetensors"), **load_file(newest / "model.safetensors")}


def assert_same_run(one: Path, two: Path) -> None:
    assert curve(one) == curve(two)
    first, second = tensors(one), tensors(two)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def start(values: dict, *launcher: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true"}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, *(launcher or ("-m", "training")), *as_argv(values)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for_step(run: Path, process: subprocess.Popen, step: int) -> None:
    """Until the log of a run has reached a step."""
    ends = time.monotonic() + 400
    while time.monotonic() < ends:
        if (run / "log.jsonl").is_file() and max((e["step"] for e in read_log(run)), default=0) >= step:
            return
        if process.poll() is not None:
            pytest.fail(
                f"the run ended with code {process.returncode} before step {step}:"
                f" {process.stderr.read()[-2000:]}"
            )
        time.sleep(0.01)
    pytest.fail(f"step {step} was not reached in 400 s")


@pytest.fixture(scope="module")
def whole_run(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A run that nobody interrupts, and its arguments."""
    out = tmp_path_factory.mktemp("whole") / "run"
    values = run_values(out, built, fit__epochs=6, evaluation__save_every_steps=7)
    Trainer(Arguments.from_dict(values)).run()
    return out, values


def test_a_killed_run_resumes_to_the_same_bits(whole_run, tmp_path):
    whole, values = whole_run
    last = max(entry["step"] for entry in read_log(whole))
    step = random.randrange(3, last - 3)
    values = {**values, "run": {**values["run"], "output_dir": str(tmp_path / "run")}}
    process = start(values)
    wait_for_step(tmp_path / "run", process, step)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached = max(entry["step"] for entry in read_log(tmp_path / "run"))
    assert reached < last, f"killed too late to show anything (at {reached} of {last})"
    trainer = Trainer(Arguments.from_dict(values))
    trainer.run()
    assert_same_run(whole, tmp_path / "run")


def test_workers_that_cut_ahead_change_nothing(whole_run, tmp_path):
    whole, values = whole_run
    run = {**values["run"], "output_dir": str(tmp_path / "run"), "workers": 2}
    Trainer(Arguments.from_dict({**values, "run": run})).run()
    assert_same_run(whole, tmp_path / "run")


def test_sigterm_saves_and_ends(whole_run, tmp_path):
    whole, values = whole_run
    evaluation = {**values["evaluation"], "save_every": 100, "save_every_steps": None}
    run = {**values["run"], "output_dir": str(tmp_path / "run")}
    values = {**values, "run": run, "evaluation": evaluation}
    process = start(values)
    wait_for_step(tmp_path / "run", process, 4)
    process.terminate()
    assert process.wait(timeout=300) == 128 + signal.SIGTERM
    assert "ended by SIGTERM: saved at step" in process.stderr.read()
    saved = checkpoints.list_checkpoints(tmp_path / "run" / "checkpoints")
    assert len(saved) == 1
    Trainer(Arguments.from_dict(values)).run()
    assert_same_run(whole, tmp_path / "run")


def test_a_second_sigint_ends_at_once_and_says_what_there_is(built, tmp_path, monkeypatch):
    step, presses = Trainer.train_step, {2: 2, 3: 1, 5: 2}  # how often at which step of which run

    def pressed(trainer, *arguments):
        step(trainer, *arguments)
        for _ in range(presses.pop(trainer.step, 0)):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "train_step", pressed)
    for kept in ("no checkpoint", "saved at step 3", "saved at step 3"):
        with pytest.raises(Interruption) as caught:
            values = run_values(tmp_path / "run", built, evaluation__save_every=100)
            Trainer(Arguments.from_dict(values)).run()
        assert caught.value.signal == signal.SIGINT and caught.value.__notes__[0].startswith(kept)
    assert presses == {}


def test_overwriting_a_run_keeps_what_is_not_of_it(built, tmp_path):
    values = run_values(tmp_path / "run", built, fit__max_steps=1, fit__epochs=1)
    Trainer(Arguments.from_dict(values)).run()
    (tmp_path / "run" / "thoughts.txt").write_text("mine")
    written = set(os.listdir(tmp_path / "run"))
    Trainer(Arguments.from_dict({**values, "run": {**values["run"], "overwrite": True}})).setup()
    assert os.listdir(tmp_path / "run") == ["thoughts.txt"] and len(written) > 4


def test_two_processes_train_to_the_same_loss(built, tmp_path):
    """Dropout draws differently on two processes, so it is off; the rest must agree up to the order of
    sums.
    """
    plain = {"model__config_overrides": {**TINY, "hidden_dropout": 0.0}, "fit__epochs": 2}
    heard = {"musical_every": 2, "musical_pieces": 3, "musical_tokens": 40}
    plain |= {f"evaluation__{name}": value for name, value in heard.items()}
    one = run_values(tmp_path / "one", built, **plain, fit__micro_batch_size=2)
    two = run_values(tmp_path / "two", built, **plain)
    # Not `accelerate launch --cpu --num_processes 2`: it starts one process.
    address = ("--local_addr", "127.0.0.1", "--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0")
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node", "2", *address, "-m", "training")
    process = start(two, *launcher)
    Trainer(Arguments.from_dict(one)).run()
    _, error = process.communicate(timeout=600)
    assert process.returncode == 0, error[-3000:]
    assert "2 processes share each step" in error
    mine, theirs = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert [entry["step"] for entry in mine] == [entry["step"] for entry in theirs]
    for name in ("loss", "nats_per_note", "grad_norm"):
        pairs = np.array([(a[name], b[name]) for a, b in zip(mine, theirs, strict=True) if name in a])
        np.testing.assert_allclose(pairs[:, 0], pairs[:, 1], rtol=2e-4)
    first, second = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    assert first.keys() == second.keys()
    for name, value in first.items():
        if name.startswith("model|"):
            torch.testing.assert_close(value, second[name], rtol=1e-3, atol=2e-4)
    # Each process composed its share of the pieces, and none of them twice.
    assert [len(entry["scores"]) for entry in read_log(tmp_path / "two") if "scores" in entry] == [3]
    samples = sorted((tmp_path / "two" / "samples").glob("*/*.mid"))
    assert [path.name.split("_seed")[1][:4] for path in samples] == ["1001", "1000", "1002"]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(whole_run, tmp_path, capsys):
    whole, values = whole_run
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    values = {**values, "run": {**values["run"], "output_dir": str(run)}}
    newest, before = checkpoints.list_checkpoints(run / "checkpoints")
    damaged = newest / "training.safetensors"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(bytes(content))
    Trainer(Arguments.from_dict(values)).run()
    said = capsys.readouterr().err
    assert f"{newest.name} is damaged: training.safetensors" in said
    assert f"resumed from {before.name}" in said
    assert_same_run(whole, run)
    # Without any whole one the run refuses to begin over what is there.
    for path in checkpoints.list_checkpoints(run / "checkpoints"):
        (path / "training.json").write_text("{")
    with pytest.raises(CheckpointError, match="None of the 2 checkpoints"):
        Trainer(Arguments.from_dict(values)).run()


def test_a_resumed_run_must_be_the_same_run(whole_run, tmp_path):
    _, values = whole_run
    for group, name, value in (("fit", "learning_rate", 0.5), ("run", "seed", 3), ("data", "length", 64)):
        changed = {**values, group: {**values[group], name: value}}
        with pytest.raises(CheckpointError, match=f"--{name}"):
            Trainer(Arguments.from_dict(changed)).run()
    with pytest.raises(ArgumentsError, match="--resume is false"):
        Trainer(Arguments.from_dict({**values, "run": {**values["run"], "resume": False}})).run()


def test_changed_data_is_named_and_refused(tmp_path, capsys):
    pieces = make_pieces(6)
    values = run_values(tmp_path / "run", fit__epochs=1)

    def train(train_pieces, **run) -> None:
        given = {"train": train_pieces, "validation": pieces[:1]}
        Trainer(Arguments.from_dict({**values, "run": {**values["run"], **run}}), given).run()

    train(pieces)
    train(pieces)  # the same: nothing to say
    array = pieces[2].score.array.copy()
    array[0, 1] += 6
    other = replace(pieces[2], score=pieces[2].score.replace(notes=array))
    for changed, words in (
        ([*pieces[:2], other, *pieces[3:]], "changed in train: piece02"),
        (pieces[:-1], "gone in train: piece05"),
        ([*pieces, replace(pieces[0], name="more")], "new in train: more"),
        ([replace(pieces[0], times=2.0), *pieces[1:]], "changed in train: piece00"),
    ):
        with pytest.raises(CheckpointError, match=f"{words}.*--allow_changed_data"):
            train(changed)
    capsys.readouterr()
    train(changed, allow_changed_data=True)
    assert "changed in train: piece00" in capsys.readouterr().err


def test_every_file_of_a_checkpoint_is_verified(tmp_path):
    def fill(path: Path) -> None:
        (path / "config.json").write_text("{}")
        checkpoints.write_state(path, {"w": torch.zeros(3)}, {"step": 1})

    for name in ("config.json", "training.safetensors", "training.json", "SHA256SUMS"):
        folder = tmp_path / name / "step-1"
        checkpoints.write_folder(folder, fill)
        assert checkpoints.read_state(folder)[1] == {"step": 1}
        if shutil.which("sha256sum"):
            subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
        path, was = folder / name, (folder / name).read_bytes()
        path.write_bytes(was.replace(b'"step": 1', b'"step": 7') if name == "training.json" else was[:-2])
        assert path.read_bytes() != was
        with pytest.raises(CheckpointError, match="is damaged"):
            checkpoints.read_state(folder)
        path.unlink()
        with pytest.raises(CheckpointError):
            checkpoints.read_state(folder)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    """A limit on the size of files stands in for the full disk: the system refuses to write, whatever library
    writes.
    """
    resource = pytest.importorskip("resource")
    folder = tmp_path / "checkpoints"

    def fill(path: Path) -> None:
        checkpoints.write_state(path, {"w": torch.zeros(50_000)}, {"step": 1})

    checkpoints.write_folder(checkpoints.step_folder(folder, 1), fill)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(
            CheckpointError,
            match=r"step-00000002 could not be written: .*; .* the run goes on from the one before",
        ):
            checkpoints.write_folder(checkpoints.step_folder(folder, 2), fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000001"]
    path, _, state = checkpoints.newest(folder, pytest.fail)
    assert (path.name, state["step"]) == ("step-00000001", 1)


@pytest.mark.parametrize("kind", ["system", "safetensors"])
def test_no_space_is_named(tmp_path, kind):
    import errno

    from safetensors import SafetensorError

    def fill(path: Path) -> None:
        if kind == "system":
            raise OSError(errno.ENOSPC, "No space left on device")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(CheckpointError, match="the disk is full; free some space"):
        checkpoints.write_folder(tmp_path / "step-00000001", fill)
    assert list(tmp_path.iterdir()) == []


def test_nothing_in_a_run_is_pickled(whole_run):
    run, _ = whole_run
    suffixes = {path.suffix for path in run.rglob("*") if path.is_file()}
    assert not suffixes & {".pt", ".pth", ".bin", ".pkl", ".ckpt"}
    newest = checkpoints.list_checkpoints(run / "checkpoints")
    assert len(newest) == 2
    wanted = {"model.safetensors", "config.json", "training.safetensors", "training.json"}
    assert wanted <= {p.name for p in newest[0].iterdir()}


def test_the_best_model_is_what_was_validated(whole_run, built):
    """The exported folder gives, through the command, the figure that the log has for it."""
    from training.validate import main

    run, _ = whole_run
    best = min((e for e in read_log(run) if e["kind"] == "eval"), key=lambda e: e["nats_per_note"])
    figures = json.loads((run / "best-loss" / "figures.json").read_text())
    assert figures["nats_per_note"] == best["nats_per_note"]
    out = run.parent / "report.json"
    assert main(["--checkpoint", str(run), "--data", str(built), "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["unmasked"]["nats_per_note"] == pytest.approx(best["nats_per_note"], rel=1e-5)
    assert found["masked"]["nats_per_note"] == pytest.approx(best["masked_nats_per_note"], rel=1e-5)
    assert found["masked"]["nats_per_note"] < found["unmasked"]["nats_per_note"]


def test_the_loss_falls_and_early_stopping_stops(tmp_path):
    pieces = make_pieces(8, notes=30)
    given = {"train": pieces, "validation": make_pieces(2, seed=9, notes=30)}
    fit = {"fit__epochs": 40, "fit__learning_rate": 3e-2, "fit__ema_decay": None}
    values = run_values(tmp_path / "run", **fit, evaluation__stop_on="loss", evaluation__patience=3)
    Trainer(Arguments.from_dict(values), given).run()
    entries = read_log(tmp_path / "run")
    losses = [e["loss"] for e in entries if e["kind"] == "train"]
    assert losses[-1] < 0.7 * losses[0]
    evals = [e["nats_per_note"] for e in entries if e["kind"] == "eval"]
    assert len(evals) < 40
    assert len(evals) - 1 - int(np.argmin(evals)) == 3
    # What early stopping counts survives a resumed run: it does not begin anew.
    Trainer(Arguments.from_dict(values), given).run()
    assert len([e for e in read_log(tmp_path / "run") if e["kind"] == "eval"]) == len(evals)


def test_packing_changes_nothing_but_the_rows():
    """The gradient of a packed row is the sum of the gradients of its pieces alone."""
    from training.arguments import ModelArguments
    from training.batches import collate
    from training.crops import cut_prefix, cut_segment
    from training.losses import token_losses
    from training.models import build_model
    from training.run_setup import refuse_leaks

    pieces = make_pieces(3, notes=12)
    segments = [cut_segment(p.score, 0, 200, cut_prefix(p.score, 0)) for p in pieces]
    for arguments in (
        ModelArguments(config_overrides=TINY),
        ModelArguments(model="gpt2", config_overrides={"n_embd": 32, "n_layer": 2, "n_head": 2}),
    ):
        model = build_model(arguments, 0).eval()
        refuse_leaks(model)
        gradients = []
        for rows in ([segments], [[segment] for segment in segments]):
            batch = {name: torch.from_numpy(value) for name, value in vars(collate(rows)).items()}
            model.zero_grad()
            logits = model(
                input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False
            ).logits
            token_losses(logits, batch["targets"]).sum().backward()
            gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        for one, two in zip(*gradients, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-3)


def test_a_model_that_leaks_is_refused():
    from training.run_setup import refuse_leaks

    class Leaky(torch.nn.Module):
        def forward(self, input_ids, **_):
            return SimpleNamespace(logits=input_ids.cumsum(1).float()[..., None].expand(-1, -1, 150))

    with pytest.raises(ArgumentsError, match="--packing"):
        refuse_leaks(Leaky())
