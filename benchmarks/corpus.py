"""Checks of the real corpus, whose result stands in `docs/LOG.md`.

    python -m benchmarks.corpus keys --source ../shared/data
    python -m benchmarks.corpus doors --source ../shared/data

`keys`: how often the rule of `dataset_builder.keys` errs over the pieces whose full key is declared, for
several weights of the close. `doors`: whether a validation movement stands in the train split under another
name: for each the longest run of a voice (intervals and rhythm, at any pitch and speed, every window) that it
shares with a train piece, and for each subject of a fugue the train piece with the likest passage (share of
the subject's steps of at most two semitones' difference, in its own, halved and doubled values).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from dataset_builder import keys
from dataset_builder.corrections import read_piece
from dataset_builder.sources import open_source
from musical_metrics.originality import shared_run
from tokenization.analysis.subjects import Subject, find_subject, subject_matches
from tokenization.analysis.view import View
from tokenization.key import Key
from tokenization.markdown import table
from tokenization.score import Score
from training.sources import names_of

FINAL_BASS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.5)
FINAL_DOMINANT = (0.0, 0.1, 0.2, 0.3, 0.4)


def key_errors(known: Sequence[tuple[Score, Key]]) -> tuple[int, int, int]:
    """Questions with a tonic alone (the key's own, and that of the relative major), wrong answers to them,
    wrong ones of all 24 keys.
    """
    asked = wrong = wrong_of_all = 0
    for score, key in known:
        signature = key if key.mode == "major" else Key.of_number((key.pitch_class + 3) % 12)
        for tonic in {key.tonic, signature.tonic}:
            found = keys.key_on_signature(score, tonic)
            asked += 1
            wrong += found.number != key.number
        wrong_of_all += keys.best_key(score).number != key.number
    return asked, wrong, wrong_of_all


def print_keys(source: str) -> None:
    """The table of errors over both weights of `dataset_builder.keys`."""
    pieces = [piece for piece in open_source(source).pieces if piece.tonic and piece.mode]
    known = [(read_piece(piece), Key.parse(f"{piece.tonic} {piece.mode}")) for piece in pieces]
    print(
        f"{len(known)} pieces with a declared key, {key_errors(known)[0]} questions; wrong with a tonic given"
        " / of all 24 keys"
    )
    rows = []
    for keys.FINAL_BASS in FINAL_BASS:
        rows.append([str(keys.FINAL_BASS)])
        for keys.FINAL_DOMINANT in FINAL_DOMINANT:
            _, wrong, wrong_of_all = key_errors(known)
            rows[-1].append(f"{wrong} / {wrong_of_all}")
    print(table(["last bass the tonic", *(f"dominant {weight}" for weight in FINAL_DOMINANT)], rows))


def likest_passage(view: View, subject: Subject) -> float:
    """The highest share of a subject's steps that a passage of a piece has, in its own, halved or doubled
    note values.
    """
    rows = np.arange(max(0, len(view.lines) - len(subject.steps)))
    scaled = [
        Subject(np.stack([subject.steps[:, 0], subject.steps[:, 1] * speed // 2], axis=1), 0)
        for speed in (1, 2, 4)
    ]
    return (
        max((float(subject_matches(view, one, rows).max()) for one in scaled), default=0.0)
        if len(rows)
        else 0.0
    )


def print_doors(source: str) -> None:
    """For each validation movement what the train split has of it, by group of pieces."""
    views = {piece: View(read_piece(piece)) for piece in open_source(source).pieces}
    held_out = {piece: view for piece, view in views.items() if piece.split == "validation"}
    groups: dict[str, dict[str, View]] = {"WTC": {}, "keyboard works": {}, "organ works, chorales": {}}
    for piece, view in views.items():
        if piece not in held_out:
            newer = names_of(piece.work) & {"organ", "chorales"}
            groups["WTC" if piece.work == "WTC" else "organ works, chorales" if newer else "keyboard works"][
                piece.id
            ] = view
    print(
        f"{len(held_out)} validation movements; "
        + ", ".join(f"{name}: {len(those)}" for name, those in groups.items())
    )
    rows = []
    for piece, view in held_out.items():
        cells = [piece.id]
        subject = find_subject(view) if piece.kind == "fugue" else ""
        for others in groups.values():
            length, name = max((len(shared_run(other, view)[0]), name) for name, other in others.items())
            cells.append(f"{length} notes ({name})")
        for others in groups.values():
            if isinstance(subject, str):
                cells.append(subject)
                continue
            share, name = max((likest_passage(other, subject), name) for name, other in others.items())
            cells.append(f"{share:.2f} of {len(subject.steps)} steps ({name})")
        rows.append(cells)
    print(
        table(
            ["movement", *(f"{what}, {name}" for what in ("longest run", "subject") for name in groups)], rows
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one check."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("check", choices=("keys", "doors"))
    parser.add_argument("--source", required=True)
    args = parser.parse_args(argv)
    {"keys": print_keys, "doors": print_doors}[args.check](args.source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
