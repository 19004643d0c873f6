"""`musicgpt generate` as the tests call it."""

from __future__ import annotations

import shlex
from pathlib import Path

from musicgpt.cli.main import main


def generate(model: Path, out: Path, words: str) -> int:
    """Run it with a model, into a folder, with further words as in a shell; its exit code."""
    return main(["generate", "--model", str(model), "--out", str(out), *shlex.split(words)])
