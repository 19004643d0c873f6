"""What the tokens keep of a corpus: `python -m tokenization.round_trip FOLDER... [--write docs/tokenizer.md]`.

Every piece is read, encoded, decoded, checked to be exactly its quantised score, and compared note by note with what was read.
`FOLDER` holds a `catalogue.csv` with the column `note_table` (and `tonic`, `mode`, `kind` where known) and the tables it names.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .codec import decode, encode
from .errors import MusicGPTError
from .key import Key
from .midi_writer import write_whole
from .reading import read_score
from .score import Score

START, END = "<!-- round trip: begin -->", "<!-- round trip: end -->"
_COLUMNS = ("onset", "pitch", "voice", "duration")


def pieces(folder: Path) -> Iterator[Score]:
    """The pieces of a catalogue that are there, in their declared keys where the catalogue knows tonic and mode."""
    with open(folder / "catalogue.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            path = folder / row["note_table"]
            if row["note_table"] and path.is_file():
                key = Key(row["tonic"], row["mode"]) if row.get("mode") else None
                form = row.get("kind") if row.get("kind") in ("prelude", "fugue") else None
                yield read_score(path, key=key, form=form)


def kept_notes(score: Score) -> dict[str, int]:
    """How many notes keep onset; onset and pitch; these and voice; and all four, after encoding and decoding.

    Raises:
        MusicGPTError: if decoding gives anything but the quantised score.
    """
    decoded = decode(encode(score)).score
    if decoded != score.quantised():
        raise MusicGPTError(f"{score.title}: the decoded score is not the quantised one.")
    back = decoded.transposed(-(score.key.transposition_to_normal() if score.key else 0)).array[:, [0, 2, 3, 1]].tolist()
    rows = score.array[:, [0, 2, 3, 1]].tolist()
    counts = {}
    for width, name in enumerate(_COLUMNS, 1):
        both = Counter(tuple(r[:width]) for r in rows) & Counter(tuple(r[:width]) for r in back)
        counts[name] = sum(both.values())
    return counts


def table(folders: list[Path]) -> str:
    """The Markdown table: a line a piece, a line a folder."""
    lines = ["| piece | notes | onset | pitch | voice | duration | what changed |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for folder in folders:
        total: Counter = Counter()
        for score in pieces(folder):
            counts = kept_notes(score)
            total.update(counts)
            total["notes"] += len(score)
            what = [n for n in score.notices if "onto the grid" in n] + [score.quantised_with_changes()[1].describe()]
            lines.append(_line(score.title or "", len(score), counts, "; ".join(filter(None, what))))
        lines.append(_line(f"**{folder.name}**", total["notes"], total, ""))
    return "\n".join(lines)


def _line(name: str, notes: int, counts: dict[str, int], what: str) -> str:
    shares = " | ".join(_share(counts[column], notes) for column in _COLUMNS)
    return f"| {name} | {notes} | {shares} | {what} |"


def _share(part: int, whole: int) -> str:
    """Per cent, never rounded up to 100."""
    return "100 %" if part == whole else f"{min(99.99, 100 * part / max(1, whole)):.2f} %"


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
