"""What is exported must work where this project is not: fresh processes that cannot import it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from musicgpt.cli.main import main
from musicgpt.cli.push import Step, upload
from tokenization.errors import MusicGPTError
from tokenization.folders import manifest_of

# An editable install puts the project on every process's path: take it off, and make sure that it is off.
ALONE = """
import sys
sys.meta_path = [f for f in sys.meta_path if "editable" not in repr(f).lower() + type(f).__module__.lower()]
sys.path = [p for p in sys.path if p != ROOT]
sys.path_hooks = [h for h in sys.path_hooks if "editable" not in repr(h).lower()]
for name in ("musicgpt", "dataset_builder"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{name} can be imported: this shows nothing")
"""


def run_alone(script: str, folder) -> str:
    """Run Python code in `folder` in a process that does not know the project; its output."""
    root = str(
        next(p for p in [*__import__("pathlib").Path(__file__).parents] if (p / "pyproject.toml").is_file())
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment.update(HF_HOME=str(folder / ".hf"), OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    code = f"ROOT = {root!r}\n{ALONE}\n{script}"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_the_model_folder_works_alone(tiny_model_folder, tmp_path, capsys):
    out = tmp_path / "hub" / "model"
    assert main(["export", "model", "--model", str(tiny_model_folder), "--out", str(out), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)["model"]
    assert described["files"] == sum(path.is_file() for path in out.rglob("*")) and not list(
        out.parent.glob(".export*")
    )
    script = """
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoProcessor, AutoTokenizer
config = AutoConfig.from_pretrained("model", trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained("model", trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained("model", trust_remote_code=True)
assert type(AutoModel.from_pretrained("model", trust_remote_code=True)).__name__ == "MusicGPTModel"
ids = torch.tensor([tokenizer.prefix(mode="minor", meter="3/4")])
torch.manual_seed(6)  # a piece in which no voice strikes a pitch that it holds, which MIDI cannot tell
output = model.generate(ids, max_new_tokens=120, do_sample=True)[0].tolist()
score = tokenizer.decode_score(output, key="d minor")
assert len(score) and score.meters[0].name == "3/4", score
assert type(tokenizer).__name__ == "MusicGPTTokenizerFast", type(tokenizer)
offsets = tokenizer("MODE_minor NOTE_60", return_offsets_mapping=True)["offset_mapping"]
assert offsets == [(0, 0), (0, 10), (11, 18)], offsets
processor = AutoProcessor.from_pretrained("model", trust_remote_code=True)
midi = processor.decode_midi(output, key="d minor")
assert midi.startswith(b"MThd") and len(midi) > 4 * len(score)
inputs = processor([score, score.replace(notes=score.array[:2])], return_tensors="pt")
assert inputs["attention_mask"][:, -1].all() and not inputs["attention_mask"][1, 0], inputs
longer = model.generate(**inputs, min_new_tokens=8, max_new_tokens=8)  # a random model may end at once
assert longer.shape == (2, inputs["input_ids"].shape[1] + 8), longer.shape
open("score.mid", "wb").write(midi)
for source in (midi, "score.mid"):
    assert processor.read(source).notes == score.notes
    assert processor(source)["input_ids"] == processor(score)["input_ids"]
try:
    processor("score.musicxml")
except ValueError as error:
    assert "is installed; the code in a model's folder reads MIDI alone" in str(error), error
else:
    raise SystemExit("MusicXML was read")
from transformers import pipeline
pipe = pipeline("text-generation", model="model", trust_remote_code=True)
text = pipe("MODE_minor METER_3/4 ", max_new_tokens=40, do_sample=True)[0]["generated_text"]
assert text.startswith("MODE_minor METER_3/4 ") and "NOTE_" in text, text
assert next(model.stream_notes(ids, max_new_tokens=40)).duration > 0
model.save_pretrained("again")
processor.save_pretrained("again")
again = AutoModelForCausalLM.from_pretrained("again", trust_remote_code=True)
assert torch.equal(again(ids).logits, model(ids).logits)
assert AutoTokenizer.from_pretrained("again", trust_remote_code=True).decode_score(output).notes == tokenizer.decode_score(output).notes
assert AutoProcessor.from_pretrained("again", trust_remote_code=True)(score)["input_ids"] == processor(score)["input_ids"]
print("notes:", len(score))
"""
    (out.parent / "score.musicxml").write_text("<score-partwise/>")
    assert len(list(out.rglob("*.py"))) <= 14
    names = json.loads((out / "tokenizer_config.json").read_text())["auto_map"]["AutoTokenizer"]
    assert names == [
        "tokenization_musicgpt.MusicGPTTokenizer",
        "tokenization_musicgpt_fast.MusicGPTTokenizerFast",
    ]
    assert "notes:" in run_alone(script, out.parent)


@pytest.mark.parametrize("kind", ["model", "metric", "space"])
def test_what_a_user_has_in_the_folder_stays(kind, tiny_model_folder, tmp_path, capsys):
    out = tmp_path / kind
    command = ["export", kind, "--model", str(tiny_model_folder), "--out", str(out)]
    own = {"config.json", "app.py", "notes/mine.txt"}  # the first two make it look like an export
    (out / "notes").mkdir(parents=True)
    for name in own:
        (out / name).write_text("mine")
    assert main(command) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in own) and "--overwrite" in error
    assert {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()} == own
    assert main([*command, "--overwrite"]) == 0
    written = set(manifest_of(out))
    assert written & own and all((out / name).read_text() == "mine" for name in own - written)
    for name in own - written:
        (out / name).unlink()
    (out / "notes").rmdir()
    assert main(command) == 0  # an earlier export is simply replaced


def test_export_all_looks_at_every_folder_before_it_writes_one(tmp_path, capsys):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "mine.txt").write_text("mine")
    assert main(["export", "all", "--source", "nowhere", "--out", str(tmp_path)]) == 2
    assert "mine.txt" in capsys.readouterr().err and os.listdir(tmp_path) == ["space"]


@pytest.fixture
def hub(tmp_path):
    """Four folders that look like exports."""
    marks = {
        "model": "model.safetensors",
        "dataset": "README.md",
        "musical_metrics": "musical_metrics.py",
        "space": "app.py",
    }
    for name, mark in marks.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / mark).write_text("x")
    return tmp_path


def test_the_plan_is_printed_and_a_dry_run_ends_there(hub, capsys, monkeypatch):
    monkeypatch.setattr("musicgpt.cli.push.upload", lambda *_: pytest.fail("uploaded in a dry run"))
    assert main(["push", "--all", "someone", "--from", str(hub), "--dry-run"]) == 0
    out = capsys.readouterr().out
    for repo in (
        "model someone/musicgpt-wtc",
        "dataset someone/musicgpt-wtc",
        "space someone/musical_metrics",
        "space someone/musicgpt",
    ):
        assert repo in out
    assert main(["push", "--all", "someone", "--from", str(hub), "--dry-run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["plan"]) == 4


def test_without_a_yes_nothing_is_uploaded(hub, capsys, monkeypatch):
    monkeypatch.setattr("musicgpt.cli.push.upload", lambda *_: pytest.fail("uploaded without a yes"))
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert main(["push", "--all", "someone", "--from", str(hub)]) == 1
    assert "nothing was uploaded" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--from", "."], "--all USER"),
        (["--all", "a/b", "--from", "."], "'a/b'"),
        (["model", "--from", "."], "--repo"),
        (["model", "--repo", "a/b", "--from", "nowhere"], "musicgpt export model"),
    ],
)
def test_a_push_that_cannot_be_is_refused_in_one_line(arguments, words, capsys):
    assert main(["push", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


def test_upload_makes_the_repository_and_sends_the_folder(hub):
    calls = []
    fake = SimpleNamespace(
        create_repo=lambda repo, **k: calls.append(("create", repo, k)) or f"https://hub/{repo}",
        upload_folder=lambda **k: calls.append(("upload", k["repo_id"], k)),
    )
    assert upload(Step("space", "a/b", "space", hub / "space"), True, fake) == "https://hub/a/b"
    assert [c[:2] for c in calls] == [("create", "a/b"), ("upload", "a/b")]
    assert calls[0][2] == {"repo_type": "space", "private": True, "exist_ok": True, "space_sdk": "gradio"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OfflineModeIsEnabled("offline\nmore lines"),
            r"^Cannot push to the Hub: offline mode is on \(HF_HUB_OFFLINE\)\.$",
        ),
        (
            PermissionError(13, "denied", "a.bin"),
            r"^Nothing was uploaded: a\.bin cannot be read \(denied\)\.$",
        ),
        (
            ConnectionError("no way\nmore lines"),
            r"^The Hub could not be reached \(ConnectionError: no way\)\.$",
        ),
    ],
)
def test_what_the_hub_says_against_it_is_one_sentence(hub, error, words):
    def refuse(*args, **kwargs):
        raise error

    with pytest.raises(MusicGPTError, match=words):
        upload(Step("model", "a/b", "model", hub / "model"), hub=SimpleNamespace(create_repo=refuse))
