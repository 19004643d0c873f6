"""`evaluate.load`: from the root of the repository, from a Hub-shaped folder alone, and from the Hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from musical_metrics.hub_folder import write_hub_folder
from musical_metrics.pieces import PredictionError, as_score, as_texts, report
from tokenization import encode, write_midi
from tokenization.errors import MusicGPTError

evaluate = pytest.importorskip("evaluate")


@pytest.fixture
def metric(repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    return evaluate.load("musical_metrics")


def test_every_kind_of_prediction(metric, wander, tmp_path):
    piece = wander(1, 200).quantised()
    write_midi(piece, tmp_path / "piece.mid")
    kinds = [piece, piece.to_dict(), encode(piece).tolist(), str(tmp_path / "piece.mid")]
    results = metric.compute(predictions=kinds, key="C major", form="fugue")
    assert len(set(results["musical_scores"])) == 1
    assert results["musical_score"] == results["musical_scores"][0]
    assert results["out_of_key_ratio"] == 0.0
    assert [p["notes"] for p in results["pieces"]] == [200] * 4
    json.dumps(results, allow_nan=False)


def test_references_may_be_more_than_predictions(metric, wander):
    predictions, references = [wander(s, 150) for s in range(4)], [wander(s, 150) for s in range(10, 17)]
    results = metric.compute(predictions=predictions, references=references)
    assert results["reference"] == "7 given pieces"
    assert 0 <= results["two_sample_auc"] <= 1
    for piece in predictions:
        metric.add(prediction=piece)
    metric.add_batch(predictions=[], references=references[:3])
    metric.add_batch(predictions=predictions[:1], references=references[3:])
    again = metric.compute()
    assert len(again["pieces"]) == 5
    assert again["reference"] == "7 given pieces"
    # Nothing of the last set is left for the next.
    assert "held-out" in metric.compute(predictions=predictions[:1])["reference"]


def test_the_example_in_the_description(metric):
    notes = {"onset": [0, 24, 48, 72], "duration": [24] * 4, "pitch": [60, 62, 64, 65], "voice": [0] * 4}
    results = metric.compute(predictions=[{"notes": notes, "key": "C major"}])
    assert (results["out_of_key_ratio"], results["parallel_fifths"]) == (0.0, None)
    assert results["pieces"][0]["metrics"]["parallel_fifths"]["reason"] == "the piece has one voice"


WRONG = {
    "[3]": r"predictions\[0\]: int '3' is no piece; the ids of one piece stand in a list of their own",
    "[None]": r"predictions\[0\]: None is no piece",
    "[['a']]": r"predictions\[0\]: str 'a' is no token id",
    "[[9999]]": r"predictions\[0\]: int '9999' is no token id.* from 0 to 149",
    "[[1, True]]": "bool 'True' is no token id",
    "[[1.5]]": "float '1.5' is no token id",
    "[[[1, 5]]]": "list .* is no token id",
    "[[]]": "An empty list is no token id",
    "[b'MThd']": "bytes .* is no piece",
    "[{'pitch': [60]}]": "needs 'notes'",
    "[{'notes': {'onset': [0], 'duration': [1], 'pitch': [60], 'voice': [0]}, 'meters': [4]}]": (
        "a piece is the path"
    ),
    "['{\"notes\": ']": "begins like JSON but is none",
    "3": "predictions is int '3': give a list of pieces",
    "b'MThd'": "predictions is bytes",
    "[]": "nothing to measure: predictions is empty",
}


@pytest.mark.parametrize("given", WRONG)
def test_each_wrong_kind_has_one_named_error(metric, given):
    predictions = eval(given)
    with pytest.raises(PredictionError, match=WRONG[given]) as from_the_module:
        metric.compute(predictions=predictions)
    with pytest.raises(PredictionError) as from_the_function:
        report(predictions)
    assert str(from_the_module.value) == str(from_the_function.value)
    assert given == "[]" or "a piece is the path of a MIDI, MusicXML or note-table file" in str(
        from_the_function.value
    )


def test_wrong_references_and_files_are_named(metric, wander, tmp_path):
    good = wander(1, 100)
    with pytest.raises(PredictionError, match=r"references\[1\]: None is no piece"):
        metric.compute(predictions=[good], references=[good, None])
    with pytest.raises(PredictionError, match="None is no piece"):
        metric.add()
    with pytest.raises(MusicGPTError, match=r"none\.mid"):
        metric.compute(predictions=[str(tmp_path / "none.mid")])
    assert "held-out" in metric.compute(predictions=[good])["reference"]  # nothing of what failed is left


def test_one_piece_alone_is_a_set_of_one(metric, wander, tmp_path):
    piece = wander(1, 100).quantised()
    write_midi(piece, tmp_path / "x.mid")
    assert [p["notes"] for p in metric.compute(predictions=str(tmp_path / "x.mid"))["pieces"]] == [100]
    for alone in (tmp_path / "x.mid", piece, piece.to_dict()):
        [text] = as_texts(alone)
        assert len(as_score(text)) == 100
    # What is one piece's ids as an array is read as ids.
    assert [len(as_score(text)) for text in as_texts([encode(piece)])] == [100]


SCRIPT = """
import sys, evaluate
metric = evaluate.load(sys.argv[1])
notes = {"onset": [0, 24, 48, 72], "duration": [24] * 4, "pitch": [60, 62, 64, 65], "voice": [0] * 4}
results = metric.compute(predictions=[{"notes": notes, "key": "C major"}])
for wrong in ([3], [None], [["a"]], [[9999]], 3):
    try:
        metric.compute(predictions=wrong)
    except ValueError as error:
        assert type(error).__name__ == "PredictionError" and "a piece is the path" in str(error), error
    else:
        raise AssertionError(wrong)
