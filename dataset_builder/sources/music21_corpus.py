"""The corpus that the music21 package ships: nothing to download, so a build and a training can be tried on
any machine.

It holds BWV 846's prelude and Bach's chorales. A chorale is taken when its own notice allows it: when the
file reserves no rights, or says that it is used by permission. Files with a bare copyright line, and the
**kern ones ("rights to all derivative electronic formats reserved"), are left out. None of them names a
licence, so a dataset made of them is for use, not for passing on.
"""

from __future__ import annotations

import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

from ..errors import DatasetError
from ..pieces import Collection, Piece, wtc_fields

_TEXT = re.compile(rb"<(?:credit-words|rights)[^>]*>(.*?)</(?:credit-words|rights)>", re.DOTALL)
_PART = re.compile(rb"<score-part\s")
_BWV = re.compile(r"bwv(\d+)")
_LAST_CHORALE = 438
BY_PERMISSION = "used by permission"
WITHOUT_NOTICE = (
    "no notice in the file; distributed with music21 by permission, perhaps not for commercial use"
)


def corpus_folder() -> Path:
    """The folder of the Bach scores of the installed music21, found without importing it.

    Raises:
        DatasetError: if music21 or its corpus is not installed.
    """
    spec = find_spec("music21")
    folder = Path(spec.origin or "").parent / "corpus" / "bach" if spec else None
    if folder is None or not folder.is_dir():
        raise DatasetError(
            "The corpus of music21 is not installed: install the package music21, or give --source a folder"
            " of scores."
        )
    return folder


def notice_of(content: bytes) -> str | None:
    """The licence notice of a MusicXML text in words, or `None` where it reserves rights without allowing
    anything.
    """
    texts = [" ".join(text.decode("utf-8", "replace").split()) for text in _TEXT.findall(content)]
    if any(BY_PERMISSION in text.lower() for text in texts):
        return (
            BY_PERMISSION
            + " ("
            + "; ".join(text for text in texts if "©" in text or "permission" in text.lower())
            + ")"
        )
    reserved = any("©" in text or "copyright" in text.lower() or "reserved" in text.lower() for text in texts)
    return None if reserved else WITHOUT_NOTICE


def _content(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if not name.startswith("META-INF"))
        return archive.read(name)


def open_music21() -> Collection:
    """BWV 846's prelude and the four-part chorales whose notice allows it.

    Their splits follow from a hash of the tune's opening (`splits.hashed_splits`), the prelude is for
    training.
    """
    collection = Collection("music21")
    reserved = []
    for path in sorted(corpus_folder().glob("*.mxl"), key=lambda path: path.name):
        match = _BWV.match(path.stem)
        if match is None:
            continue
        number, content = int(match[1]), _content(path)
        is_prelude = path.stem == "bwv846"
        if not is_prelude and (number > _LAST_CHORALE or len(_PART.findall(content)) != 4):
            continue
        licence = notice_of(content)
        if licence is None:
            reserved.append(path.stem)
            continue
        bwv = path.stem.removeprefix("bwv")
        of_wtc = {**wtc_fields("wtc1p01"), "tonic": "C", "mode": "major"}
        collection.pieces.append(
            Piece(
                id="wtc1p01" if is_prelude else path.stem,
                path=path,
                source="music21",
                source_file=f"corpus/bach/{path.name}",
                licence=licence,
                encoder=(
                    "MuseScore user, score 117279"
                    if is_prelude
                    else "Margaret Greentree (jsbchorales.net) and the music21 project"
                ),
                **(of_wtc if is_prelude else {"work": "chorale", "bwv": bwv}),
            )
        )
    if not collection.pieces:
        raise DatasetError(
            "The installed music21 has no Bach chorales in its corpus: give --source a folder of scores."
        )
    if reserved:
        collection.notices.append(
            f"{len(reserved)} chorales whose notice is a bare copyright line were left out."
        )
    return collection
