"""`musicgpt evaluate`."""

from __future__ import annotations

import json

import pytest

from musical_metrics import cli, tables
from tokenization import write_midi
from tokenization.errors import MusicGPTError, ScoreReadError


@pytest.fixture
def folder(tmp_path, wander):
    for seed in range(4):
        write_midi(wander(seed, 160), tmp_path / f"piece{seed}.mid")
    return tmp_path


def test_a_table_with_bachs_band(folder, capsys):
    assert cli.main([str(folder / "piece0.mid"), "--form", "fugue"]) == 0
    text = capsys.readouterr().out
    row = next(line for line in text.splitlines() if line.startswith("out-of-key ratio "))
    assert row.endswith("▼ below Bach")  # random walks on the white keys never leave C major
    assert "musical score" in text
    assert "Bach's own median, held out" in text
    assert "nearest Bach passage" in text


def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_measured(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "_read", None)
    with pytest.raises(MusicGPTError, match=r"'\.xyz': give one of \.png"):
        cli.main([str(folder), "--plot", str(tmp_path / "plot.xyz")])


def test_json_and_plot(folder, capsys):
    plot = folder / "deep" / "plot.png"
    assert cli.main([str(folder), "--json", "--plot", str(plot)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [piece["notes"] for piece in found["pieces"]] == [160] * 4
    assert 0 <= found["comparison"]["families"]["all"]["auc"] <= 1
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in plot.parent.iterdir()] == ["plot.png"]


def test_a_reference_folder_and_what_was_copied(folder, tmp_path_factory, wander, capsys):
    reference = tmp_path_factory.mktemp("reference")
    write_midi(wander(0, 160), reference / "original.mid")
    write_midi(wander(9, 160), reference / "other.mid")
    assert cli.main([str(folder / "piece0.mid"), "--reference", str(reference)]) == 0
    text = capsys.readouterr().out
    assert "mean similarity 1.000" in text
    assert "against 2 given pieces" in text


def test_pieces_go_by_their_files_and_the_form_is_the_file_s(folder, wander, capsys):
    files = [folder / f"own{i}.mid" for i in (1, 2)]
    for file in files:
        write_midi(wander(1, 160).replace(title=None, form="fugue", key="C major"), file)
    assert cli.main([*map(str, files)]) == 0
    text = capsys.readouterr().out
    for file in files:
        assert f"{file} (Fugue in C major, 3 voices): 160 notes" in text
    assert text.count("held-out fugues, first 128 notes") == 2
    assert cli.main([str(files[0]), "--form", "prelude"]) == 0
    assert "held-out preludes" in capsys.readouterr().out


def test_one_of_two_files_with_a_stem(folder):
    (folder / "piece1.musicxml").write_text("<score-partwise/>")
    assert [path.name for path in cli.score_files([folder])] == [f"piece{i}.mid" for i in range(4)]


def test_bad_files(folder, tmp_path_factory, capsys):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(ScoreReadError, match="holds no scores"):
        cli.main([str(empty)])
    bad = folder / "bad.mid"
    bad.write_bytes(b"not midi")
    with pytest.raises(ScoreReadError, match=r"bad\.mid"):
        cli.main([str(bad)])
    assert cli.main([str(folder), "--json"]) == 1
    captured = capsys.readouterr()
    assert "bad.mid" in captured.err
    assert len(json.loads(captured.out)["pieces"]) == 4


def test_numbers():
    values = (None, 0.0, 0.06149, 13.04, 123.4, 1.0)
    assert " ".join(map(tables.number, values)) == "- 0 0.061 13.0 123 1"
