"""The code blocks of the README, in order, for the test that runs them in the suite and the walk that runs
them in a fresh clone.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(
    r"(?:<!-- test: (?P<how>[a-z ]+) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)```", re.DOTALL
)


class Block(NamedTuple):
    """One code block: its language, its text, what the comment before it says, and the output that is shown
    below it.
    """

    language: str
    code: str
    how: str | None
    shown: str | None = None


def blocks(readme: Path = README) -> list[Block]:
    """All code blocks, in order; one that shows an output (`<!-- test: output -->`) belongs to the block
    before it.
    """
    found: list[Block] = []
    for match in _BLOCK.finditer(readme.read_text(encoding="utf-8")):
        if match["how"] == "output":
            found[-1] = found[-1]._replace(shown=match["code"])
        else:
            found.append(Block(match["language"], match["code"], match["how"]))
    return found


@contextmanager
def served(code: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run the command of a server in a folder as long as the context lasts.

    Yields:
        the address that it names.

    Raises:
        RuntimeError: with what it said, if it names none.
    """
    log = folder / "serve.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {code.strip()}"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 300
        while not (found := re.search(r"http://\S+", log.read_text())):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(log.read_text()[-3000:])
            time.sleep(0.5)
        yield found[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def _loosely(text: str) -> str:
    """The pattern of a part of a line."""
    spaced = re.sub(r"=+", "=+", re.sub(r"(?:\\\s)+", r"\\s+", re.escape(text)).replace(r"\.", "."))
    return re.sub(r"[\d.,]*\d", r"[\\d.,]*\\d", spaced)


def missing_lines(shown: str, printed: str) -> list[str]:
    """The lines of a shown output that a command did not print, loosely: in order, any number for a number,
    any run of spaces for one, any of `=` for one, anything for `...`.

    Args:
        shown (`str`): from the README.
        printed (`str`): by the command.
    """
    lines, missing, at = printed.splitlines(), [], 0
    for line in filter(str.strip, shown.splitlines()):
        pattern = re.compile(r"\s*" + ".*".join(map(_loosely, line.strip().split("..."))))
        place = next((i for i in range(at, len(lines)) if pattern.match(lines[i])), None)
        if place is None:
            missing.append(line)
        else:
            at = place + 1
    return missing
