"""Reader of note tables: tab-separated text, one note a line, times as exact fractions of a quarter note.

Columns `onset_q`, `dur_q` and `midi` are needed; `voice`, `staff`, `bar_pos_q`, `time_signature` and `grace`
are used where they stand.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

from .errors import ScoreReadError
from .parts import MAX_NOTES, RawScore, is_layer, merge_meters, note_rounding, plural
from .score import Meter
from .vocabulary import TICKS_PER_QUARTER, parse_meter

_NEEDED = ("onset_q", "dur_q", "midi")
_MAX_CELL = 60  # characters of a number; what was read is remembered, so it must not be long


def catalogued(folder: Path) -> list[tuple[dict[str, str], Path]]:
    """The rows of a `catalogue.csv` whose note table (column `note_table`) is there, and its path."""
    with open(folder / "catalogue.csv", encoding="utf-8", newline="") as file:
        rows = [(row, folder / row["note_table"]) for row in csv.DictReader(file) if row["note_table"]]
    return [(row, path) for row, path in rows if path.is_file()]


def _scaled(text: str) -> tuple[int, int]:
    """`"23/8"` quarters in ticks, as numerator and denominator."""
    if len(text) > _MAX_CELL:
        raise ValueError(f"{text[:20]}... of {len(text)} characters")
    top, _, bottom = text.partition("/")
    return int(top) * TICKS_PER_QUARTER, int(bottom or 1)


@lru_cache(maxsize=100_000)
def _ticks(text: str) -> int:
    """`"23/8"` quarters in ticks, rounded to the nearest, halves to even (as Python rounds fractions)."""
    scaled, divisor = _scaled(text)
    whole, rest = divmod(scaled, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole % 2))


@lru_cache(maxsize=100_000)
def _is_beside(text: str) -> bool:
    """Whether a time is no whole number of ticks."""
    scaled, divisor = _scaled(text)
    return scaled % divisor != 0


def read_note_table(data: bytes) -> RawScore:
    """Read a note table.

    Raises:
        ScoreReadError: naming the line that cannot be read.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ScoreReadError(f"The note table is not UTF-8 text: {error}.") from error
    if len(lines) > 2 * MAX_NOTES:
        raise ScoreReadError(f"The note table has {len(lines)} lines; at most {MAX_NOTES} notes are read.")
    header = lines[0].split("\t") if lines else []
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise ScoreReadError(
            f"The note table lacks the column {', '.join(missing)}: its first line must name the columns."
        )
    rows, notices = _rows(lines, header)
    if not rows:
        return RawScore([], [], [], [])

    def column(name: str) -> int | None:
        return header.index(name) if name in header else None

    onsets, durations, pitches = _numbers(rows, header)
    times = [header.index(name) for name in _NEEDED[:2]]
    note_rounding(sum(any(_is_beside(row[i]) for i in times) for row in rows), notices)
    shift, meters = _bars(rows, onsets, column("bar_pos_q"), column("time_signature"), notices)
    voice, staff = column("voice"), column("staff")
    labels = [row[voice] for row in rows] if voice is not None else [""] * len(rows)
    return RawScore(
        [onset + shift for onset in onsets],
        durations,
        pitches,
        labels,
        are_parts=False if any(map(is_layer, set(labels))) else None,
        staves=[row[staff] for row in rows] if staff is not None else None,
        meters=meters,
        notices=notices,
    )


def _rows(lines: list[str], header: list[str]) -> tuple[list[list[str]], list[str]]:
    """The lines as cells, grace notes left out and counted."""
    grace = header.index("grace") if "grace" in header else None
    rows, graces = [], 0
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        row = line.split("\t")
        if len(row) < len(header):
            raise ScoreReadError(
                f"Line {number} of the note table has {len(row)} cells; its head has {len(header)}."
            )
        if grace is not None and row[grace] not in ("0", ""):
            graces += 1
        else:
            rows.append(row)
    return rows, [f"{plural(graces, 'grace note')} left out"] if graces else []


def _numbers(rows: list[list[str]], header: list[str]) -> tuple[list[int], list[int], list[int]]:
    onset, duration, pitch = (header.index(name) for name in _NEEDED)
    try:
        return (
            [_ticks(row[onset]) for row in rows],
            [max(1, _ticks(row[duration])) for row in rows],
            [int(row[pitch]) for row in rows],
        )
    except (ValueError, ZeroDivisionError) as error:
        raise ScoreReadError(
            f"The note table holds a time or pitch that is not a number ({str(error)[:80]}): times are"
            " fractions such as 7/4, pitches 0-127."
        ) from error


def _bars(
    rows: list[list[str]], onsets: list[int], position: int | None, signature: int | None, notices: list[str]
) -> tuple[int, list[Meter]]:
    """How far the onsets move so that 0 is a bar line, and the meters, from each note's place in its bar."""
    first = min(range(len(rows)), key=lambda i: onsets[i])
    try:
        places = [_ticks(row[position]) for row in rows] if position is not None else onsets
        signatures = [parse_meter(row[signature]) for row in rows] if signature is not None else []
    except (ValueError, ZeroDivisionError) as error:
        raise ScoreReadError(
            f"The note table holds a bar position or time signature that is not one ({str(error)[:80]});"
            " write 3/2 and 3/4."
        ) from error
    shift = places[first] - onsets[first] if position is not None else 0
    if not signatures:
        return max(0, shift), []
    changes, now = [(0, *signatures[first])], signatures[first]
    for i in sorted(range(len(rows)), key=lambda i: onsets[i]):
        if signatures[i] != now:
            now = signatures[i]
            changes.append((onsets[i] + shift - (places[i] if position is not None else 0), *now))
    return shift, merge_meters(changes, notices)
