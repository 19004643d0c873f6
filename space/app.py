"""`python -m space.app`: starts the Space on this machine; the same as `musicgpt demo`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from space.cli import add_arguments, run
from tokenization.errors import MusicGPTError


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the Space and serve until it is interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m space.app", description="The MusicGPT Space: compose, see, hear and download."
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def _told() -> int:
    """The exit code of `main`; what it refuses is said in one sentence."""
    try:
        return main()
    except MusicGPTError as error:
        print(f"python -m space.app: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(_told())
