"""A new virtual environment in a folder of its own, and commands run in it: what the scripts beside this file
share.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What would let a command in the new environment see this one, or make it unlike a new one.
HIDDEN = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")


class Failed(Exception):
    """A command ended badly; the text is its output."""


class Environment:
    """A virtual environment that is made on entering and removed on leaving.

    Args:
        folder (`Path`): where; must not exist yet. The environment is `folder/venv`, caches of the Hub go
            into `folder/hf`.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.binaries = folder / "venv" / "bin"

    def __enter__(self) -> Environment:
        self.folder.mkdir(parents=True)
        if uv := shutil.which("uv"):
            call([uv, "venv", "--quiet", "--python", sys.executable, str(self.folder / "venv")])
        else:
            call([sys.executable, "-m", "venv", str(self.folder / "venv")])
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder / "venv", ignore_errors=True)

    def install(self, *requirements: str) -> int:
        """Install with pip (with uv where that is installed: the same packages in less time); how many
        distributions are there then.
        """
        python, install = str(self.binaries / "python"), ["pip", "install", "--quiet"]
        if uv := shutil.which("uv"):
            # As pip does, look for a package at every index that the machine knows, not only at the first
            # that has the name.
            command = [uv, *install, "--index-strategy", "unsafe-best-match", "--python", python]
        else:
            command = [python, "-m", *install]
        call([*command, "-c", str(ROOT / "constraints.txt"), *requirements])
        return len(list(self.folder.glob("venv/lib/python*/site-packages/*.dist-info")))

    def variables(self, **more: str) -> dict[str, str]:
        """The variables of a command in this environment: nothing of the project's own, and no call to the
        Hub.
        """
        kept = {k: v for k, v in os.environ.items() if k not in HIDDEN}
        kept.update(
            PATH=f"{self.binaries}:{kept['PATH']}",
            HF_HOME=str(self.folder / "hf"),
            HF_HUB_OFFLINE="1",
            MPLBACKEND="Agg",
        )
        return {**kept, **more}

    def python(self, code: str, cwd: Path, **more: str) -> str:
        """Run Python code in a folder; what it printed."""
        return call([str(self.binaries / "python"), "-c", code], cwd=cwd, env=self.variables(**more))


def call(
    command: Sequence[str], cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 1800
) -> str:
    """Run a command and return what it printed.

    Raises:
        Failed: with the end of its output, if it did not end with 0.
    """
    result = subprocess.run(
        list(command),
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    if result.returncode:
        raise Failed(f"{' '.join(command)[:200]}: exit code {result.returncode}\n{result.stdout[-4000:]}")
    return result.stdout


class Report:
    """Lines with the seconds since the last one; counts what failed."""

    def __init__(self) -> None:
        self.begun, self.failed = time.monotonic(), 0

    def line(self, what: str, text: str, failed: bool = False) -> None:
        """Print one line."""
        now = time.monotonic()
        print(f"{'FAILED' if failed else 'ok':<7}{now - self.begun:7.1f} s  {what}: {text}", flush=True)
        self.begun, self.failed = now, self.failed + failed