import musical_metrics, tokenization
print(results["rhythm_nll"], musical_metrics.__file__, tokenization.__file__, sep="|")
"""


def test_a_hub_folder_alone(tmp_path, repo_root):
    """In another process, another place and under another name, where nothing of the project can be
    imported.
    """
    folder = write_hub_folder(tmp_path / "renamed")
    # -P keeps the working directory off the path; an editable install of the project is hidden.
    hide = (
        f"import sys; sys.path = [p for p in sys.path if not p.startswith({str(repo_root)!r}) or"
        " 'site-packages' in p]; sys.meta_path = [f for f in sys.meta_path if '__editable__' not in"
        " str(f)]\n"
    )
    command = [sys.executable, "-P", "-c", hide + SCRIPT, str(folder / "musical_metrics.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    value, *files = done.stdout.strip().split("|")
    assert float(value) > 0
    assert [Path(f).parent for f in files] == [folder, folder / "tokenization"]


def test_the_folder_has_what_a_space_needs(tmp_path):
    folder = write_hub_folder(tmp_path / "musical_metrics")
    tables = "tokenization/analysis/tables/ngram.npz"
    names = ("musical_metrics.py", "app.py", "README.md", "requirements.txt", "tokenization/score.py")
    for name in (*names, tables):
        assert (folder / name).is_file(), name
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    headings = ("Metric description", "How to use", "Inputs", "Output values", "Values from Bach", "Examples")
    for heading in (*headings, "Limitations and bias", "Citation"):
        assert f"# {heading}" in card, heading
    write_hub_folder(folder)  # replaces it
    assert not list(tmp_path.glob("tmp*"))


def test_from_the_hub_the_folder_is_fetched(metric, monkeypatch, tmp_path):
    """Where only the script is there, the folder comes from the repository that evaluate put into the
    module's name.
    """
    module = sys.modules[type(metric).__module__]
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda name, repo_type: asked.append((name, repo_type)) or str(tmp_path),
    )
    monkeypatch.setattr(
        module, "__name__", "evaluate_modules.metrics.someone--musical_metrics.0123.musical_metrics"
    )
    assert tmp_path in list(module._origins(None))
    assert asked == [("someone/musical_metrics", "space")]


def test_the_page_measures_files(wander, tmp_path):
    pytest.importorskip("gradio")
    from musical_metrics import app

    write_midi(wander(1, 160), tmp_path / "piece.mid")
    said, figure, rows = app.measure([str(tmp_path / "piece.mid")], "C major", "fugue")
    assert "of 100" in said
    assert "Nearest Bach passage" in said
    assert len(figure.axes) == 1
    assert {row[5] for row in rows} >= {"", "outside"}
    said, figure, rows = app.measure([str(tmp_path / "none.mid")], "", "")
    assert "none.mid" in said
    assert (figure, rows) == (None, [])
    assert app.measure(None, "", "")[0].startswith("Upload")
    assert "/measure" in app.page().get_api_info()["named_endpoints"]
