from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import pytest

from musicgpt.cli.main import SUBCOMMANDS, main
from musicgpt.version import __version__


def test_help_needs_nothing_heavy_and_names_every_subcommand(repo_root):
    script = (
        "import sys; from musicgpt.cli.main import main; code = main(['--help']);print(sorted({'torch',"
        " 'transformers', 'music21', 'matplotlib', 'numpy', 'gradio'} & set(sys.modules)), code)"
    )
    begun = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=repo_root, check=True
    )
    assert time.perf_counter() - begun < 5  # about 0.05 s on a quiet machine
    assert result.stdout.splitlines()[-1] == "[] 0"
    for name in SUBCOMMANDS:
        assert f"\n  {name} " in result.stdout


def test_version_and_no_arguments(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"musicgpt {__version__}\n"
    assert main([]) == 2
    assert main(["compose"]) == 2
    assert "'compose'" in capsys.readouterr().err


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_help_with_examples_within_a_second_and_without_colour(name, repo_root):
    environment = dict(os.environ, NO_COLOR="1", FORCE_COLOR="1")  # NO_COLOR has the last word
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-m", "musicgpt.cli", name, "--help"],
        capture_output=True,
        text=True,
        cwd=repo_root,
        env=environment,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 0, result.stderr
    assert (
        "examples:" in result.stdout and f"musicgpt {name}" in result.stdout and "\x1b" not in result.stdout
    )
    # Processor time, so that a busy machine does not count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
