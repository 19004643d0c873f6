"""Checks of the real corpus, whose result stands in `docs/LOG.md`.

    python -m benchmarks.corpus keys --source ../shared/data

`keys`: how often the rule of `dataset_builder.keys` errs over the pieces whose full key is declared, for several weights of the close.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dataset_builder import keys
from dataset_builder.sources import open_source
from tokenization.key import Key
from tokenization.reading import read_score
from tokenization.score import Score

FINAL_BASS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.5)
FINAL_DOMINANT = (0.0, 0.1, 0.2, 0.3, 0.4)


def key_errors(known: Sequence[tuple[Score, Key]]) -> tuple[int, int, int]:
    """Questions with a tonic alone (the key's own, and that of the relative major), wrong answers to them, wrong ones of all 24 keys."""
    asked = wrong = wrong_of_all = 0
    for score, key in known:
        signature = key if key.mode == "major" else keys.spelled(key.pitch_class + 3, "major")
        right = (key.pitch_class, key.mode)
        for tonic in {key.tonic, signature.tonic}:
            found = keys.key_on_signature(score, tonic)
            asked += 1
            wrong += (found.pitch_class, found.mode) != right
        found = keys.best_key(score)
        wrong_of_all += (found.pitch_class, found.mode) != right
    return asked, wrong, wrong_of_all


def print_keys(source: str) -> None:
    """The table of errors over both weights of `dataset_builder.keys`."""
    pieces = [piece for piece in open_source(source).pieces if piece.tonic and piece.mode]
    known = [(read_score(piece.path), Key.parse(f"{piece.tonic} {piece.mode}")) for piece in pieces]
    print(
        f"{len(known)} pieces with a declared key, {key_errors(known)[0]} questions; wrong with a tonic given / of all 24 keys"
    )
    print("| last bass the tonic | " + " | ".join(f"dominant {weight}" for weight in FINAL_DOMINANT) + " |")
    print("| --- |" + " --- |" * len(FINAL_DOMINANT))
    for keys.FINAL_BASS in FINAL_BASS:
        cells = []
        for keys.FINAL_DOMINANT in FINAL_DOMINANT:
            _, wrong, wrong_of_all = key_errors(known)
            cells.append(f"{wrong} / {wrong_of_all}")
        print(f"| {keys.FINAL_BASS} | " + " | ".join(cells) + " |")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one check."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("check", choices=("keys",))
    parser.add_argument("--source", required=True)
    args = parser.parse_args(argv)
    print_keys(args.source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
