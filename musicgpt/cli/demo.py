"""`musicgpt demo`: what `python -m space.app` does."""

from __future__ import annotations

DESCRIPTION = "Open the web page in which to compose, see, hear and download, on this machine."
EXAMPLES = """\
examples:
  musicgpt demo
  musicgpt demo --port 7861
  musicgpt demo --model runs/musicgpt/best

It needs the extra `space`: pip install 'musicgpt-wtc[space]'.
"""


def call(rest: list[str]) -> int:
    """Hand the arguments to the Space, which has a parser of its own."""
    if set(rest) & {"-h", "--help"}:
        print(f"usage: musicgpt demo [options]\n\n{DESCRIPTION}\n\n{EXAMPLES}")
    from space.app import main

    main(rest)
    return 0
