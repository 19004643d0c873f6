"""Chooses the 32 durations and 22 time steps that lose least on a corpus: `python -m
tokenization.choose_values FOLDER`.

`FOLDER` holds a `catalogue.csv` with the columns `note_table` and `split`, and the note tables it names.

Durations: dynamic programming finds the k values for which the fewest notes change and, among those, the sum
of the changes is least (one-dimensional k-medians with a price for every note that is changed at all). Steps
lose nothing, since several TIME tokens add up: the choice is the set that spells the corpus in the fewest
tokens, grown greedily from the steps that must be there.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from .note_table import catalogued, read_note_table
from .parts import build_score
from .vocabulary import DURATIONS, MAX_TIME_TOKENS, TIME_STEPS

CHANGED_PRICE = 1000  # ticks: a note that changes at all is worse than any distance
LONGEST = 192  # ticks: longer notes are cut to it; a value for each of the few would cost more than it keeps


def count_values(folder: Path, splits: tuple[str, ...]) -> tuple[Counter, Counter]:
    """How often each duration and each step between successive onsets occurs (ticks) in the pieces of these
    splits.

    A catalogue without a column `split` is counted whole.
    """
    durations: Counter = Counter()
    steps: Counter = Counter()
    for row, path in catalogued(folder):
        if row.get("split", splits[0]) in splits:
            array = build_score(read_note_table(path.read_bytes())).array
            durations.update(array[:, 1].tolist())
            steps.update(np.diff(array[:, 0]).tolist())
    return durations, steps


def loss(counts: Counter, values: tuple[int, ...]) -> tuple[int, int]:
    """How many notes these values change, and by how many ticks in all."""
    table = np.array(values)
    moved = {value: int(np.abs(table - value).min()) for value in counts}
    return sum(n for value, n in counts.items() if moved[value]), sum(
        n * moved[value] for value, n in counts.items()
    )


def best_durations(counts: Counter, size: int) -> tuple[int, ...]:
    """The `size` values up to `LONGEST` that lose least, by dynamic programming over the sorted values."""
    values = np.array(sorted({min(v, LONGEST) for v in counts}))
    number = np.array(
        [sum(n for v, n in counts.items() if min(v, LONGEST) == value) for value in values], dtype=np.float64
    )
    n = len(values)
    size = min(size, n)
    # between[i, j]: price of the values strictly between chosen i and j, each to the nearer; row n: before
    # the first.
    between = np.full((n + 1, n + 1), np.inf)
    for i in range(-1, n):
        for j in range(i + 1, n + 1):
            inner = slice(i + 1, j)
            low = values[inner] - values[i] if i >= 0 else np.inf
            high = values[j] - values[inner] if j < n else np.inf
            if j - i - 1 == 0:
                between[i, j] = 0
            elif i >= 0 or j < n:
                between[i, j] = (number[inner] * (CHANGED_PRICE + np.minimum(low, high))).sum()
    best = between[-1, :n].copy()  # (n,): the cheapest choice so far that ends with each value
    paths = [[j] for j in range(n)]
    for _ in range(size - 1):
        # (n, n): from i to j > i
        sums = best[:, None] + np.where(np.tri(n, dtype=bool), np.inf, between[:n, :n])
        choice = sums.argmin(axis=0)
        paths = [[*paths[choice[j]], j] for j in range(n)]
        best = sums[choice, np.arange(n)]
    end = int((best + between[np.arange(n), n]).argmin())
    return tuple(int(values[j]) for j in paths[end])


def spelled_tokens(counts: Counter, values: tuple[int, ...], longest: int = 400) -> float:
    """TIME tokens needed for all steps; infinite if one cannot be written in `MAX_TIME_TOKENS`. Steps beyond
    `longest` do not count.
    """
    fewest = np.full(longest + 1, MAX_TIME_TOKENS + 1)
    fewest[0] = 0
    for _ in range(MAX_TIME_TOKENS):
        for value in values:
            if 0 < value <= longest:
                fewest[value:] = np.minimum(fewest[value:], fewest[: longest + 1 - value] + 1)
    fewest[0] = 1
    if any(fewest[step] > MAX_TIME_TOKENS for step in counts if step <= longest):
        return float("inf")
    return float(sum(n * fewest[step] for step, n in counts.items() if step <= longest))


def best_steps(counts: Counter, size: int) -> tuple[int, ...]:
    """The `size` steps that spell the corpus in the fewest tokens, found greedily; 0, 1 and the longest are
    always there.
    """
    chosen: tuple[int, ...] = (0, 1, 6, 24, 96)
    candidates = sorted(step for step in counts if step <= 96)
    while len(chosen) < size:
        added = min(
            (c for c in candidates if c not in chosen),
            key=lambda c: (spelled_tokens(counts, (*chosen, c)), c),
            default=None,
        )
        if added is None:
            break
        chosen = (*chosen, added)
    return tuple(sorted(chosen))


def report(folder: Path) -> str:
    """The best values on train and validation, what the ones in use lose beside them, as lines of text."""
    durations, steps = count_values(folder, ("train", "validation"))
    lines = []
    for name, counts, used, best in (
        ("durations", durations, DURATIONS, best_durations(durations, len(DURATIONS))),
        ("steps", steps, TIME_STEPS, best_steps(steps, len(TIME_STEPS))),
    ):
        total = sum(counts.values())
        lines.append(f"{name}: {total} counted, {len(counts)} different")
        for title, values in (("in use", used), ("best found", best)):
            if name == "durations":
                changed, ticks = loss(counts, values)
                cost = f"{changed} notes changed ({changed / max(1, total):.3%}), by {ticks} ticks in all"
            else:
                tokens = spelled_tokens(counts, values)
                cost = f"{tokens:.0f} tokens for {total} steps ({tokens / max(1, total):.4f} a step)"
            lines.append(f"  {title}: {' '.join(map(str, values))}\n    {cost}")
    return "\n".join(lines)


def main() -> None:
    """Print the report for the folders on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="corpora; each is reported on its own")
    for folder in parser.parse_args().folders:
        print(f"{folder.name}\n{report(folder)}")


if __name__ == "__main__":
    main()
