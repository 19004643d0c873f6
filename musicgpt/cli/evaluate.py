"""`musicgpt evaluate`: what `python -m musical_metrics.cli` does."""

from __future__ import annotations

from musical_metrics.cli import add_arguments as add_arguments
from musical_metrics.cli import run as run

DESCRIPTION = (
    "Measure pieces against Bach's own values: metrics, the musical score with its reasons, the nearest"
    " passage."
)
EXAMPLES = """\
examples:
  musicgpt evaluate out
  musicgpt evaluate out/piece.mid --json
"""
