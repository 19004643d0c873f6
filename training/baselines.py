"""Counting models in the same units as the network: unigram by type, and the interpolated n-gram.

python -m training.baselines [--data DIR] [--split validation] [--order 10] [--extra core organ]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from tokenization.codec import encode
from tokenization.interruption import errors_in_one_line
from tokenization.vocabulary import TYPE_OF_ID, VOCAB_SIZE

from .crops import TERMS, Piece, type_of_positions
from .ngram import NGram
from .units import PieceLoss, Report, report, table

# All twelve: the tritone once.
ALL_TRANSPOSITIONS = tuple(range(-6, 6))


def unigram_report(train: Sequence[Piece], held_out: Sequence[Piece]) -> Report:
    """Each token from how often it occurs among the tokens of its type, one count added to each. Knowing the
    type beforehand is what the grammar gives, so the masked and the unmasked figure are the same.
    """
    counts = np.ones(VOCAB_SIZE)
    for piece in train:
        ids = encode(piece.score)
        counts += np.bincount(ids[type_of_positions(ids)[1] >= 0], minlength=VOCAB_SIZE)
    by_type = np.bincount(TYPE_OF_ID, weights=counts)
    nats = -np.log(counts / by_type[TYPE_OF_ID])
    results = []
    for piece in held_out:
        ids = encode(piece.score)
        results.append(_piece_loss(piece, ids, nats[ids], nats[ids]))
    return report(results, {"model": "unigram by type"})


def _piece_loss(piece: Piece, ids: np.ndarray, nats: np.ndarray, masked: np.ndarray) -> PieceLoss:
    _, term = type_of_positions(ids)
    sums = [
        np.array([values[term == place].sum() for place in range(len(TERMS))]) for values in (nats, masked)
    ]
    return PieceLoss(piece.name, piece.unit, piece.num_notes, int((term >= 0).sum()), piece.quarters, *sums)


def ngram_reports(
    train: Sequence[Piece], held_out: Sequence[Piece], order: int, transpositions: Sequence[int]
) -> list[Report]:
    """One report for each order from 2 to `order`."""
    model = NGram(order, transpositions).fit([encode(piece.score) for piece in train])
    by_order: list[list[PieceLoss]] = [[] for _ in range(order)]
    for piece in held_out:
        ids = encode(piece.score)
        own, allowed = model.probabilities(ids)
        for place in range(order):
            by_order[place].append(
                _piece_loss(piece, ids, -np.log(own[place]), -np.log(own[place] / allowed[place]))
            )
    name = f"{len(transpositions)} transpositions" if len(transpositions) > 1 else "no transposition"
    return [
        report(losses, {"model": f"n-gram of order {place + 1}, {name}"})
        for place, losses in enumerate(by_order)
    ][1:]


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    from .validate import add_data_arguments, data_arguments, write_json

    parser = argparse.ArgumentParser(
        prog="python -m training.baselines", description="Unigram and n-gram baselines in nats a note."
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--order", type=int, default=8, help="longest gram (default: 8); all orders from 2 on are shown"
    )
    parser.add_argument(
        "--extra",
        nargs="*",
        default=[],
        help=(
            "further Bach pieces counted too, as in a recipe: core, organ, chorales, keyboard, all, or a work"
            " (default: none)"
        ),
    )
    parser.add_argument("--json", help="also write all figures to this file")
    given = parser.parse_args(argv)
    if given.order < 2:
        parser.error(f"--order is {given.order}; it must be at least 2.")
    from .sources import load_pieces

    pieces = load_pieces(data_arguments(given, extra=given.extra), ("train", given.split))
    held_out = pieces[given.split]
    reports = [unigram_report(pieces["train"], held_out)]
    for transpositions in ((0,), ALL_TRANSPOSITIONS):
        reports += ngram_reports(pieces["train"], held_out, given.order, transpositions)
    print(f"split {given.split}: {len(held_out)} pieces, {sum(p.num_notes for p in held_out)} notes\n")
    head = f"{'nats a note':<40}{'all':>8}{'95 % interval':>18}{'legal':>8}{'bits':>8}"
    print(head + "".join(f"{term:>8}" for term in TERMS))
    for one in reports:
        low, high = one.unmasked.interval
        line = f"{one.about['model']:<40}{one.nats_per_note:>8.3f}{f'{low:.3f} - {high:.3f}':>18}"
        line += f"{one.masked.nats_per_note:>8.3f}{one.unmasked.bits_per_note:>8.3f}"
        print(line + "".join(f"{one.unmasked.terms[term]:>8.3f}" for term in TERMS))
    best = min(reports, key=lambda one: one.masked.nats_per_note)
    print(f"\nThe best one, {best.about['model']}:\n{table(best)}")
    if given.json:
        write_json(given.json, [one.to_dict() for one in reports])
    return 0


if __name__ == "__main__":
    sys.exit(main())
