"""The folder that `musicgpt export model` writes, used in every way that transformers has, where nothing of
this project can be imported.

One process does everything (`in_exported_folder.py`); here stands what must hold of what it found.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from musicgpt.hub_model import write_model_folder
from tests.musicgpt.cli.test_export import run_alone
from tokenization.codec import first_error

SCRIPT = Path(__file__).with_name("in_exported_folder.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, dict]:
    folder = write_model_folder(tmp_path_factory.mktemp("hub") / "model")
    return json.loads(run_alone(SCRIPT.read_text(encoding="utf-8"), folder).splitlines()[-1])


def _ways() -> list[str]:
    lines = SCRIPT.read_text(encoding="utf-8").splitlines()
    return [
        line.partition("def ")[2].partition("(")[0]
        for before, line in zip(lines, lines[1:], strict=False)
        if before == "@way"
    ]


@pytest.mark.parametrize("name", _ways())
def test_no_way_of_using_it_raises_and_all_music_is_right(found, name):
    """What is deterministic is the reference, all rows are legal and of the length asked for, differences are
    those of rounding.
    """
    got, reference = found[name], found["reference"]
    assert "raised" not in got, got
    length = reference["start"] + reference["new"]
    if "same" in got:
        assert got["same"] == [reference["row"]] and len(reference["row"]) == length
    if "second" in got:
        assert got["second"] == got["wanted"]
    for row in [*got.get("rows", []), *got.get("others", [])]:
        assert first_error(row) is None
        assert row[: reference["start"]] == reference["row"][: reference["start"]]
        assert reference["start"] + 4 <= len(row) <= length
    if "again" in got:
        assert got["rows"] == got["again"]
    if "off" in got:
        assert got["off"] < {"bfloat16": 0.03, "float16": 0.006}.get(name, 1e-4)


def test_the_reference_is_music(found):
    row = found["reference"]["row"]
    assert first_error(row) is None
    assert len(set(row)) > 8
    assert found["modules"]["ours"] == []


def test_sampling_follows_the_seed(found):
    assert found["sampling"]["rows"] != found["sampling"]["others"]
    for rows in (found["num_return_sequences"]["rows"], found["num_return_sequences"]["others"]):
        assert len({tuple(row) for row in rows}) == len(rows) == 3


def test_it_says_why_it_takes_the_stock_loop(found):
    engine = "the engine is not there: No module named 'musicgpt'"
    said = {name: got["because"] for name, got in found.items() if "because" in got}
    assert said["greedy"] == said["hidden_states"] == engine  # the latter: after a call that recorded them
    assert "beams" in said["beams"] and "proposes" in said["assisted"] and "proposes" in said["prompt_lookup"]
    assert said["scores"] == said["guidance"] == engine


def test_scores_are_those_it_chose_by(found):
    got, reference = found["scores"], found["reference"]
    assert got["chosen"] == reference["row"][reference["start"] :]
    assert got["forbidden"]
    assert found["hidden_states"]["layers"] == 1 + found["attentions"]["layers"] == 5


def test_streamers_and_pipeline_give_the_same_text(found):
    got, reference = found["streamers"], found["reference"]["row"]
    assert got["seen"] == [reference] and got["ended"]
    assert got["text"] == got["words"] and len(got["words"]) == found["reference"]["new"]
    assert found["in_pipeline"]["text"] == found["in_pipeline"]["words"]


def test_saved_again_it_has_its_tokenizer(found):
    assert found["saved_and_loaded"]["prompt"] == found["reference"]["row"][: found["reference"]["start"]]
