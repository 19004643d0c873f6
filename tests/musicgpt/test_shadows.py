"""A script beside its own `tokenization.py` is told why `import musicgpt` fails."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["tokenization.py", "modeling_musicgpt/__init__.py", "notes.py"])
def test_a_file_in_the_way_is_named(name, tmp_path, repo_root):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("WORDS = 1\n")
    script = tmp_path / "script.py"
    script.write_text("import musicgpt\nfrom musicgpt import Settings\nprint(Settings(seed=5).seed)\n")
    environment = {**os.environ, "PYTHONPATH": str(repo_root)}
    run = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=120
    )
    if name == "notes.py":
        assert run.stdout == "5\n", run.stderr
    else:
        last = run.stderr.splitlines()[-1]
        assert run.returncode and last.startswith("musicgpt.ShadowedError: ") and str(path) in last, (
            run.stderr
        )
