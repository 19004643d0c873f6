"""`musicgpt build-dataset`: what `python -m dataset_builder` does."""

from __future__ import annotations

from dataset_builder.__main__ import add_arguments as add_arguments
from dataset_builder.__main__ import run as run

DESCRIPTION = (
    "Make a data set of tokens, with splits and a card, from a folder of scores; load it with"
    " load_dataset(DIR)."
)
EXAMPLES = """\
examples:
  musicgpt build-dataset --source music21 --out data/bach
  musicgpt build-dataset --source my_scores --config fugues --out data/fugues
"""
