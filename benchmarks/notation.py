"""Our notation beside the editions': `python -m benchmarks.notation FOLDER... [--write docs/tokenizer.md]`.

`FOLDER` holds a `catalogue.csv` and its note tables, as `../shared/data/wtc` does. Every piece is read and written by our writer. Counted are the
noteheads a note: 1 where nothing is tied. Where the catalogue names an edition's MusicXML (column `musicxml_file`) its own count stands beside.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tokenization import Key, Score, musicxml_text, read_score
from tokenization.midi_writer import write_whole

START, END = "<!-- notation: begin -->", "<!-- notation: end -->"


@dataclass
class Piece:
    """A piece of a catalogue: its row there, its notes and, where there is one, the edition's MusicXML."""

    row: dict[str, str]
    score: Score
    edition: ElementTree.Element | None


@dataclass
class Measured:
    """What is counted of one piece; `None` where there is nothing to compare with."""

    name: str
    meter: str
    notes: int
    heads: float
    edition_heads: float | None


def pieces(folder: Path) -> Iterator[Piece]:
    """The pieces of a catalogue that are there."""
    with open(folder / "catalogue.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            path = folder / row["note_table"]
            if not row["note_table"] or not path.is_file():
                continue
            edition = folder / row["musicxml_file"] if row.get("musicxml_file") else None
            key = Key(row["tonic"], row["mode"]) if row.get("mode") else None
            tree = _packed_tree(edition) if edition and edition.is_file() else None
            yield Piece(row, read_score(path, key=key), tree)


def _packed_tree(path: Path) -> ElementTree.Element:
    """The score in an `.mxl` archive of the corpus."""
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith((".xml", ".musicxml")) and not n.startswith("META-INF"))
        return ElementTree.fromstring(archive.read(name))


def heads_a_note(tree: ElementTree.Element, bars: int | None = None) -> float:
    """Written heads for each sounding note, grace and cue notes left out, of the first `bars` measures or of all."""
    heads = notes = 0
    for part in tree.findall("part"):
        for measure in part.findall("measure")[:bars]:
            for note in measure.findall("note"):
                if note.find("pitch") is not None and note.find("grace") is None and note.find("cue") is None:
                    heads += 1
                    notes += all(tie.get("type") != "stop" for tie in note.findall("tie"))
    return heads / max(1, notes)


def measure(piece: Piece) -> Measured:
    """Count one piece. A file that holds a prelude and its fugue is counted up to the prelude's last bar."""
    text = ElementTree.fromstring(musicxml_text(piece.score))
    edition_heads = None
    if piece.edition is not None:
        both = "fugue" in piece.row["musicxml_file"]
        edition_heads = heads_a_note(piece.edition, int(piece.row["bars"]) if both else None)
    return Measured(
        name=piece.row["id"],
        meter=piece.row["time_signature"],
        notes=len(piece.score),
        heads=heads_a_note(text),
        edition_heads=edition_heads,
    )


def table(folders: list[Path]) -> str:
    """The Markdown table: a line for each piece that has an edition to compare with, and a line a folder and meter for the others."""
    head = ("piece", "meter", "notes", "heads a note", "in the edition")
    lines = [f"| {' | '.join(head)} |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for folder in folders:
        measured = [measure(piece) for piece in pieces(folder)]
        lines += [
            f"| {m.name} | {m.meter} | {m.notes} | {m.heads:.3f} | {m.edition_heads:.3f} |" for m in measured if m.edition_heads is not None
        ]
        others: dict[str, list[Measured]] = {}
        for m in measured:
            if m.edition_heads is None:
                others.setdefault(m.meter if len(m.meter.split()) == 1 else "changing", []).append(m)
        for meter, group in sorted(others.items()):
            heads = [m.heads for m in group]
            name = f"{folder.name}, {len(group)} others"
            lines.append(f"| {name} | {meter} | {sum(m.notes for m in group)} | {statistics.mean(heads):.3f}, at most {max(heads):.3f} | |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or put it between its marks in a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--write", type=Path, help="a Markdown file with the two marks; the table between them is replaced")
    arguments = parser.parse_args()
    text = table(arguments.folders)
    if arguments.write is None:
        print(text)
        return
    before, _, rest = arguments.write.read_text(encoding="utf-8").partition(START)
    write_whole(arguments.write, f"{before}{START}\n{text}\n{END}{rest.partition(END)[2]}".encode())


if __name__ == "__main__":
    main()
