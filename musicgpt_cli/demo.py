"""`musicgpt demo`: the web page on this machine."""

from __future__ import annotations

from space.cli import add_arguments, run

DESCRIPTION = "Open the web page in which to compose, see, hear and download. Needs the extra space: pip install 'musicgpt-wtc[space]'."
EXAMPLES = """\
examples:
  musicgpt demo
  musicgpt demo --port 7861
"""
