"""Our notation beside the editions': `python -m benchmarks.notation FOLDER... [--write docs/tokenizer.md]`.

`FOLDER` holds a `catalogue.csv` and its note tables, as `../shared/data/wtc` does. Every piece is read and
written by our writer. Counted are the noteheads a note: 1 where nothing is tied. Where the catalogue names an
edition's MusicXML (column `musicxml_file`) its own count stands beside. The names of the notes are compared
with the column `pitch` of the note tables, the staves of the preludes with an edition's with the column
`staff`. What a player would mark is counted in our text (`page_faults`).
"""

from __future__ import annotations

import csv
import statistics
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.page_faults import Faults, page_faults
from tokenization import Key, Score, markdown, musicxml_text, read_score
from tokenization.hands import deal
from tokenization.note_table import catalogued
from tokenization.score import ONSET, PITCH
from tokenization.spelling import spell
from tokenization.token_table import table_command
from tokenization.vocabulary import TICKS_PER_QUARTER

START, END = "<!-- notation: begin -->", "<!-- notation: end -->"


@dataclass
class Piece:
    """A piece of a catalogue: its row there, its notes, their names and, where there is one, the edition's
    MusicXML."""

    row: dict[str, str]
    score: Score
    names: list[str]  # of the notes of the score, in their order
    staves: list[int]  # the same
    edition: ElementTree.Element | None


@dataclass
class Measured:
    """What is counted of one piece; `None` where there is nothing to compare with."""

    name: str
    book: str
    meter: str
    notes: int
    heads: float
    edition_heads: float | None
    misnamed: int
    misnamed_without_key: int
    on_other_staff: int | None
    faults: Faults


def pieces(folder: Path) -> Iterator[Piece]:
    """The pieces of a catalogue that are there."""
    for row, path in catalogued(folder):
        edition = folder / row["musicxml_file"] if row.get("musicxml_file") else None
        key = Key(row["tonic"], row["mode"]) if row.get("mode") else None
        tree = _packed_tree(edition) if edition and edition.is_file() else None
        score = read_score(path, key=key)
        told = _told(path, score)
        yield Piece(row, score, [name for name, _ in told], [int(staff) for _, staff in told], tree)


def _told(path: Path, score: Score) -> list[tuple[str, str]]:
    """Name and staff that a note table gives the notes of its score. Notes of one onset and pitch are taken
    from the upper staff down."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["grace"] in ("0", "")]
    onsets = [round(Fraction(row["onset_q"]) * TICKS_PER_QUARTER) for row in rows]
    shift = int(score.array[0, ONSET]) - min(onsets)
    found: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for onset, row in sorted(zip(onsets, rows, strict=True), key=lambda item: item[1]["staff"]):
        found.setdefault((onset + shift, int(row["midi"])), []).append((row["pitch"], row["staff"]))
    return [found[onset, pitch].pop(0) for onset, pitch in score.array[:, [ONSET, PITCH]].tolist()]


def _packed_tree(path: Path) -> ElementTree.Element:
    """The score in an `.mxl` archive of the corpus."""
    with zipfile.ZipFile(path) as archive:
        name = next(
            n
            for n in archive.namelist()
            if n.endswith((".xml", ".musicxml")) and not n.startswith("META-INF")
        )
        return ElementTree.fromstring(archive.read(name))


def heads_a_note(tree: ElementTree.Element, bars: int | None = None) -> float:
    """Written heads for each sounding note, grace and cue notes left out, of the first `bars` measures or of
    all."""
    heads = notes = 0
    for part in tree.findall("part"):
        for measure in part.findall("measure")[:bars]:
            for note in measure.findall("note"):
                if note.find("pitch") is not None and note.find("grace") is None and note.find("cue") is None:
                    heads += 1
                    notes += all(tie.get("type") != "stop" for tie in note.findall("tie"))
    return heads / max(1, notes)


def misnamed(score: Score, names: list[str], turned: bool = False) -> int:
    """How many notes get another name; with `turned` a piece named throughout in the enharmonic key (D sharp
    for E flat minor) is right."""
    ours = [letter + ("b" * -alter or "#" * alter) + str(octave) for letter, alter, octave in spell(score)]
    if not turned:
        return sum(a != b for a, b in zip(ours, names, strict=True))
    turns = Counter((ord(a[0]) - ord(b[0])) % 7 for a, b in zip(ours, names, strict=True))
    return len(ours) - max(turns.values())


def measure(piece: Piece) -> Measured:
    """Count one piece. A file that holds a prelude and its fugue is counted up to the prelude's last bar."""
    text = musicxml_text(piece.score)
    edition_heads = None
    if piece.edition is not None:
        both = "fugue" in piece.row["musicxml_file"]
        edition_heads = heads_a_note(piece.edition, int(piece.row["bars"]) if both else None)
    return Measured(
        name=piece.row["id"],
        book=piece.row.get("book", ""),
        meter=piece.row["time_signature"],
        notes=len(piece.score),
        heads=heads_a_note(ElementTree.fromstring(text)),
        edition_heads=edition_heads,
        misnamed=misnamed(piece.score, piece.names),
        misnamed_without_key=misnamed(piece.score.replace(key=None), piece.names, turned=True),
        on_other_staff=None if piece.edition is None else int((deal(piece.score)[0] != piece.staves).sum()),
        faults=page_faults(piece.score, text),
    )


