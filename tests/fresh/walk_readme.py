"""A walk through the README from a fresh clone, as a stranger would: every block is run, in order, in the
clone.

    python tests/fresh/walk_readme.py [--source URL_OR_PATH] [--keep DIR]

Shell blocks run in the clone with its `.venv/bin` on the path. Python blocks share one process of that
environment. An output that the README shows is compared loosely (any number for a number). What the comment
before a block means: `suite` and `install` are run here and only looked at in the suite, `serve` is started,
asked for its page and left running for `client`, `corpus` is run where the corpus lies beside this repository
and else shown by `make -n`. Not part of the suite: it installs everything anew and runs the suite (half an
hour, 2 GB, given back).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from environment import HIDDEN, ROOT, Failed, Report, call
from readme_blocks import Block, blocks, missing_lines, served

# Reads one JSON string of code a line, runs it in one namespace, and answers with what it printed.
_DRIVER = """
import contextlib, io, json, sys, traceback
space = {"__name__": "readme"}
for line in sys.stdin:
    text, good = io.StringIO(), True
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            exec(compile(json.loads(line), "README.md", "exec"), space)
        except BaseException:
            good = False
            traceback.print_exc(file=text)
    print(json.dumps([good, text.getvalue()]), file=sys.__stdout__, flush=True)
"""


class Walk:
    """The clone, its variables, and the one Python process of the README's Python blocks."""

    def __init__(self, clone: Path):
        self.clone = clone
        self.python: subprocess.Popen[str] | None = None
        self.servers = contextlib.ExitStack()
        kept = {k: v for k, v in os.environ.items() if k not in HIDDEN}
        self.variables = dict(
            kept,
            PATH=f"{clone}/.venv/bin:{kept['PATH']}",
            HF_HUB_OFFLINE="1",
            HF_HOME=str(clone.parent / "hf"),
        )

    def run(self, block: Block) -> str:
        """Run one block; what it printed."""
        if block.language == "python":
            return self._python(block.code)
        if block.how == "serve":
            return self._serve(block.code)
        if block.how == "client":
            return call(
                [str(self.clone / ".venv/bin/python"), "-c", block.code], cwd=self.clone, env=self.variables
            )
        code = block.code
        if block.how == "corpus" and not (self.clone.parent / "shared").exists():
            code = code.replace("make ", "make -n ")
        return call(["bash", "-euc", code], cwd=self.clone, env=self.variables)

    def _python(self, code: str) -> str:
        if self.python is None:
            self.python = subprocess.Popen(
                [str(self.clone / ".venv/bin/python"), "-c", _DRIVER],
                cwd=self.clone,
                env=self.variables,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        assert self.python.stdin is not None and self.python.stdout is not None
        print(json.dumps(code), file=self.python.stdin, flush=True)
        good, text = json.loads(self.python.stdout.readline())
        if not good:
            raise Failed(text)
        return text

    def _serve(self, code: str) -> str:
        """Start a server, ask for its page, and leave it running for the clients that come next."""
        address = self.servers.enter_context(served(code, self.clone, self.variables))
        with urllib.request.urlopen(address, timeout=60) as page:
            return f"{address} answers {page.status} with {len(page.read()):,} bytes"

    def end(self) -> None:
        """End the Python process and the server."""
        if self.python is not None and self.python.stdin is not None:
            self.python.stdin.close()
            self.python.wait(60)
        self.servers.close()


def walk(clone: Path, report: Report) -> None:
    """Run every block and report each with the last line that it printed."""
    steps = Walk(clone)
    try:
        for block in blocks(clone / "README.md"):
            if block.how == "illustration":
                continue
            title = f"{block.language} `{_title(block)}`"
            try:
                printed = steps.run(block)
            except (Failed, RuntimeError) as error:
                report.line(title, str(error), failed=True)
                continue
            missing = missing_lines(block.shown or "", printed)
            if missing:
                report.line(
                    title, f"the README shows {missing}, but it printed:\n{printed[-2000:]}", failed=True
                )
            else:
                report.line(
                    title,
                    (printed.strip().splitlines() or ["(prints nothing)"])[-1][:150]
                    + (" [as shown]" if block.shown else ""),
                )
    finally:
        steps.end()


def _title(block: Block) -> str:
    """The line of a block by which a reader knows it: the last one that does something."""
    lines: list[Any] = [
        line
        for line in block.code.splitlines()
        if line and not line.startswith(("import", "from", "print", " "))
    ]
    return lines[-1][:90] if lines else block.code.splitlines()[0]


def main() -> int:
    """Clone and walk; 1 if a block failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", default=str(ROOT), help="what to clone; this repository when not given")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="clone into DIR/musicgpt and leave it; a new folder"
    )
    given = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as scratch:
        place = given.keep or Path(scratch)
        place.mkdir(exist_ok=True)
        clone = place / "musicgpt"
        call(["git", "clone", "--quiet", given.source, str(clone)])
        if (ROOT.parent / "shared" / "data").is_dir():
            (place / "shared").symlink_to(ROOT.parent / "shared")
        report.line("git clone", call(["git", "log", "-1", "--format=%h %s"], cwd=clone).strip())
        walk(clone, report)
    print("all good" if not report.failed else f"{report.failed} failed")
    return int(report.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
