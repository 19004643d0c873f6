"""Catalogues: a `catalogue.csv` beside the scores that says what each of them is."""

from __future__ import annotations

import csv
from pathlib import Path

from .corrections import KEYS
from .credits import CREDITS
from .errors import DatasetError
from .pieces import Piece, guess_kind, wtc_fields
from .splits import SPLITS

CATALOGUE = "catalogue.csv"
ROUTES = {"notes": ("note_table", "file", "path"), "midi": ("midi_file",), "musicxml": ("musicxml_file",)}
_CONVENTION = {"notes": "notes/{}.tsv", "midi": "midi/{}.mid", "musicxml": "musicxml/{}.mxl"}
# In a file's name: the fugue stands behind the prelude, and only the prelude is meant.
_WITH_FUGUE = "_with_fugue"
# Two-part canons that their source numbers among the contrapuncti of the Art of Fugue: fugues in nothing but
# name.
_CANONS = ("contrapunctusXIV", "contrapunctusXV")
# The little preludes, and a fugue whose file's name does not say so.
_LITTLE_PRELUDES = range(924, 944)
_FUGUES = ("bwv-944-2",)


def read_catalogue(path: Path, route: str = "notes") -> tuple[list[Piece], list[Piece]]:
    """The pieces of a catalogue whose file is there, and those whose file is not.

    Args:
        path: the `catalogue.csv`. Needed columns: `id`, and for files that do not lie at `notes/<id>.tsv` a
            column with their path (`note_table`, `file` or `path`). Known and optional: `work`, `title`,
            `bwv`, `book`, `number`, `kind`, `tonic`, `mode`, `split`, `source`, `source_file`, `licence`,
            `encoder`, `notes`.
        route: which form of the scores to read: `"notes"`, `"midi"` or `"musicxml"`.

    Raises:
        DatasetError: if there is no column `id`, or a split has an unknown name.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if "id" not in (reader.fieldnames or ()):
            raise DatasetError(
                f"{path.name} in {path.parent.name or path.parent} has no column 'id': it cannot be used as a"
                " catalogue."
            )
        rows = list(reader)
    found: list[Piece] = []
    missing: list[Piece] = []
    for row in rows:
        piece = _piece(row, path.parent, route)
        (found if piece.path.is_file() else missing).append(piece)
    return found, missing


def _file_of(row: dict[str, str], folder: Path, route: str) -> Path:
    """The file of a row: the path in its column, else where it would lie by convention."""
    named = next((row[column] for column in ROUTES[route] if row.get(column)), None)
    return folder / (named or _CONVENTION[route].format(row["id"]))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().lstrip("-").isdigit() else None


def _kind(row: dict[str, str], source_file: str) -> str | None:
    """Prelude or fugue, where the catalogue has no such column."""
    if row["id"].endswith(_CANONS):
        return None
    if row["id"].endswith(_FUGUES):
        return "fugue"
    if (_number(row.get("bwv")) or 0) in _LITTLE_PRELUDES:
        return "prelude"
    return guess_kind(Path(source_file).stem or row["id"])


def _piece(row: dict[str, str], folder: Path, route: str) -> Piece:
    known = wtc_fields(row["id"])
    split = row.get("split") or known.get("split")
    if split not in (None, *SPLITS):
        raise DatasetError(
            f"The catalogue puts {row['id']} into the unknown split {split!r}; the splits are"
            f" {', '.join(SPLITS)}."
        )
    source_file = row.get("source_file") or ""
    kind = row.get("kind") or known.get("kind") or _kind(row, source_file)
    source, path = row.get("source") or "", _file_of(row, folder, route)
    credit = CREDITS.get(source)
    tonic, mode = KEYS.get(row["id"]) or (row.get("tonic") or None, row.get("mode") or None)
    return Piece(
        id=row["id"],
        path=path,
        work=row.get("work") or known.get("work", ""),
        title=row.get("title") or "",
        bwv=row.get("bwv") or known.get("bwv", ""),
        book=_number(row.get("book")) or known.get("book"),
        number=_number(row.get("number")) or known.get("number"),
        kind=kind if kind in ("prelude", "fugue") else None,
        tonic=tonic,
        mode=mode,
        split=split,
        source=source or (Path(source_file).parts[0] if len(Path(source_file).parts) > 1 else ""),
        source_file=source_file,
        licence=row.get("licence") or row.get("license") or "",
        encoder=row.get("encoder") or (credit.encoder if credit else ""),
        # The tables of these sources are folded already, and only they have the notes that the catalogue
        # counts.
        written_out=route != "notes" and credit is not None and credit.written_out,
        only_bars=_number(row.get("bars")) if _WITH_FUGUE in path.stem else None,
        expected_notes=_number(row.get("notes")) if route == "notes" else None,
    )