def table(folders: list[Path]) -> str:
    """The Markdown table: a line for each piece that has an edition to compare with, and a line a folder and
    meter for the others."""
    lines = []
    for folder in folders:
        measured = [measure(piece) for piece in pieces(folder)]
        compared = [m for m in measured if m.edition_heads is not None]
        lines += [_line(m.name, m.meter, [m], f"{m.heads:.3f}", f"{m.edition_heads:.3f}") for m in compared]
        others: dict[str, list[Measured]] = {}
        for m in measured:
            if m.edition_heads is None:
                others.setdefault(m.meter if len(m.meter.split()) == 1 else "changing", []).append(m)
        for meter, group in sorted(others.items()):
            heads = [m.heads for m in group]
            lines.append(
                _line(
                    f"{folder.name}, {len(group)} others",
                    meter,
                    group,
                    f"{statistics.mean(heads):.3f}, at most {max(heads):.3f}",
                    "",
                )
            )
        for number in ("1", "2"):
            book = [m for m in compared if m.book == number]
            lines += [_line(f"**{folder.name}, Book {number}**", "compared", book, "", "")] if book else []
        lines.append(_line(f"**{folder.name}**", "", measured, "", ""))
    head = ("piece", "meter", "notes", "heads a note", "in the edition", "same staff", "names right")
    return markdown.table((*head, "key not given", "faults"), lines)


def _line(name: str, meter: str, group: list[Measured], heads: str, edition_heads: str) -> tuple[str, ...]:
    notes = sum(m.notes for m in group)
    compared = [m for m in group if m.on_other_staff is not None]
    staff = (
        _share(sum(m.on_other_staff or 0 for m in compared), sum(m.notes for m in compared))
        if compared
        else ""
    )
    names = (
        _share(sum(m.misnamed for m in group), notes),
        _share(sum(m.misnamed_without_key for m in group), notes),
        _faults([m.faults for m in group]),
    )
    return (name, meter, str(notes), heads, edition_heads, staff, *names)


def _faults(group: list[Faults]) -> str:
    """How often each kind occurs, those that do not left out."""
    counts = {
        "illegible heads": sum(f.illegible for f in group),
        "idle staves": sum(f.idle for f in group),
        "rests on heads": sum(f.collisions for f in group),
        "pieces changed": sum(f.changed for f in group),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def _share(wrong: int, notes: int) -> str:
    return f"{100 * (1 - wrong / notes):.2f} %"


def main() -> None:
    """Print the table, or put it between its marks in a file."""
    table_command(__doc__, table, START, END)


if __name__ == "__main__":
    main()
