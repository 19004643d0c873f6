"""Machine code kept between runs: the same code, whole, one's own, and never needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")

from modeling_musicgpt import fast_cache
from modeling_musicgpt.fast_compiler import Program, kernel


@kernel
def triple(x: int) -> int:
    return 3 * x


def _is_new() -> bool:
    program = Program([triple], is_kept=True)
    assert program.triple(7) == 21
    return program.is_new


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(fast_cache.ENVIRONMENT, str(tmp_path / "code"))
    return tmp_path / "code"


def test_only_the_first_start_compiles(folder):
    assert _is_new()
    assert not _is_new()
    assert [path.suffix for path in folder.iterdir()] == [".o"]


@pytest.mark.parametrize("place", [0, 40, -1], ids=["digest", "code", "end"])
def test_damaged_code_is_not_run(folder, place):
    assert _is_new()
    [path] = folder.iterdir()
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[place] ^= 1
    for data in (bytes(damaged), whole[: len(whole) // 2], b""):
        path.write_bytes(data)
        assert _is_new()
        assert path.read_bytes() == whole


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_code_that_others_could_have_written_is_not_run(folder):
    assert _is_new()
    [path] = folder.iterdir()
    for shared in (folder, path):
        shared.chmod(0o777)
        assert _is_new()
        shared.chmod(0o700)
        assert not _is_new()


def test_no_folder_no_harm(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for value in (str(tmp_path / "file" / "below"), ""):
        monkeypatch.setenv(fast_cache.ENVIRONMENT, value)
        assert _is_new()
        assert _is_new()


def test_sources_are_a_part_of_the_name(tmp_path, monkeypatch):
    (tmp_path / "one.py").write_text("A = 1\n")
    monkeypatch.setattr(fast_cache, "__file__", str(tmp_path / "fast_cache.py"))
    keys = {fast_cache.key_of("x"), fast_cache.key_of("y"), fast_cache.key_of("x", "y"), fast_cache.key_of("xy")}
    (tmp_path / "one.py").write_text("A = 2\n")
    assert len({*keys, fast_cache.key_of("x")}) == 5


def test_old_code_goes(folder, monkeypatch):
    monkeypatch.setattr(fast_cache, "MOST_FILES", 2)
    for i, name in enumerate("abc"):
        fast_cache.keep(name, b"code")
        os.utime(folder / f"{name}.o", (i, i))
    fast_cache.keep("d", b"code")
    assert sorted(path.name for path in folder.iterdir()) == ["c.o", "d.o"]
    assert fast_cache.kept("d") == b"code"
    assert fast_cache.kept("a") is None
