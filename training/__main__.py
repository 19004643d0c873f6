"""`accelerate launch -m training --config RECIPE [--key value ...]`.

`--plot RUN` draws a run in place of training. Without a recipe `--init_from CHECKPOINT` takes
`finetune.yaml`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tokenization.interruption import errors_in_one_line


def main(argv: Sequence[str] | None = None) -> int:
    """Train; returns the exit code: 0, 2 with one clear line for bad input, or 130 or 143 after SIGINT or
    SIGTERM.
    """
    from tokenization.interruption import interruptible

    words = list(sys.argv[1:] if argv is None else argv)
    return interruptible(lambda: _train(words))


@errors_in_one_line
def _train(words: list[str]) -> int:
    if "--plot" in words:
        return _plot(words)
    from .arguments import parse_arguments

    arguments = parse_arguments(with_recipe(words))
    from .trainer import Trainer

    Trainer(arguments).run()
    return 0


def with_recipe(words: Sequence[str]) -> list[str]:
    """Going on from a checkpoint without naming a recipe means fine-tuning: few pieces, gentle steps, early
    stopping.
    """
    names = {word.split("=")[0].replace("-", "_") for word in words if word.startswith("--")}
    if "__init_from" in names and "__config" not in names:
        return ["--config", "finetune", *words]
    return list(words)


def _plot(words: list[str]) -> int:
    from .errors import ArgumentsError
    from .plot import draw

    rest = [word for word in words if word != "--plot"]
    if len(rest) != 1:
        raise ArgumentsError("--plot takes one folder of a run and nothing else: --plot RUN.")
    print(draw(rest[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
