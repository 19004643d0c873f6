"""The four configs: which pieces of a source each of them takes."""

from __future__ import annotations

from dataclasses import replace

from .errors import DatasetError
from .pieces import Collection, Piece
from .presets import apply_preset

CONFIGS = {
    "preludes": "the preludes (of the Well-Tempered Clavier, where the source has any of it)",
    "fugues": "the fugues (of the Well-Tempered Clavier, where the source has any of it)",
    "wtc": "the Well-Tempered Clavier, preludes and fugues",
    "wtc-plus": (
        "the Well-Tempered Clavier and every further piece of the source (which all go to the train split"
        " where the source has a catalogue with splits)"
    ),
}


def check_config(name: str) -> None:
    """Refuse the name of a config that there is not.

    Raises:
        DatasetError: naming those that there are.
    """
    if name not in CONFIGS:
        raise DatasetError(f"Unknown config {name!r}: it must be one of {', '.join(CONFIGS)}.")


def _belongs(piece: Piece, config: str, has_wtc: bool) -> bool:
    if config == "wtc-plus":
        return True
    wanted = {"preludes": ("prelude",), "fugues": ("fugue",), "wtc": ("prelude", "fugue")}[config]
    only_wtc = has_wtc or config == "wtc"
    return piece.kind in wanted and (piece.work == "WTC" or not only_wtc)


def choose(
    collection: Collection,
    config: str,
    without_sources: tuple[str, ...] = (),
    preset: str | None = None,
    written_out: bool = False,
    staff_voices: bool = False,
) -> Collection:
    """`select` and `apply_preset` in one, and the marks that all files write out repeats and trills and that
    staves are voices, if asked.
    """
    chosen = apply_preset(select(collection, config, without_sources), preset)
    if written_out:
        chosen.pieces = [
            replace(piece, written_out=piece.path.suffix.lower() != ".tsv") for piece in chosen.pieces
        ]
    if staff_voices:
        chosen.pieces = [replace(piece, staff_voices=True) for piece in chosen.pieces]
    return chosen


def select(collection: Collection, config: str, without_sources: tuple[str, ...] = ()) -> Collection:
    """The pieces of a collection that a config takes.

    Args:
        collection: all pieces of a source.
        config: a name in `CONFIGS`.
        without_sources: names in the column `source` that are to be left out.

    Raises:
        DatasetError: for an unknown config, or when nothing is left.
    """
    check_config(config)
    has_wtc = any(piece.work == "WTC" for piece in collection.pieces)
    pieces = [
        piece
        for piece in collection.pieces
        if _belongs(piece, config, has_wtc) and piece.source not in without_sources
    ]
    if not pieces:
        hint = "" if config == "wtc-plus" else "; config wtc-plus takes every piece, whatever it is"
        raise DatasetError(f"The source {collection.name} has no piece for the config {config}{hint}.")
    selected = replace(collection, pieces=pieces, notices=list(collection.notices))
    if config == "wtc-plus" and all(piece.work == "WTC" for piece in pieces):
        selected.notices.append(
            "The source holds nothing beyond the Well-Tempered Clavier: wtc-plus is the same as wtc here."
        )
    return selected
