"""What the exported folder composes by itself is what `Composer` composes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from musicgpt import Composer, Given, Settings
from musicgpt.hub_model import write_model_folder
from tests.musicgpt.cli.test_export import run_alone
from tokenization import decode, prefix_ids
from tokenization.errors import MusicGPTError

NEW = 120
FUGUE = Settings(key="a minor", form="fugue", meter="4/4", voices=3, seed=7, max_new_tokens=300)
PRELUDE = Settings(key="C major", form="prelude", meter="3/4", seed=3, max_new_tokens=NEW, top_p=0.9)
# Without the project: what `from_pretrained` loads, and a model that is given the folder as `custom_generate`.
SCRIPT = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("model", trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained("model", trust_remote_code=True)
fugue = torch.tensor([tokenizer.prefix(mode="minor", form="fugue", meter="4/4", voices=3)])
prelude = torch.tensor([tokenizer.prefix(mode="major", form="prelude", meter="3/4")])
found = {"fugue": model.generate(fugue, max_new_tokens=300, seed=7, num_return_sequences=2).tolist()}
own = model.generate
del model.generate
given = {"custom_generate": "model", "trust_remote_code": True}
found["prelude"] = model.generate(prelude, max_new_tokens=120, top_p=0.9, seed=3, **given).tolist()
beginning = torch.tensor([found["prelude"][0][:52]])
found["continued"] = own(beginning, max_new_tokens=60, seed=5).tolist()
batch = {"input_ids": [fugue[0].tolist(), prelude[0].tolist()]}
rows = tokenizer.pad(batch, return_tensors="pt", padding_side="left")
found["padded"] = own(**rows, max_new_tokens=40, seed=7).tolist()
alone = [own(ids, max_new_tokens=40, seed=seed).tolist()[0] for ids, seed in ((fugue, 7), (prelude, 8))]
width = rows["input_ids"].shape[1]
found["alone"] = [[0] * (width - ids.shape[1]) + row for ids, row in zip((fugue, prelude), alone)]
torch.manual_seed(2)
found["model"] = own(prelude, max_new_tokens=40, rules=False).tolist()
torch.manual_seed(2)
found["stock"] = type(model).generate(model, prelude, max_new_tokens=40).tolist()
piece, found["errors"] = found["fugue"][0], []
given = {"given_ids": piece, "free": [(192, 288, [1, 0])], "particles": 3}
found["revised"] = own(**given, num_return_sequences=2, seed=5).tolist()
found["subject"] = own(given_ids=piece[:40], max_new_tokens=150, seed=6).tolist()
for call in (
    dict(inputs=fugue, rules=["no such rule"]), dict(given_ids=piece[:5]), dict(given_ids=piece[1:]),
    dict(given_ids=piece), dict(given, particles=0), dict(given, rules=False), dict(given, free=[(96, 0, [1])]),
    dict(given, free=[1]), dict(given, free=[(0, 96, [3])]), dict(given, return_dict_in_generate=True),
    dict(given, inputs=torch.tensor([piece])), dict(given, max_new_tokens=20), dict(given, given_ids=[piece] * 2),
    dict(given_ids=piece[:40], max_new_tokens=40),
):
    try:
        own(**call)
    except ValueError as error:
        found["errors"].append(f"{type(error).__name__}: {error}")
found["ours"] = sorted(name for name in sys.modules if name.split(".")[0] in ("musicgpt", "tokenization"))
print(json.dumps(found))
"""

