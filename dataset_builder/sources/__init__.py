"""Sources of scores: a folder, music21's own corpus, files that are downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import DatasetError
from ..pieces import Collection

NAMED = ("music21", "download")


def open_source(name: str | Sequence[str], route: str = "notes", **options: object) -> Collection:
    """The pieces of a source, or of several together.

    Args:
        name: a folder, `"music21"` or `"download"`; or a list of these.
        route: of pieces that a catalogue offers in several forms, which to read: `"notes"`, `"midi"` or
            `"musicxml"`.
        options: for `"download"`: `manifest`, `base_url`, `download_dir`.

    Raises:
        DatasetError: if it is no folder and no known name, or holds no score.
    """
    if not isinstance(name, (str, Path)):
        return _together([open_source(one, route, **options) for one in name])
    if str(name) == "music21":
        from .music21_corpus import open_music21

        return open_music21()
    if str(name) == "download":
        from .download import open_download

        return open_download(**options)  # type: ignore[arg-type]
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise DatasetError(
            f"There is no folder {str(name)!r}: --source takes a folder of scores,"
            f" {' or '.join(repr(n) for n in NAMED)}."
        )
    from .folder import open_folder

    return open_folder(folder, route)


def _together(parts: Sequence[Collection]) -> Collection:
    """Several collections as one; of pieces with the same id the first stays."""
    together = Collection(
        " + ".join(part.name for part in parts), rest_is_train=any(part.rest_is_train for part in parts)
    )
    seen: set[str] = set()
    for part in parts:
        together.notices += part.notices
        together.unavailable += part.unavailable
        for piece in part.pieces:
            if piece.id in seen:
                together.notices.append(f"{piece.id} is in several sources; the first is taken.")
                continue
            seen.add(piece.id)
            together.pieces.append(piece)
    return together
