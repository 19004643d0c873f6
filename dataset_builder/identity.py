"""What a built data set is called, and on what terms: by its pieces, so that only the Well-Tempered Clavier
goes by that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from .credits import CREDITS
from .pieces import wtc_fields

OPEN_LICENCE = "cc-by-sa-4.0"
# The Hub's name for a licence of one's own, whose text stands in LICENSE.md beside the card.
OTHER_LICENCE, OTHER_LICENCE_NAME = "other", "by-file-see-license"


class Identity(NamedTuple):
    """Name and terms of a data set.

    Attributes:
        id: what its repository is called, without the user.
        title: for people.
        of_wtc: it holds the Well-Tempered Clavier, with the splits by key number.
        of_bach: all its pieces come from sources of Bach's works that the project knows.
        licence: the Hub's identifier.
    """

    id: str
    title: str
    of_wtc: bool
    of_bach: bool
    licence: str

    @property
    def citation(self) -> str:
        """How to cite it, in BibTeX."""
        note = (
            "\n  note   = {Music by Johann Sebastian"
            f" Bach{' (BWV 846-893 and others)' if self.of_wtc else ''}}}"
            if self.of_bach
            else ""
        )
        author = (
            "MusicGPT contributors, after the encoders named in the column `encoder`"
            if self.of_bach
            else "The encoders named in the column `encoder`"
        )
        return (
            f"@misc{{{self.id.replace('-', '_')},\n  title  = {{{self.title}, in C major and A minor}},\n "
            f" author = {{{author}}},\n  year   = {{2026}}{',' if note else ''}{note}\n}}"
        )


def identity_of(pieces: Iterable[tuple[str, str]], source: str) -> Identity:
    """The identity of a data set.

    Args:
        pieces: id and column `source` of each piece.
        source: what it was built from, as its report says: names of folders or of corpora.
    """
    pieces = list(pieces)
    of_bach = all(where in CREDITS for _, where in pieces)
    # music21's corpus has one prelude of it, among chorales whose splits are not by key number.
    in_wtc = [bool(wtc_fields(name)) and where != "music21" for name, where in pieces]
    of_wtc = of_bach and any(in_wtc)
    if of_wtc:
        further = "" if all(in_wtc) else " and further works of Bach"
        name, title = "wtc", f"The Well-Tempered Clavier{further} as notes with voices"
    else:
        name = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-") or "scores"
        title = (
            f"{f'Works of Johann Sebastian Bach from {source}' if of_bach else source} as notes with voices"
        )
    is_open = of_bach and all(where != "music21" for _, where in pieces)
    return Identity(f"musicgpt-{name}", title, of_wtc, of_bach, OPEN_LICENCE if is_open else OTHER_LICENCE)


def identity_of_reports(reports: dict[str, dict[str, Any]]) -> Identity:
    """The identity of a built data set, from `report.json`: of all its configs together."""
    pieces = {(piece["id"], piece["source"]) for report in reports.values() for piece in report["pieces"]}
    return identity_of(sorted(pieces), next(iter(reports.values()))["source"])


def size_category(rows: int) -> str:
    """The Hub's category of sizes for so many rows."""
    limits = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
    return next((name for limit, name in limits if rows < limit), "1M<n<10M")
