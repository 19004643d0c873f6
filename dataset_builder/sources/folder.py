"""A folder of anyone's scores: nested, of mixed formats, with or without catalogues."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from ..catalogue import CATALOGUE, read_catalogue
from ..errors import DatasetError
from ..pieces import Collection, Piece, guess_kind, wtc_fields
from ..splits import split_of_path

# Of one piece in several formats the richest is read: note tables and MusicXML spell voices, MIDI may not.
SUFFIXES = (".tsv", ".musicxml", ".mxl", ".xml", ".mid", ".midi")


def open_folder(folder: Path, route: str = "notes") -> Collection:
    """All scores below a folder.

    A folder with a `catalogue.csv` gives the pieces that the catalogue names (its other files are other forms
    of them); elsewhere every file with the suffix of a score is a piece.

    Args:
        folder: where to look.
        route: of pieces that a catalogue offers in several forms, which to read.

    Raises:
        DatasetError: if there is no score in it.
    """
    collection = Collection(folder.name)
    for place, folders, files in os.walk(folder):
        folders.sort()
        if CATALOGUE in files:
            folders.clear()
            _add_catalogue(collection, Path(place) / CATALOGUE, route)
        else:
            _add_files(collection, folder, [Path(place) / name for name in sorted(files)])
    if not collection.pieces:
        wanted = (
            f"a {route} file of its catalogue"
            if route != "notes"
            else f"a file ending in {', '.join(SUFFIXES)}"
        )
        raise DatasetError(f"The folder {str(folder)!r} holds no score: nothing in it is {wanted}.")
    collection.pieces.sort(key=_order)
    return collection


def _order(piece: Piece) -> tuple:
    """The WTC first, by book, number and prelude before fugue; then by id."""
    return (piece.book or 9, piece.number or 99, piece.kind != "prelude" if piece.book else True, piece.id)


def _add_catalogue(collection: Collection, path: Path, route: str) -> None:
    found, missing = read_catalogue(path, route)
    collection.pieces += found
    collection.rest_is_train |= any(piece.split for piece in found)
    by_split = Counter(piece.split for piece in missing)
    for split in sorted(str(name) for name in by_split):
        names = [piece.id for piece in missing if str(piece.split) == split]
        if split != "None" and not any(piece.split == split for piece in found):
            collection.notices.append(
                f"The {split} split is missing: none of its {len(names)} catalogued pieces has a {route} file"
                f" here ({_some(names)})."
            )
        else:
            collection.notices.append(
                f"{len(names)} catalogued pieces have no {route} file here: {_some(names)}."
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _is_score(path: Path) -> bool:
    """Whether the name says that it is a score; a table must have a note table's columns."""
    if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
        return False
    if path.suffix.lower() != ".tsv":
        return True
    with path.open("rb") as file:
        return {b"onset_q", b"midi"} <= set(file.readline(4096).strip().split(b"\t"))


def _add_files(collection: Collection, folder: Path, paths: list[Path]) -> None:
    best: dict[Path, Path] = {}
    for path in filter(_is_score, paths):
        other = best.setdefault(path.with_suffix(""), path)
        if other is not path:
            first, second = sorted((other, path), key=lambda p: SUFFIXES.index(p.suffix.lower()))
            best[path.with_suffix("")] = first
            collection.notices.append(
                f"{second.name} is taken for another form of {first.name} and not read."
            )
    for stem, path in best.items():
        relative = stem.relative_to(folder)
        known = wtc_fields(path.stem)
        collection.rest_is_train |= bool(known)
        known.setdefault("split", split_of_path(relative.parts[:-1]))
        known.setdefault("kind", guess_kind(relative.as_posix()))
        identifier = path.stem if known.get("work") == "WTC" else relative.as_posix()
        collection.pieces.append(
            Piece(
                id=identifier,
                path=path,
                source=folder.name,
                source_file=path.relative_to(folder).as_posix(),
                **known,
            )
        )
