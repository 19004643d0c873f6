"""Do two routes to the same pieces give the same notes?

    python -m dataset_builder.compare --source ../shared/data/wtc --route musicxml

reads every catalogued piece from its MusicXML file and from its note table, cleans both, and prints for each
how far they agree.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tokenization.interruption import errors_in_one_line
from tokenization.score import ONSET, PITCH, Score

from .cleaning import COUNTS, DROPPING, clean
from .corrections import read_piece
from .pieces import Piece
from .sources import open_source

WANTED_MEDIAN = 0.995


@dataclass(frozen=True)
class Agreement:
    """How far two readings of one piece agree: F1 of onset and pitch (0.0 to 1.0, each note matched once),
    what only one of them has (onset, pitch), what was folded back, by how many ticks the first had to be
    moved (MIDI does not tell a pickup from a whole bar), and the ticks of a bar.
    """

    id: str
    f1: float
    only_first: list[tuple[int, int]]
    only_second: list[tuple[int, int]]
    dropped: dict[str, int]
    shift: int
    bar: int


def _notes(score: Score) -> Counter[tuple[int, int]]:
    return Counter(map(tuple, score.array[:, [ONSET, PITCH]].tolist()))


def agreement(first: Piece, second: Piece) -> Agreement:
    """Read and clean both forms of a piece and compare them in C major or A minor."""
    a = clean(read_piece(first), first)
    b = clean(read_piece(second), second)
    shift = int(b.score.array[0, ONSET] - a.score.array[0, ONSET])
    moved = a.score.replace(notes=a.score.array + [shift, 0, 0, 0])
    notes_a, notes_b = _notes(moved), _notes(b.score)
    dropped = {name: a.changes[name] for name in DROPPING if a.changes[name]}
    only_a, only_b = sorted((notes_a - notes_b).elements()), sorted((notes_b - notes_a).elements())
    f1 = 2 * (notes_a & notes_b).total() / max(1, notes_a.total() + notes_b.total())
    return Agreement(first.id, f1, only_a, only_b, dropped, shift, b.score.meters[0].bar_ticks)


def explain(result: Agreement) -> str:
    """In words: what was folded back, and where the two readings differ, by bar number."""
    words = [f"{count} {COUNTS[name]}" for name, count in result.dropped.items()]
    if result.shift:
        words.append(f"moved by {result.shift} ticks: the file does not tell its pickup")
    if result.only_first or result.only_second:
        bars = sorted({onset // result.bar + 1 for onset, _ in (*result.only_first, *result.only_second)})
        shown = ", ".join(map(str, bars[:8])) + (" ..." if len(bars) > 8 else "")
        words.append(
            f"{len(result.only_first)} notes only here, {len(result.only_second)} only in the table, in bars"
            f" {shown}"
        )
    return "; ".join(words)


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """Print the agreement of each piece; 0 if the median is at least 0.995, 1 if not, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m dataset_builder.compare", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--route", default="musicxml", choices=("musicxml", "midi"))
    args = parser.parse_args(argv)
    first = open_source(args.source, args.route).pieces
    tables = {piece.id: piece for piece in open_source(args.source, "notes").pieces}
    values = []
    for piece in (piece for piece in first if piece.id in tables):
        result = agreement(piece, tables[piece.id])
        values.append(result.f1)
        print(f"{piece.id}  {result.f1:.4f}  {explain(result)}".rstrip(), flush=True)
    if not values:
        print("error: no piece has both a file of this route and a note table.", file=sys.stderr)
        return 2
    print(
        f"{len(values)} pieces, median {median(values):.4f}, lowest {min(values):.4f}, exactly the same"
        f" {sum(v == 1 for v in values)}"
    )
    return 0 if median(values) >= WANTED_MEDIAN else 1


if __name__ == "__main__":
    sys.exit(main())