# What `SCRIPT` is told where it asks for what cannot be.
ERRORS = (
    "no such rule",
    "GivenError: given_ids have no notes",
    "GivenError: Token 0 of given_ids, MODE_minor, cannot stand there",
    "GivenError: Without `free` given_ids are the subject of a fugue",
    "MusicGPTError: particles is 0; it must be at least 1 and at most 32",
    "MusicGPTError: given_ids and particles need do_sample=True",
    "GivenError: The region from tick 96 to 0 in voices [1] is empty",
    "GivenError: free is [1]; give triples",
    "GivenError: A region has the voices [3]; the piece has 3",
    "MusicGPTError: given_ids and particles give ids alone",
    "GivenError: There are notes before given_ids",
    "GivenError: This would take",
    "GivenError: given_ids have the shape (2, ",
    "GivenError: The subject takes",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_model_folder(tmp_path_factory.mktemp("hub") / "model")


@pytest.fixture(scope="module")
def shipped() -> Composer:
    return Composer.from_pretrained()


def _without_padding(row: list[int]) -> list[int]:
    return [token for token in row if token]


def test_the_folder_composes_what_the_composer_does(folder, shipped):
    """One process finds it all out: it takes some time to begin."""
    found = json.loads(run_alone(SCRIPT, folder.parent).splitlines()[-1])
    assert found["ours"] == []
    pieces = shipped.compose(FUGUE, num=2)
    assert [_without_padding(row) for row in found["fugue"]] == [piece.ids for piece in pieces]
    assert found["prelude"] == [shipped.compose(PRELUDE)[0].ids]
    # A row is what it is alone, a beginning is continued.
    width = len(found["padded"][0])
    assert found["padded"] == [row + [0] * (width - len(row)) for row in found["alone"]]
    [row] = found["continued"]
    assert row[:52] == found["prelude"][0][:52] and 52 < len(row) <= 112
    # Without rules it is the model's own.
    assert found["model"] == found["stock"] != found["prelude"]
    for error, expected in zip(found["errors"], ERRORS, strict=True):
        assert expected in error and "\n" not in error
    # What is given stays, whole pieces come back.
    given = Given.around(decode(pieces[0].ids).score, (3, 3), [0, 1])
    again = shipped.compose(Settings(seed=5, particles=3), 2, given=replace(given, voices=3))
    assert [decode(row).score.notes for row in found["revised"]] == [piece.score.notes for piece in again]
    assert len({tuple(row) for row in found["revised"]}) == 2 and again[0].num_new_notes
    settings = Settings(seed=6, voices=3, max_new_tokens=150)
    [fugue] = shipped.compose(settings, subject=decode(pieces[0].ids[:40]).score)
    assert found["subject"] == [fugue.ids]


def test_where_the_engine_is_it_decodes_the_folders_model(folder, shipped, monkeypatch, tmp_path):
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path))
    # what another test imported from another folder of modules is not there, nor is that folder
    others = [path for path in sys.path if not (Path(path) / "transformers_modules").is_dir()]
    monkeypatch.setattr(sys, "path", others)
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers_modules"]:
        monkeypatch.delitem(sys.modules, name)
    kind = dynamic_module_utils.get_class_from_dynamic_module("modeling_musicgpt.MusicGPTForCausalLM", folder)
    model = kind.from_pretrained(folder)
    ids = torch.tensor([prefix_ids("minor", "fugue", "4/4", 3)])
    given = {"custom_generate": str(folder), "trust_remote_code": True}
    [row] = model.generate(ids, max_new_tokens=300, seed=7, **given).tolist()
    assert kind.__module__.startswith("transformers_modules.") and model.stock_loop_because is None
    assert row == shipped.compose(FUGUE)[0].ids


def test_rows_with_different_prompts_give_ids_alone(composer):
    from musicgpt.generate import generate

    ids = torch.tensor([prefix_ids(mode=mode, meter="4/4") for mode in ("major", "minor")])
    with pytest.raises(MusicGPTError, match="2 different prompts"):
        generate(ids, model=composer.model, do_sample=True, max_new_tokens=8, return_dict_in_generate=True)


def test_a_number_of_bars_means_what_it_means_to_the_composer(composer):
    from musicgpt.generate import generate

    ids = torch.tensor([prefix_ids(mode="major", form="prelude", meter="3/8")])
    [row] = generate(ids, model=composer.model, do_sample=True, bars=5, seed=3).tolist()
    [piece] = composer.compose(Settings(key="C major", form="prelude", meter="3/8", bars=5, seed=3))
    assert row == piece.ids
    with pytest.raises(MusicGPTError, match="bars is 3; it must be at least 4"):
        generate(ids, model=composer.model, do_sample=True, bars=3)
