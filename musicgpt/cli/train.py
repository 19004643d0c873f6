"""`musicgpt train`: what `python -m training` does, in one process."""

from __future__ import annotations

DESCRIPTION = "Train a model from a recipe; every field of a recipe can be given as --key value."
EXAMPLES = """\
examples:
  musicgpt train --config training/configs/NAME.yaml
  musicgpt train --config training/configs/NAME.yaml --epochs 3 --output_dir runs/try
  accelerate launch -m training --config training/configs/NAME.yaml     (several processes or GPUs)
"""


def call(rest: list[str]) -> int:
    """Hand the arguments to the training room, which has a parser of its own."""
    if not rest or set(rest) & {"-h", "--help"}:
        print(f"usage: musicgpt train --config RECIPE [--key value ...]\n\n{DESCRIPTION}\n\n{EXAMPLES}")
    from training.__main__ import main

    return main(rest or ["--help"])
