"""What the tokens keep of a corpus: `python -m tokenization.round_trip FOLDER... [--write
docs/tokenizer.md]`.

Every piece is read, encoded, decoded, checked to be exactly its quantised score, and compared note by note
with what was read. Where one voice has the same pitch twice at one onset (two stems on one note head), the
tokens hold one note, with the longest duration: such notes are counted as doubled, and the shares are of the
notes that remain. `FOLDER` holds a `catalogue.csv` with the column `note_table` (and `tonic`, `mode`, `kind`
where known) and the tables it names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from . import markdown
from .codec import decode, encode
from .errors import MusicGPTError
from .key import Key
from .note_table import catalogued
from .reading import read_score
from .score import DURATION, ONSET, PITCH, VOICE, Score, without_duplicates
from .token_table import table_command

START, END = "<!-- round trip: begin -->", "<!-- round trip: end -->"
_COLUMNS = ("onset", "pitch", "voice", "duration")


def pieces(folder: Path) -> Iterator[Score]:
    """The pieces of a catalogue that are there, in their declared keys where the catalogue knows tonic and
    mode.
    """
    for row, path in catalogued(folder):
        key = Key(row["tonic"], row["mode"]) if row.get("mode") else None
        form = row.get("kind") if row.get("kind") in ("prelude", "fugue") else None
        yield read_score(path, key=key, form=form)


def kept_notes(score: Score) -> dict[str, int]:
    """How many distinct notes keep their onset; onset and pitch; these and the voice; and all four, after
    encoding and decoding.

    Returns:
        These four counts (`onset`, `pitch`, `voice`, `duration`), `distinct` (how many there are), `doubled`
        (how many more the score holds) and `off_grid` (how many the reader moved onto the grid of 24 ticks a
        quarter, by at most half a tick at each end).

    Raises:
        MusicGPTError: if decoding gives anything but the quantised score.
    """
    decoded = decode(encode(score)).score
    if decoded != score.quantised():
        raise MusicGPTError(f"{score.title}: the decoded score is not the quantised one.")
    normal = score.normalised()
    back = decoded.replace(
        transposition=normal.transposition - score.transposition,
        note_scale=normal.note_scale if score.note_scale is None else None,
        original_meters=normal.original_meters,
    ).restored()
    rows, kept = (
        array[:, [ONSET, PITCH, VOICE, DURATION]].tolist()
        for array in (without_duplicates(score.array), back.array)
    )
    counts = {}
    for width, name in enumerate(_COLUMNS, 1):
        both = Counter(tuple(r[:width]) for r in rows) & Counter(tuple(r[:width]) for r in kept)
        counts[name] = sum(both.values())
    off_grid = sum(int(notice.split()[0]) for notice in score.notices if "onto the grid" in notice)
    return {**counts, "distinct": len(rows), "doubled": len(score) - len(rows), "off_grid": off_grid}


def table(folders: list[Path]) -> str:
    """The Markdown table: a line a piece, a line a folder."""
    rows = []
    for folder in folders:
        total: Counter = Counter()
        for score in pieces(folder):
            counts = kept_notes(score)
            total.update(counts)
            rows.append(_row(score.title or "", counts, _changes(score, counts)))
        rows.append(_row(f"**{folder.name}**", total, ""))
    head = ("piece", "notes", "off the grid", "doubled", *_COLUMNS, "changed by the tokens")
    return markdown.table(head, rows)


def _changes(score: Score, counts: dict[str, int]) -> str:
    """What the tokens changed of the distinct notes, in words."""
    changes = score.quantised_with_changes()[1]
    return changes._replace(durations=counts["voice"] - counts["duration"], duplicates=0).describe()


def _row(name: str, counts: dict[str, int], what: str) -> list[str]:
    numbers = (counts["distinct"] + counts["doubled"], counts["off_grid"], counts["doubled"])
    shares = (_share(counts[column], counts["distinct"]) for column in _COLUMNS)
    return [name, *map(str, numbers), *shares, what]


def _share(part: int, whole: int) -> str:
    """Per cent, never rounded up to 100."""
    return "100 %" if part == whole else f"{min(99.99, 100 * part / max(1, whole)):.2f} %"


def main() -> None:
    """Print the table, or put it between its marks in a file."""
    table_command(__doc__, table, START, END)


if __name__ == "__main__":
    main()
