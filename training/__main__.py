"""`accelerate launch -m training --config RECIPE [--key value ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Train; returns the exit code: 0, or 2 with one clear line for bad input."""
    from tokenization.errors import MusicGPTError

    try:
        from .arguments import parse_arguments

        arguments = parse_arguments(argv)
        from .trainer import Trainer

        Trainer(arguments).run()
    except MusicGPTError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
