"""Folders that are written: whole or not at all, and nothing of anybody else's is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tokenization.folders import MANIFEST, FolderError, foreign_paths, replacing_folder


def write(out: Path, files: dict[str, str], kind: str = "model", **more) -> None:
    with replacing_folder(out, kind, **more) as folder:
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)


def read(out: Path) -> dict[str, str]:
    return {
        p.relative_to(out).as_posix(): p.read_text()
        for p in out.rglob("*")
        if p.is_file() and p.name != MANIFEST
    }


def test_an_earlier_output_is_replaced_and_nothing_stays_beside(tmp_path):
    write(tmp_path / "out", {"a": "1", "sub/b": "2"})
    (tmp_path / "out" / "__pycache__").mkdir()
    (tmp_path / "out" / "__pycache__" / "a.pyc").write_text("of Python's own accord")
    write(tmp_path / "out", {"a": "3"})
    assert read(tmp_path / "out") == {"a": "3"} and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("strange", ["letter.txt", "a", "sub/deep/letter.txt", "link", "sub/empty/"])
def test_what_is_not_ours_is_refused_by_name_and_kept_with_overwrite(tmp_path, strange):
    out = tmp_path / "out"
    write(out, {"a": "1", "c": "1"})
    mine = out / strange
    mine.parent.mkdir(parents=True, exist_ok=True)
    if strange == "link":
        (tmp_path / "elsewhere").write_text("mine")
        mine.symlink_to("../elsewhere")
    elif strange.endswith("/"):
        mine.mkdir()
    else:
        mine.write_text("mine")
    with pytest.raises(FolderError, match=f"{strange.rstrip('/')}.*--overwrite"):
        write(out, {"b": "2"})
    assert sorted(read(out)) == sorted({"a", "c", *({strange} if mine.is_file() else ())})
    write(out, {"b": "2"}, overwrite=True)
    assert mine.is_dir() if strange.endswith("/") else mine.read_text() == "mine"
    assert mine.is_symlink() == (strange == "link")
    assert (out / "b").read_text() == "2" and not (out / "c").exists()
    # What is kept is still not ours, and of two with one name the new one stays.
    with pytest.raises(FolderError):
        write(out, {"b": "3"})
    if strange == "letter.txt":
        write(out, {"letter.txt": "new"}, overwrite=True)
        assert read(out) == {"letter.txt": "new"} and not foreign_paths(out)


def test_places_that_cannot_be_replaced_are_refused(tmp_path, monkeypatch):
    write(tmp_path / "out", {"a": "1"})
    with pytest.raises(FolderError, match="holds a model, not a metric"):
        write(tmp_path / "out", {"a": "1"}, kind="metric")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="is a file"):
        write(tmp_path / "file", {"a": "1"}, overwrite=True)
    monkeypatch.chdir(tmp_path / "out")
    for here in (".", "..", "/"):
        with pytest.raises(FolderError, match="inside it"):
            write(Path(here), {"a": "1"}, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["file", "out"]


def test_a_user_folder_in_the_way_of_a_file_is_not_lost(tmp_path):
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "letter.txt").write_text("mine")
    with pytest.raises(FolderError, match="move it away"):
        write(out, {"a": "1"}, overwrite=True)
    assert read(out) == {"a/letter.txt": "mine"} and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk"), SystemExit])
def test_what_fails_leaves_everything_as_it_was(tmp_path, monkeypatch, error):
    write(tmp_path / "out", {"a": "1"})
    with pytest.raises(BaseException) as caught, replacing_folder(tmp_path / "out", "model") as folder:
        (folder / "a").write_text("2")
        raise error
    assert caught.value.__notes__ == [f"{tmp_path / 'out'} is as it was before."]
    # The second of the two renamings fails: the first is taken back.
    rename, calls = os.replace, []

    def broken(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="no"):
        write(tmp_path / "out", {"a": "2"})
    assert read(tmp_path / "out") == {"a": "1"} and os.listdir(tmp_path) == ["out"]


def test_files_that_come_while_it_is_written_are_seen(tmp_path):
    write(tmp_path / "out", {"a": "1"})
    with (
        pytest.raises(FolderError, match=r"late\.txt"),
        replacing_folder(tmp_path / "out", "model") as folder,
    ):
        (folder / "a").write_text("2")
        (tmp_path / "out" / "late.txt").write_text("mine")
    assert read(tmp_path / "out") == {"a": "1", "late.txt": "mine"}
