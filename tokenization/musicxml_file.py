"""The bytes of a MusicXML file, plain or packed (`.mxl`), as a tree of elements: what is allowed in before
anything is read.

The files come from strangers. Expat does the parsing, with handlers of our own: `ElementTree`'s parser does
not tell that a document type declares entities or default attributes, and libraries that refuse entities let
default attributes through.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from xml.etree import ElementTree
from xml.parsers import expat

from .errors import ScoreReadError
from .parts import MAX_BYTES, MAX_NOTES, check_size

_MAX_ELEMENTS = 16 * MAX_NOTES
_MAX_DEPTH = 50
_MAX_ATTRIBUTES = 200
_MAX_PROLOG = 2**16  # bytes before the first element
_MAX_GAP = 2**20  # bytes without the beginning of an element
_MAX_MEMBERS = 1000
_MAX_ARCHIVE = 4 * MAX_BYTES  # bytes of all members together
# Those of MusicXML's standard; the others unpack without a bound.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What `zipfile` raises of damaged files.
_DAMAGED = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    RuntimeError,
    LookupError,
    OverflowError,
    ValueError,
    zlib.error,
)
_MEMBER = b"PK\x01\x02"  # begins each entry of a zip file's directory


def musicxml_root(data: bytes) -> ElementTree.Element:
    """The root element of MusicXML, packed or not.

    Args:
        data (`bytes`): the file.

    Raises:
        ScoreReadError: if it is damaged, declares entities or attributes of its own, or is beyond a limit
            (named).
    """
    return _parse(_unpack(data) if data[:2] == b"PK" else data)


def _unpack(data: bytes) -> bytes:
    """The score inside an `.mxl` archive, as its container names it, else its first XML file."""
    if data.count(_MEMBER) > _MAX_MEMBERS:
        raise ScoreReadError(f"The .mxl archive holds more than {_MAX_MEMBERS} files; it is not a score.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_members(archive.infolist())
            names = archive.namelist()
            wanted = [
                n for n in names if not n.startswith("META-INF") and n.lower().endswith((".xml", ".musicxml"))
            ]
            if "META-INF/container.xml" in names:
                for place in _parse(archive.read("META-INF/container.xml")).iter():
                    path = place.get("full-path", "")
                    if (
                        place.tag.endswith("rootfile")
                        and path in names
                        and path.lower().endswith((".xml", ".musicxml"))
                    ):
                        wanted.insert(0, path)
                        break
            if not wanted:
                raise ScoreReadError("The .mxl archive holds no MusicXML file.")
            score = archive.read(wanted[0])
    except ScoreReadError:
        raise
    except _DAMAGED as error:
        raise ScoreReadError(f"The .mxl archive is damaged: {str(error)[:80]}.") from error
    check_size(len(score), "MusicXML in the archive")
    return score


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    """Refuse what would unpack beyond the limits; a member gives no more bytes than it states."""
    for member in members:
        name = member.filename[:40]
        if member.compress_type not in _METHODS:
            raise ScoreReadError(
                f"{name} of the archive is compressed by method {member.compress_type}; "
                "an .mxl file has stored and deflated members only."
            )
        if member.file_size > MAX_BYTES:
            raise ScoreReadError(
                f"{name} of the archive has {member.file_size / 2**20:.1f} MB; at most {MAX_BYTES // 2**20}"
                " MB are read."
            )
    total = sum(member.file_size for member in members)
    if total > _MAX_ARCHIVE:
        raise ScoreReadError(
            f"The members of the archive hold {total / 2**20:.1f} MB in all; at most {_MAX_ARCHIVE // 2**20}"
            " MB are read."
        )


class _Builder:
    """Builds the tree from expat's events, but not one that is too deep or too large."""

    def __init__(self) -> None:
        self.depth = self.count = 0
        self._tree = ElementTree.TreeBuilder()
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._tree.data

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: int) -> None:
        if has_subset:
            raise ScoreReadError(
                "The XML's document type has declarations of its own (entities or attributes), which no score"
                " needs; it is refused."
            )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.count += 1
        if self.depth > _MAX_DEPTH or self.count > _MAX_ELEMENTS:
            raise ScoreReadError(
                f"The MusicXML is nested deeper than {_MAX_DEPTH} or holds more than {_MAX_ELEMENTS}"
                " elements; it is not a score."
            )
        if len(attributes) > _MAX_ATTRIBUTES:
            raise ScoreReadError(
                f"The MusicXML has an element with {len(attributes)} attributes; it is not a score."
            )
        self._tree.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self.depth -= 1
        self._tree.end(tag)

    def feed(self, data: bytes) -> ElementTree.Element:
        """Parse the whole file in pieces: an error in a handler does not stop expat before the end of what it
        was fed.

        Before the first element the pieces are small, so that nothing declared there can be used in the same
        piece.
        """
        at = last = count = 0
        while at < len(data):
            size = 2**16 if self.count else 2**10
            self.parser.Parse(data[at : at + size])
            at += size
            if self.count > count:
                count, last = self.count, at
            elif not self.count and at > _MAX_PROLOG:
                raise ScoreReadError(
                    f"The XML has more than {_MAX_PROLOG // 2**10} kB before its first element; it is not a"
                    " score."
                )
            elif at - last > _MAX_GAP:
                raise ScoreReadError("The MusicXML holds a megabyte without an element; it is not a score.")
        self.parser.Parse(b"", True)
        return self._tree.close()


def _parse(data: bytes) -> ElementTree.Element:
    try:
        return _Builder().feed(data)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, ScoreReadError):
            raise
        raise ScoreReadError(f"The file is not well-formed XML: {str(error)[:80]}.") from error
