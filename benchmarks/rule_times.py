"""What the rules of the composer cost at each kind of token, rule by rule.

    python -m benchmarks.rule_times                        # a fugue in four voices, alone
    python -m benchmarks.rule_times --form prelude --num 16 --tokens 200

Microseconds of wall time for all rows of a step, the 20th percentile of all steps with the same kind of token
in the first row: on a computer that others use, too, the mean says how much they do. Beginnings are left out
(`--rules` says which rules there are).
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from tokenization.vocabulary import TYPES

PERCENTILE = 20
KINDS = ("TIME", "NOTE", "VOICE", "DUR")


class Clock:
    """Wraps methods, and keeps how long their calls took by name and kind of token."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.kind = ""

    def wrap(self, owner: type, method: str, name: Callable[..., str]) -> None:
        """Let a method of a class be timed, under the name that `name` gives of its arguments."""
        inner = getattr(owner, method)

        def timed(*arguments: Any) -> Any:
            begun = time.perf_counter_ns()
            found = inner(*arguments)
            self.taken[name(*arguments)][self.kind].append(time.perf_counter_ns() - begun)
            return found

        setattr(owner, method, timed)

    def table(self) -> list[tuple[str, list[float]]]:
        """Of each name the microseconds by `KINDS`, the costliest first; 0 where it was not called."""
        rows = [
            (name, [np.percentile(kinds[k], PERCENTILE) / 1e3 if k in kinds else 0.0 for k in KINDS])
            for name, kinds in self.taken.items()
        ]
        return sorted(rows, key=lambda row: -sum(row[1]))


def measure(form: str, num: int, tokens: int, rules: list[str]) -> Clock:
    """Compose with these rules, under the clock."""
    from musicgpt import Composer, Settings
    from musicgpt.rules.base import RuleProcessor
    from musicgpt.sampling import SeededSampling

    composer, clock = Composer(Composer.from_pretrained().model, rules=rules), Clock()
    voices = 4 if form == "fugue" else None
    composer.compose(Settings(form=form, voices=voices, seed=2, max_new_tokens=100))  # warm

    def of_rule(processor: RuleProcessor, item: Any, *_: Any) -> str:
        clock.kind = TYPES[int(processor.state.kind[0])]
        return getattr(item, "__name__", type(item).__name__)

    clock.wrap(RuleProcessor, "_apply", of_rule)
    clock.wrap(SeededSampling, "__call__", lambda *_: "sampling")
    clock.wrap(RuleProcessor, "__call__", lambda *_: "all, with the state")
    composer.compose(
        Settings(form=form, voices=voices, seed=1, max_new_tokens=tokens, min_bars=1000), num=num
    )
    return clock


def main() -> None:
    """Print the table."""
    from musicgpt.rules import DEFAULT

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--form", default="fugue", choices=("fugue", "prelude"))
    parser.add_argument("--num", type=int, default=1, help="pieces at once")
    parser.add_argument("--tokens", type=int, default=500, help="of each piece")
    parser.add_argument("--rules", nargs="+", default=[name for name in DEFAULT if name != "beginning"])
    given = parser.parse_args()
    print(f"{'microseconds a step after':24}{''.join(f'{kind:>9}' for kind in KINDS)}")
    for name, values in measure(given.form, given.num, given.tokens, given.rules).table():
        print(f"{name:24}{''.join(f'{value:>9.0f}' for value in values)}")


if __name__ == "__main__":
    main()
