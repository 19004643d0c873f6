"""`Piece`: one score file and what is known of it before it is read; `Collection`: all pieces of a source."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from .splits import split_of_number

_WTC_ID = re.compile(r"^wtc([12])([pf])(\d\d)")
# Words in a file's name that say what a piece is; the first that is found counts.
_KIND_WORDS = (
    ("fugue", "fug"),
    ("fugue", "contrapunctus"),
    ("prelude", "prelud"),
    ("prelude", "praelud"),
    ("prelude", "präludium"),
)


@dataclass(frozen=True)
class Piece:
    """One score file of a source, with what its catalogue says of it (`None` or `""`: it does not say).

    Attributes:
        id: unique in its source; rows are sorted by it within their place in the catalogue.
        path: the file to read.
        kind: `"prelude"`, `"fugue"` or `None`.
        tonic, mode: the declared key; a tonic without a mode is that of the key signature, which relative
            keys share.
        number: number in its book of the WTC, 1 to 24.
        split: the declared split.
        written_out: the file writes out repeats and trills as notes; they are to be folded back.
        staff_voices: where its notation has layers in place of parts, each staff is a voice
            (`tokenization.reading.read_score`).
        only_bars: the piece is the first so many bars of its file (what follows is another piece).
        expected_notes: how many notes the catalogue counts.
    """

    id: str
    path: Path
    work: str = ""
    title: str = ""
    bwv: str = ""
    book: int | None = None
    number: int | None = None
    kind: str | None = None
    tonic: str | None = None
    mode: str | None = None
    split: str | None = None
    source: str = ""
    source_file: str = ""
    licence: str = ""
    encoder: str = ""
    written_out: bool = False
    staff_voices: bool = False
    only_bars: int | None = None
    expected_notes: int | None = None


@dataclass
class Collection:
    """All pieces of a source, in a stable order.

    Attributes:
        name: how the source was asked for.
        pieces: the pieces.
        notices: what a user should know: files passed over, a split that is missing.
        unavailable: id and reason of pieces that the source names but could not give.
        rest_is_train: pieces without a declared split are for training (another piece's catalogue declares
            them).
    """

    name: str
    pieces: list[Piece] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    unavailable: list[tuple[str, str]] = field(default_factory=list)
    rest_is_train: bool = False

    def fingerprint(self) -> str:
        """SHA-256 over every piece's description and the bytes of its file."""
        digest = hashlib.sha256()
        for piece in self.pieces:
            fields = [str(value) for name, value in vars(piece).items() if name != "path"]
            digest.update("\0".join([*fields, piece.path.name]).encode())
            digest.update(
                hashlib.sha256(piece.path.read_bytes()).digest() if piece.path.exists() else b"missing"
            )
        digest.update(repr((self.notices, self.unavailable, self.rest_is_train)).encode())
        return digest.hexdigest()


def wtc_fields(identifier: str) -> dict:
    """What an id such as `wtc2f05` says: work, book, number, kind, BWV number and split; empty for any other
    id.
    """
    match = _WTC_ID.match(identifier)
    if match is None or not 1 <= int(match[3]) <= 24:
        return {}
    book, number = int(match[1]), int(match[3])
    return {
        "work": "WTC",
        "book": book,
        "number": number,
        "kind": "prelude" if match[2] == "p" else "fugue",
        "bwv": str((845 if book == 1 else 869) + number),
        "split": split_of_number(number),
    }


def guess_kind(name: str) -> str | None:
    """Prelude or fugue, where a file's name says so."""
    lowered = name.lower()
    return next((kind for kind, word in _KIND_WORDS if word in lowered), None)
