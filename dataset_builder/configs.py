"""The four configs: which pieces of a source each of them takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .errors import DatasetError
from .pieces import Collection, Piece
from .presets import apply_preset
from .sources import open_source

CONFIGS = {
    "preludes": "the preludes (of the Well-Tempered Clavier, where the source has any of it)",
    "fugues": "the fugues (of the Well-Tempered Clavier, where the source has any of it)",
    "wtc": "the Well-Tempered Clavier, preludes and fugues",
    "wtc-plus": (
        "the Well-Tempered Clavier and every further piece of the source (which all go to the train split"
        " where the source has a catalogue with splits)"
    ),
}


@dataclass
class ReadOptions:
    """What is read, and how.

    Args:
        source (`str` or list of `str`): a folder of scores, `"music21"` or `"download"`, or several of them.
        route (`str`): which form of the catalogued pieces to read: `"notes"`, `"midi"` or `"musicxml"`.
        preset (`str`, *optional*): a name in `presets.PRESETS`.
        strict (`bool`): stop at a piece that cannot be used, in place of skipping it.
        validation_share (`float`): for pieces whose split nothing declares.
        without_sources (sequence of `str`): values of the column `source` to leave out.
        written_out (`bool`): fold back written-out repeats and trills in all files, not only in those known
            to write them out.
        staff_voices (`bool`): where the notation has layers in place of parts, each staff is one voice.
        manifest, base_url, download_dir (`str`, *optional*): see `sources.download.open_download`.
    """

    source: str | Sequence[str] = "music21"
    route: str = "notes"
    preset: str | None = None
    strict: bool = False
    validation_share: float = 0.1
    without_sources: Sequence[str] = ()
    written_out: bool = False
    staff_voices: bool = False
    manifest: str | None = None
    base_url: str | None = None
    download_dir: str | None = None

    def collections(self, configs: Sequence[str]) -> dict[str, Collection]:
        """The pieces that each config takes from the source, files fetched where they must be.

        Raises:
            DatasetError: if there is no such config, no such source, or nothing in it for a config.
        """
        for config in configs:
            if config not in CONFIGS:
                raise DatasetError(f"Unknown config {config!r}: it must be one of {', '.join(CONFIGS)}.")
        files = {"manifest": self.manifest, "base_url": self.base_url, "download_dir": self.download_dir}
        everything = open_source(self.source, self.route, **files)
        return {config: choose(everything, config, self) for config in configs}


def _belongs(piece: Piece, config: str, has_wtc: bool) -> bool:
    if config == "wtc-plus":
        return True
    wanted = {"preludes": ("prelude",), "fugues": ("fugue",), "wtc": ("prelude", "fugue")}[config]
    only_wtc = has_wtc or config == "wtc"
    return piece.kind in wanted and (piece.work == "WTC" or not only_wtc)


def choose(collection: Collection, config: str, options: ReadOptions) -> Collection:
    """`select` and `apply_preset` in one, and the marks that all files write out repeats and trills and that
    staves are voices, if asked.
    """
    chosen = apply_preset(select(collection, config, options.without_sources), options.preset)
    if options.written_out:
        chosen.pieces = [
            replace(piece, written_out=piece.path.suffix.lower() != ".tsv") for piece in chosen.pieces
        ]
    if options.staff_voices:
        chosen.pieces = [replace(piece, staff_voices=True) for piece in chosen.pieces]
    return chosen


def select(collection: Collection, config: str, without_sources: Sequence[str] = ()) -> Collection:
    """The pieces of a collection that a config takes.

    Args:
        collection: all pieces of a source.
        config: a name in `CONFIGS`.
        without_sources: names in the column `source` that are to be left out.

    Raises:
        DatasetError: when nothing is left.
    """
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
