"""The library's file: built by several at once, damaged, or of other sources."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from musicgpt.engine import EngineError, build, library

from .models import LEVELS, PROMPT, make_model

# Writes what it was asked, and links by writing one behind the other, slowly.
COMPILER = """
import sys, time
from pathlib import Path
out, text = Path(sys.argv[sys.argv.index("-o") + 1]), " ".join(sys.argv)
if "-shared" in sys.argv:
    text = "".join(Path(word).read_text() for word in sys.argv if word.endswith(".o"))
for part in (text[:200], text[200:]):
    with out.open("a") as file:
        file.write(part)
    time.sleep(0.02)
"""


def test_several_build_at_once_and_nobody_sees_a_half(tmp_path, monkeypatch):
    (tmp_path / "compiler.py").write_text(COMPILER)
    monkeypatch.setenv("CXX", f"{sys.executable} {tmp_path / 'compiler.py'}")
    out = tmp_path / "lib" / "engine.so"
    with ThreadPoolExecutor(3) as pool:
        tasks = [pool.submit(build.build, out) for _ in range(3)]
        while not all(task.done() for task in tasks):
            assert not out.exists() or build.is_current(out)
        assert [task.result() for task in tasks] == [out] * 3
    assert build.is_current(out) and [path.name for path in out.parent.iterdir()] == ["engine.so"]


@pytest.mark.parametrize("damage", ["a bit", "cut", "empty", "other sources", "no library"])
def test_a_library_that_is_not_whole_is_not_loaded(damage, tmp_path, monkeypatch):
    data = build.LIBRARY.read_bytes()
    spoilt = {
        "a bit": data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
        "cut": data[:-5000],
        "empty": b"",
        "other sources": b"\x7fELF" + build._seal(b"\x7fELF"),
        "no library": (no := build.source_hash().encode()) + build._seal(no),
    }
    path = tmp_path / "engine.so"
    path.write_bytes(spoilt[damage])
    with pytest.raises(EngineError, match="cannot be loaded" if damage == "no library" else "damaged"):
        library.Library(path)
    # In a checkout it is built anew; here nothing can, and the stock loop runs.
    monkeypatch.setattr(library, "LIBRARY", path)
    monkeypatch.setattr(library, "_loaded", None)
    monkeypatch.setattr(library, "build", lambda: (_ for _ in ()).throw(build.BuildError("no compiler")))
    with pytest.raises(EngineError, match="no compiler"):
        library.load()


def test_a_level_that_this_processor_has_not(monkeypatch):
    with pytest.raises(EngineError, match="no level 'avx1024', only " + ", ".join(LEVELS)):
        library.Library(level="avx1024")
    monkeypatch.setattr(library, "_loaded", None)
    monkeypatch.setenv("MUSICGPT_ENGINE", "base")
    assert library.load().level == "base" == LEVELS[-1]
    import torch

    model = make_model()
    model.generate(torch.tensor([PROMPT]), max_new_tokens=3, do_sample=False)
    assert model.stock_loop_because is None
