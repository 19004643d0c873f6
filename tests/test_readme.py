"""Every code block of the README is run, in order, in a folder of its own; and its links lead somewhere.

Python blocks share one process, so that a later one may use what an earlier one made, as a reader would.
Shell blocks are run with `make` and `musicgpt` of this environment. A comment before a block says where it
cannot be run as it stands: `<!-- test: corpus -->` (make only shows what it would do: the corpus may be
missing), `<!-- test: suite -->` (make only shows that it would run this suite), `<!-- test: install -->`
(nothing is installed here), `<!-- test: serve -->` (started, waited for, ended), `<!-- test: client -->` (run
while that server runs), `<!-- test: output -->` (what the block before it prints, compared loosely), `<!--
test: illustration -->` (no command: a text to be read). `tests/fresh/walk_readme.py` runs them all in a fresh
clone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.readme_blocks import README, Block, blocks, missing_lines, served

KINDS = (None, "suite", "corpus", "install", "serve", "client", "illustration")
SHELL = [b for b in blocks() if b.language == "bash"]
PYTHON = [b for b in blocks() if b.language == "python" and b.how is None]
CLIENTS = [b for b in blocks() if b.how == "client"]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, repo_root) -> tuple[Path, dict[str, str]]:
    """An empty folder and an environment in which `make` is the project's, installs nothing and writes
    here.
    """
    folder = tmp_path_factory.mktemp("readme")
    # recipes, weights and the metric are named by their place in the repository
    for name in ("training", "modeling_musicgpt", "musical_metrics"):
        (folder / name).symlink_to(repo_root / name)
    binaries = folder / "bin"
    binaries.mkdir()
    make = shutil.which("make") or pytest.skip("make is not installed")
    (binaries / "make").write_text(
        f"#!/bin/sh\nexec {make} -C {repo_root} PLAIN= SPACE= DEV= BIN={binaries} OUT={folder}/out"
        ' $README_MAKE_FLAGS "$@"\n'
    )
    (binaries / "python").symlink_to(sys.executable)
    for name, module in (("musicgpt", "musicgpt.cli"), ("accelerate", "accelerate.commands.accelerate_cli")):
        (binaries / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
    for script in binaries.glob("[!p]*"):
        script.chmod(0o755)
    environment = dict(
        os.environ, PATH=f"{binaries}:{os.environ['PATH']}", PYTHONPATH=str(repo_root), NO_COLOR="1"
    )
    environment.update(OMP_NUM_THREADS="1", HF_HOME=str(folder / "hf"), ACCELERATE_USE_CPU="1")
    return folder, environment


def test_every_block_is_run_or_says_why_not():
    assert len(SHELL) >= 2 and len(PYTHON) >= 4
    # The first things a reader sees are the first things to run, each with its last lines, before any other
    # text.
    assert [block.code for block in SHELL[:2]] == ["make generate\n", "make test\n"]
    assert all(block.shown for block in SHELL[:2])
    assert re.match(r"# MusicGPT\n\n```bash\nmake generate\n```\n", README.read_text(encoding="utf-8"))
    ends = [block.shown.splitlines()[-1] for block in SHELL[:2]]
    assert missing_lines(ends[0], "1 piece, 12 new notes, 3 s in all") == []
    assert missing_lines(ends[1], "=== 1480 passed, 5 skipped in 600.00s (0:10:00) ===") == []
    for block in blocks():
        assert block.language in ("bash", "python") or block.how == "illustration", block
        assert block.how in KINDS, block
        assert block.shown is None or block.language in ("bash", "python"), block


def test_outputs_are_compared_loosely_but_compared():
    shown = "3 pieces, 1.5 s\n  wrote out/a.mid\n"
    assert missing_lines(shown, "first\n12 pieces, 1,234.56 s\nother\n wrote   out/a.mid\n") == []
    # in another order
    assert missing_lines(shown, "wrote out/a.mid\n3 pieces, 1.5 s\n") == ["  wrote out/a.mid"]
    passed = "=== 9 passed, ... in 3.5s ==="
    assert missing_lines(passed, "a\n===== 1402 passed, 1 skipped, 3 warnings in 448.15s =====\n") == []
    assert missing_lines(passed, "=== 1 failed, 9 passed, 1 skipped in 448.15s ===\n") != []
    assert missing_lines(shown, "no pieces\n") == ["3 pieces, 1.5 s", "  wrote out/a.mid"]


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed."""
    how = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL, "timeout": 400}
    result = subprocess.run(command, capture_output=True, text=True, **how)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    return result


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL, ids=[b.code.splitlines()[0][:60] for b in SHELL])
def test_shell_blocks(block, workplace):
    folder, environment = workplace
    if block.how == "install":
        project = tomllib.loads((README.parent / "pyproject.toml").read_text())["project"]
        [asked] = re.findall(r"\.\[([\w,]+)\]", block.code)
        assert set(asked.split(",")) <= set(project["optional-dependencies"])
        return
    if block.how == "serve":
        _serve(block, folder, environment)
        return
    if block.how in ("corpus", "suite"):
        environment = dict(environment, README_MAKE_FLAGS="-n")
    result = _run(["bash", "-euc", block.code], folder, environment)
    assert "Traceback" not in result.stderr
    if "generate" in block.code and block.how is None:
        written = re.findall(r"wrote (\S+)", result.stdout)
        assert written and all((folder / name).stat().st_size > 500 for name in written), result.stdout
    if block.how == "suite":
        assert "pytest -n 2" in result.stdout
    elif block.shown:
        assert missing_lines(block.shown, result.stdout.replace(f"{folder}/", "")) == [], result.stdout


def _serve(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """Run the blocks of clients while a server runs."""
    with served(block.code, folder, environment):
        for client in CLIENTS:
            assert ".mid" in _run([sys.executable, "-c", client.code], folder, environment).stdout


@pytest.mark.slow
def test_python_blocks(workplace):
    folder, environment = workplace
    parts = [f"print('--- block {i}', flush=True)\n{block.code}" for i, block in enumerate(PYTHON)]
    script = folder / "blocks.py"
    script.write_text(
        "if __name__ == '__main__':\n" + "".join(f"    {line}\n" for line in "\n".join(parts).splitlines())
    )
    result = _run([sys.executable, str(script)], folder, environment)
    assert result.stdout.count("--- block") == len(PYTHON)
