"""The whole build on small corpora: what is loaded again, what stays the same, what is said and what is
refused.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import datasets
import pytest
from datasets import load_dataset

from dataset_builder import BuildOptions, WTCDataset, build_dataset, score_of_row
from dataset_builder.__main__ import main
from dataset_builder.errors import DatasetError, PieceError
from tokenization.codec import encode
from tokenization.reading import read_score
from tokenization.score import Score


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Nothing of a test is found in the cache of `datasets` by another."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def build(source: Path, out: Path, *configs: str, **options):
    return build_dataset(
        BuildOptions(out=out, source=(str(source),), configs=configs or ("wtc-plus",), **options)
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_splits_configs_and_columns(corpus, tmp_path):
    result = build(corpus, tmp_path / "out", "wtc-plus", "wtc", "preludes", "fugues")
    counts = {
        name: {split: n["pieces"] for split, n in report["splits"].items()}
        for name, report in result.reports.items()
    }
    assert counts == {
        "wtc-plus": {"train": 5, "validation": 2},
        "wtc": {"train": 3, "validation": 2},
        "preludes": {"train": 2, "validation": 1},
        "fugues": {"train": 1, "validation": 1},
    }
    plus = load_dataset(str(tmp_path / "out"))
    assert plus["train"]["id"] == ["wtc1p01", "wtc1f01", "wtc1p02", "canzona", "gigue"]
    assert load_dataset(str(tmp_path / "out"), "fugues")["validation"]["id"] == ["wtc2f14"]
    row = plus["validation"][1]
    expected = {"id": "wtc2f14", "bwv": "859", "book": 2, "number": 14, "kind": "fugue", "key": "F# minor"}
    expected |= {"mode": "minor", "meter": "4/4", "bars": 6, "voices": 3, "transposition": 3}
    expected |= {"source": "buschke", "licence": "Public Domain", "encoder": "Buschke"}
    assert {name: row[name] for name in expected} == expected


def test_rows_are_the_scores(corpus, tmp_path):
    build(corpus, tmp_path / "out")
    for split in load_dataset(str(tmp_path / "out")).values():
        for row in split:
            path = next(corpus.rglob(f"{row['id']}.tsv"))
            original, normal = score_of_row(row, original_key=True), score_of_row(row)
            assert original.array.tolist() == read_score(path).array.tolist()
            assert str(original.key) == row["key"]
            assert encode(normal).tolist() == row["input_ids"]
            counted = (row["num_notes"], row["bars"], row["num_tokens"])
            assert counted == (len(normal), normal.num_bars, len(row["input_ids"]))
    columns = split.features
    assert columns["input_ids"] == datasets.List(datasets.Value("int32"))
    assert columns["notes"]["pitch"] == datasets.List(datasets.Value("int16"))


def test_a_large_split_has_several_files(corpus, tmp_path, monkeypatch):
    from dataset_builder import build as building
    from dataset_builder.builder import WTCDataset

    whole = build(corpus, tmp_path / "whole", plots=True)
    monkeypatch.setattr(building, "SHARD_SIZE", "1KB")
    monkeypatch.setattr(WTCDataset, "DEFAULT_WRITER_BATCH_SIZE", 2)
    parts = build(corpus, tmp_path / "parts", plots=True)
    files = sorted(path.name for path in (tmp_path / "parts" / "wtc-plus").iterdir())
    assert len(files) > 2
    assert files[0].startswith("train-00000-of-")
    assert parts.reports == whole.reports
    one, other = (
        load_dataset(str(tmp_path / name), download_mode="force_redownload") for name in ("whole", "parts")
    )
    assert {split: rows.to_list() for split, rows in one.items()} == {
        split: rows.to_list() for split, rows in other.items()
    }
    names = sorted(path.name for path in (tmp_path / "whole" / "plots").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "parts" / "plots").iterdir())


def test_files_that_are_all_in_the_test_split_are_told(tmp_path, new_score):
    from tokenization import write_midi

    (tmp_path / "own").mkdir()
    write_midi(new_score(3, 4), tmp_path / "own" / "wtc1p09.mid")
    report = build(tmp_path / "own", tmp_path / "out").reports["wtc-plus"]
    assert list(report["splits"]) == ["test"]
    assert any("No piece is for training" in notice for notice in report["notices"])


def test_undeclared_modes_are_told_by_the_notes(corpus, tmp_path):
    build(corpus, tmp_path / "out")
    keys = {
        row["id"]: (row["key"], row["changes"]["key"]) for row in load_dataset(str(tmp_path / "out"))["train"]
    }
    assert keys["canzona"] == ("D minor", 1)
    assert keys["gigue"] == ("G major", 1)
    assert keys["wtc1p02"] == ("C minor", 0)


def test_a_missing_test_split_is_a_notice_until_its_tables_come(corpus, tmp_path, new_score, new_table):
    notices = build(corpus, tmp_path / "out").reports["wtc-plus"]["notices"]
    assert notices == [
        (
            "The test split is missing: none of its 2 catalogued pieces has a notes file here (wtc1p09,"
            " wtc1f09)."
        ),
        "1 catalogued pieces have no notes file here: wtc2p19.",
    ]
    new_table(corpus / "wtc" / "notes" / "wtc1p09.tsv", new_score(3, 4))
    result = build(corpus, tmp_path / "out")
    assert not result.up_to_date
    assert load_dataset(str(tmp_path / "out"))["test"]["id"] == ["wtc1p09"]


def test_tables_without_a_catalogue_go_by_their_names(corpus, tmp_path, new_score, new_table):
    new_table(corpus / "late" / "wtc1f09.tsv", new_score(9, 4))
    report = build(corpus, tmp_path / "out").reports["wtc-plus"]
    assert {piece["id"]: piece["split"] for piece in report["pieces"]}["wtc1f09"] == "test"


def test_the_same_input_gives_the_same_bytes(corpus, tmp_path):
    build(corpus, tmp_path / "one" / "set", "wtc-plus", "wtc", plots=True)
    build(corpus, tmp_path / "two" / "set", "wtc-plus", "wtc", plots=True, num_proc=2)
    assert contents(tmp_path / "one" / "set") == contents(tmp_path / "two" / "set")


def test_a_second_build_has_nothing_to_do(corpus, tmp_path, capsys, new_score, new_table):
    arguments = ["--source", str(corpus), "--out", str(tmp_path / "out"), "--num-proc", "1"]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert main(arguments) == 0
    second = capsys.readouterr().out
    assert "out built (" in first
    assert "is up to date, nothing had to be built" in second
    assert first.split(f"{tmp_path / 'out'}")[0] == second.split(f"{tmp_path / 'out'}")[0]
    for change in (
        lambda: new_table(corpus / "more" / "notes" / "gigue.tsv", new_score(77)),
        lambda: (tmp_path / "out" / "wtc-plus" / "train.parquet").unlink(),
        lambda: arguments.append("--force"),
    ):
        change()
        assert main(arguments) == 0
        assert "out built (" in capsys.readouterr().out


def test_a_broken_file_is_skipped_by_name_or_stops(corpus, tmp_path):
    broken = corpus / "wtc" / "notes" / "wtc1f01.tsv"
    broken.write_text(broken.read_text(encoding="utf-8")[:-30] + "nonsense\n", encoding="utf-8")
    (corpus / "more" / "notes" / "gigue.tsv").write_bytes(b"")
    report = build(corpus, tmp_path / "out").reports["wtc-plus"]
    assert [entry["id"] for entry in report["skipped"]] == ["wtc1f01", "gigue"]
    assert "wtc1f01.tsv: Line" in report["skipped"][0]["reason"]
    assert report["splits"]["train"]["pieces"] == 3
    before = contents(tmp_path / "out")
    with pytest.raises(PieceError, match=r"wtc1f01 cannot be used: wtc1f01\.tsv: Line .*--strict stops here"):
        build(corpus, tmp_path / "out", strict=True, num_proc=2)
    # The build that failed left the earlier one as it was, and nothing beside it.
    assert contents(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


def test_a_folder_of_anyones_scores(tmp_path, new_score):
    from tokenization import write_midi, write_musicxml

    root = tmp_path / "mine"
    (root / "a" / "b").mkdir(parents=True)
    write_midi(new_score(1).replace(key="C major"), root / "a" / "First fugue.mid")
    write_musicxml(new_score(1).replace(key="C major"), root / "a" / "First fugue.musicxml")
    write_musicxml(new_score(2, 2, True).replace(key="D minor"), root / "a" / "b" / "second.musicxml")
    shutil.copy(root / "a" / "b" / "second.musicxml", root / "third.xml")
    (root / "list.tsv").write_text("name\tsize\nx\t1\n", encoding="utf-8")
    (root / "notes.txt").write_text("not a score", encoding="utf-8")
    (root / "bad.mid").write_bytes(b"this is text")
    report = build(root, tmp_path / "out").reports["wtc-plus"]
    assert sorted(piece["id"] for piece in report["pieces"]) == ["a/First fugue", "a/b/second"]
    assert {entry["id"] for entry in report["skipped"]} == {"bad", "third"}
    assert "the same notes as a/b/second" in {entry["reason"] for entry in report["skipped"]}
    assert report["notices"] == [
        "First fugue.mid is taken for another form of First fugue.musicxml and not read."
    ]
    assert sorted(report["splits"]) == ["train", "validation"]
    rows = load_dataset(str(tmp_path / "out"), split="train+validation")
    assert {row["id"]: (row["kind"], row["key"]) for row in rows} == {
        "a/First fugue": ("fugue", "C major"),
        "a/b/second": (None, "D minor"),
    }


def test_folders_named_after_splits_declare_them(tmp_path, new_score, new_table):
    for seed, name in enumerate(("train/x", "train/y", "test/z")):
        new_table(tmp_path / "mine" / f"{name}.tsv", new_score(seed))
    report = build(tmp_path / "mine", tmp_path / "out").reports["wtc-plus"]
    assert {piece["id"]: piece["split"] for piece in report["pieces"]} == {
        "train/x": "train",
        "train/y": "train",
        "test/z": "test",
    }


def test_the_builder_by_itself(corpus, tmp_path, new_score, new_table):
    """As any builder of `datasets` is used, with its cache: new content is built again, the same content is
    not.
    """

    def make() -> WTCDataset:
        return WTCDataset(config_name="wtc", source=str(corpus), cache_dir=str(tmp_path / "own"))

    first = make()
    first.download_and_prepare(num_proc=2)
    assert first.as_dataset()["validation"]["id"] == ["wtc1p11", "wtc2f14"]
    assert first.info.features == first.as_dataset()["train"].features
    same = make()
    same.download_and_prepare()
    assert same.cache_dir == first.cache_dir
    assert same.processed is None
    assert same.as_dataset()["train"]._fingerprint == first.as_dataset()["train"]._fingerprint
    new_table(corpus / "wtc" / "notes" / "wtc1p01.tsv", new_score(99))
    assert make().cache_dir != first.cache_dir


def test_the_notes_agree_with_the_catalogue_or_the_piece_is_named(corpus, tmp_path, capsys):
    found = build(corpus, tmp_path / "out").reports["wtc-plus"]["catalogue"]
    assert found["expected"] - found["dropped"] == found["found"] > 0
    assert found["disagree"] == []
    path = corpus / "wtc" / "catalogue.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    rows[0]["notes"] = str(int(rows[0]["notes"]) + 1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert main(["--source", str(corpus), "--out", str(tmp_path / "out"), "--num-proc", "1"]) == 0
    assert "they differ in wtc1p01" in capsys.readouterr().out


def test_stages_are_counted_per_piece_and_in_the_table(corpus, tmp_path, new_score, new_table, capsys):
    table = new_table(corpus / "more" / "notes" / "gigue.tsv", Score(new_score(5).array))
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    assert main(["--source", str(corpus), "--out", str(tmp_path / "out"), "--num-proc", "1"]) == 0
    assert "      1  notes dropped that stand twice in one voice" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["wtc-plus"]
    assert {p["id"]: p["changes"].get("duplicates", 0) for p in report["pieces"]}["gigue"] == 1
    assert report["catalogue"]["dropped"] == 1


def test_staves_become_voices_where_the_notation_has_layers(corpus, tmp_path):
    path = corpus / "wtc" / "notes" / "wtc1p01.tsv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    layers = {"soprano": ("s1v1", "1"), "alto": ("s1v2", "1"), "bass": ("s2v1", "2")}
    for i, line in enumerate(lines):
        cells = dict(zip(head.split("\t"), line.split("\t"), strict=True))
        cells["voice"], cells["staff"] = layers[cells["voice"]]
        lines[i] = "\t".join(cells.values())
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    voices = {}
    for asked in ([], ["--staff-voices"]):
        assert main(["--source", str(corpus), "--out", str(tmp_path / "out"), "--num-proc", "1", *asked]) == 0
        rows = load_dataset(str(tmp_path / "out"))["train"]
        voices[bool(asked)] = dict(zip(rows["id"], rows["voices"], strict=True))
    assert (voices[False]["wtc1p01"], voices[True]["wtc1p01"]) == (3, 2)
    assert voices[False]["wtc1f01"] == voices[True]["wtc1f01"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "no-such-folder"], "There is no folder 'no-such-folder'"),
        (["--config", "sonatas"], "Unknown config 'sonatas': it must be one of preludes"),
        (["--preset", "seed33"], "needs 33 preludes of the train split"),
        (["--preset", "other"], "Unknown preset 'other'"),
        (["--num-proc", "0"], "must be at least 1"),
        (["--validation-share", "2"], "below 1"),
        (["--without-source", "buschke", "--config", "wtc"], "has no piece for the config wtc"),
    ],
)
def test_bad_requests_get_one_line(corpus, tmp_path, capsys, arguments, message):
    given = arguments if "--source" in arguments else ["--source", str(corpus), *arguments]
    assert main([*given, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith("error: ")
    assert "\n" not in error
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_not_replaced(corpus, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear", encoding="utf-8")
    given = ["--source", str(corpus), "--out", str(tmp_path / "out"), "--num-proc", "1"]
    assert main(given) == 2
    assert "letter.txt" in capsys.readouterr().err
    assert main([*given, "--overwrite"]) == 0
    assert (tmp_path / "out" / "letter.txt").read_text(encoding="utf-8") == "dear"
    assert len(load_dataset(str(tmp_path / "out"))["train"])


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no score"):
        build(tmp_path / "empty", tmp_path / "out")
