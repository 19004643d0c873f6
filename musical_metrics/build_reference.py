"""Build what `reference` loads, from the scores: `python -m musical_metrics.build_reference [--source DIR]
[--out DIR]`.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tokenization.analysis.ngram import Models, arrays_of
from tokenization.analysis.view import View
from tokenization.analysis.windows import Index, Piece, without
from tokenization.midi_writer import write_whole
from tokenization.score import Score
from tokenization.tables import TABLES

from .catalogue import NAMES, measure_all
from .compare import row_of
from .corpus import Movement, read_corpus
from .ngram import fit
from .originality import build_index
from .reference import DATA, LENGTHS, WHOLE, Table


def piece_of(movement: Movement) -> Piece:
    """The entry of a movement in the index's table."""
    name = (
        f"{movement.score.form or 'piece'} BWV {movement.bwv} ({movement.score.key}, Book"
        f" {'I' * movement.book})"
    )
    return Piece(movement.id, name, movement.number, movement.score.meters[0].bar_ticks)


class HeldOut:
    """n-grams and indices of the train split without one key number, each built when first asked for."""

    def __init__(self, movements: Sequence[Movement]):
        self.train = [m for m in movements if m.split == "train"]
        self.views = [View(m.score) for m in self.train]
        self.index = build_index(self.views, [piece_of(m) for m in self.train])
        self._cache: dict[int, tuple[Models, Index]] = {}

    def without(self, number: int) -> tuple[Models, Index]:
        """Models and index that have not seen the key number."""
        if number not in self._cache:
            views = [v for v, m in zip(self.views, self.train, strict=True) if m.number != number]
            self._cache[number] = fit(views), without(self.index, number)
        return self._cache[number]

    def values(self, score: Score, number: int) -> list[float]:
        """All metrics of a score as a row, NaN for none."""
        return row_of(measure_all(View(score), *self.without(number)))


def openings(score: Score) -> dict[str, Score]:
    """The piece's first 128, 256 and 512 notes and the whole, by the names of the reference; of those that it
    is long enough for.
    """
    cuts = {
        str(length): score.replace(notes=score.array[:length]) for length in LENGTHS if len(score) >= length
    }
    return {**cuts, WHOLE: score}


def build_table(movements: Sequence[Movement], held_out: HeldOut) -> Table:
    """The values of every movement at every length."""
    from tqdm import tqdm

    values = {str(length): np.full((len(movements), len(NAMES)), np.nan) for length in (*LENGTHS, WHOLE)}
    for i, movement in enumerate(tqdm(movements, desc="Bach's values", unit="movement")):
        for length, score in openings(movement.score).items():
            values[length][i] = held_out.values(score, movement.number)
    columns = (
        [m.id for m in movements],
        [m.score.form or "" for m in movements],
        [m.number for m in movements],
        [m.split for m in movements],
    )
    return Table(*columns, NAMES, values)


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    """Arrays as the bytes of a compressed `npz`, none pickled."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def build(movements: Sequence[Movement], out: Path, tables: Path) -> None:
    """Measure the movements and write `values.json` to `out`, and `ngram.npz`, `index.npz` and `pieces.json`
    to `tables`.
    """
    held_out = HeldOut(movements)
    models, index = fit(held_out.views), held_out.index
    for folder in (out, tables):
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(
        tables / "ngram.npz", npz({**arrays_of(models.pitch, "pitch"), **arrays_of(models.rhythm, "rhythm")})
    )
    arrays = {"hashes": index.hashes, "pieces": index.pieces, "bars": index.bars}
    write_whole(tables / "index.npz", npz(arrays))
    write_whole(tables / "pieces.json", json.dumps([list(piece) for piece in index.table]).encode())
    write_whole(out / "values.json", build_table(movements, held_out).to_json().encode())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data/wtc"), help="folder with catalogue.csv and notes/"
    )
    parser.add_argument("--out", type=Path, default=DATA, help="folder for the values")
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder for n-gram and index")
    arguments = parser.parse_args()
    build(read_corpus(arguments.source), arguments.out, arguments.tables)


if __name__ == "__main__":
    main()
