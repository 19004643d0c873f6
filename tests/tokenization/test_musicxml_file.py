"""What a MusicXML file may be before anything of it is read: bombs and oddities are refused by name, at no
cost of memory.
"""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import pytest

from tokenization import ScoreReadError, musicxml_text, read_score_bytes

from .fuzzing import sample_score

SCORE = musicxml_text(sample_score(0)).encode()
DOCTYPE = SCORE[SCORE.index(b"<!DOCTYPE") : SCORE.index(b">", SCORE.index(b"<!DOCTYPE")) + 1]
BIG = b"\0" * (12 * 2**20)


def with_doctype(doctype: bytes, body: bytes = SCORE[SCORE.index(b"<score-partwise") :]) -> bytes:
    return b'<?xml version="1.0"?>' + doctype + body


def archive(
    *members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED, stated: int | None = None
) -> bytes:
    """A zip file; `stated` is what it says of the size of its last member, whatever that is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
        if stated is not None:
            file.infolist()[-1].file_size = stated
    return buffer.getvalue()


def attribute_bomb(elements: int) -> bytes:
    """A hundred defaults of 80 kB in all, for each of the elements."""
    defaults = b"".join(b"a%d CDATA '%s' " % (i, b"x" * 800) for i in range(100))
    return with_doctype(b"<!DOCTYPE a [<!ATTLIST a %s>]>" % defaults, b"<a>" * 40 + b"<a/>" * elements)


def entity_bomb(what: bytes = b"") -> bytes:
    levels = b"".join(b'<!ENTITY %s e%d "%s">' % (what, i, b"&e%d;" % (i - 1) * 10) for i in range(1, 9))
    return with_doctype(b'<!DOCTYPE a [<!ENTITY e0 "ha">' + levels + b"]>", b"<a>&e8;</a>")


SUBSET = "declarations of its own"
BOMBS = {
    "attribute defaults": (attribute_bomb(20_000), ".musicxml", SUBSET),
    "attribute defaults in an archive": (archive(("a.xml", attribute_bomb(20_000))), ".mxl", SUBSET),
    "attribute defaults in UTF-16": (
        attribute_bomb(9).decode().replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"),
        ".xml",
        SUBSET,
    ),
    "entities": (entity_bomb(), ".musicxml", SUBSET),
    "parameter entities": (entity_bomb(b"%"), ".musicxml", SUBSET),
    "an outer entity": (
        with_doctype(b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>', b"<a>&e;</a>"),
        ".xml",
        SUBSET,
    ),
    "an empty subset": (with_doctype(DOCTYPE[:-1] + b" [ ]>"), ".xml", SUBSET),
    "a long prolog": (b"<!--" + b" " * 100_000 + b"-->" + SCORE, ".xml", "64 kB before its first element"),
    "bzip2": (archive(("a.xml", SCORE), compression=zipfile.ZIP_BZIP2), ".mxl", "compressed by method 12"),
    "lzma": (archive(("a.xml", SCORE), compression=zipfile.ZIP_LZMA), ".mxl", "compressed by method 14"),
    "bzip2 beside the score": (
        archive(("a.xml", SCORE), ("b.png", BIG), compression=zipfile.ZIP_BZIP2),
        ".mxl",
        "compressed by method 12",
    ),
    "a large score": (archive(("a.xml", BIG)), ".mxl", "a.xml of the archive has 12.0 MB"),
    "a large picture": (
        archive(("a.xml", SCORE), ("b.png", BIG)),
        ".mxl",
        "b.png of the archive has 12.0 MB",
    ),
    "much in all": (
        archive(("a.xml", SCORE), *((f"{i}.png", BIG[: 7 * 2**20]) for i in range(6))),
        ".mxl",
        "MB in all; at most 32 MB",
    ),
    "a size that is a lie": (archive(("a.xml", SCORE + b" " * 2**20), stated=100), ".mxl", "damaged"),
    "many members": (
        archive(*((f"{i}", b"") for i in range(1001)), ("a.xml", SCORE)),
        ".mxl",
        "more than 1000 files",
    ),
}


@pytest.mark.parametrize(("data", "suffix", "words"), BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_before_they_take_memory(data: bytes, suffix: str, words: str):
    tracemalloc.start()
    try:
        with pytest.raises(ScoreReadError) as caught:
            read_score_bytes(data, suffix)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data) + 4 * 2**20
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert words in message and message.endswith(".") and "\n" not in message and len(message) < 300


@pytest.mark.parametrize("suffix", [".musicxml", ".mxl"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_usual_files_are_read(encoding: str, suffix: str):
    assert b"[" not in DOCTYPE and b"PUBLIC" in DOCTYPE
    text = SCORE.decode().replace("UTF-8", encoding).replace(">Sample<", ">Präludium<").encode(encoding)
    score = read_score_bytes(archive(("a.xml", text)) if suffix == ".mxl" else text, suffix)
    assert score.array.tolist() == sample_score(0).array.tolist()
    assert score.title == "Präludium"
    stored = archive(("a.xml", text), compression=zipfile.ZIP_STORED)
    assert read_score_bytes(stored, ".mxl") == score
