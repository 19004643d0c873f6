from __future__ import annotations

import subprocess
import sys
import time

import pytest

from musicgpt.version import __version__
from musicgpt_cli.main import SUBCOMMANDS, main


def test_help_needs_nothing_heavy_and_names_every_subcommand(repo_root):
    script = (
        "import sys; from musicgpt_cli.main import main; code = main(['--help']);"
        "print(sorted({'torch', 'transformers', 'music21', 'matplotlib', 'numpy', 'gradio'} & set(sys.modules)), code)"
    )
    begun = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=repo_root, check=True)
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
def test_every_subcommand_has_help_with_examples(name, capsys):
    try:
        code = main([name, "--help"])
    except SystemExit as end:
        code = end.code
    out = capsys.readouterr().out
    assert code == 0 and "examples:" in out and f"musicgpt {name}" in out
