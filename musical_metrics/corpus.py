"""Read a folder of scores with its catalogue, for building the reference and the report."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tokenization.errors import ScoreReadError
from tokenization.score import Score


class Movement(NamedTuple):
    """One movement of the corpus: id, key number, split, BWV number and the score with key and form."""

    id: str
    number: int
    split: str
    bwv: str
    book: int
    score: Score


def read_corpus(folder: str | Path) -> list[Movement]:
    """The train and validation movements of the Well-Tempered Clavier's folder (`catalogue.csv` and
    `notes/`), by id.

    Raises:
        ScoreReadError: if the folder holds no catalogue.
    """
    from tokenization import read_score
    from tokenization.note_table import catalogued

    folder = Path(folder)
    if not (folder / "catalogue.csv").is_file():
        raise ScoreReadError(
            f"{folder} holds no catalogue.csv: give the folder of the Well-Tempered Clavier's scores."
        )
    movements = []
    for row, path in sorted(catalogued(folder), key=lambda found: found[0]["id"]):
        if row["split"] in ("train", "validation"):
            score = read_score(path, key=f"{row['tonic']} {row['mode']}", form=row["kind"])
            movements.append(
                Movement(row["id"], int(row["number"]), row["split"], row["bwv"], int(row["book"]), score)
            )
    return movements
