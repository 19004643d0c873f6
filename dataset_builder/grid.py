"""How many notes of a file stand beside the grid of 24 ticks a quarter, and were rounded onto it by the reader."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tokenization.vocabulary import TICKS_PER_QUARTER


@lru_cache(maxsize=100_000)
def _is_off(quarters: str) -> bool:
    top, _, bottom = quarters.partition("/")
    return int(top) * TICKS_PER_QUARTER % int(bottom or 1) != 0


def off_grid(path: Path) -> int:
    """Notes whose onset or duration is no whole number of ticks, grace notes not counted.

    Note tables hold exact fractions and can tell. MIDI and MusicXML cannot: their readers see times that are rounded already,
    so for them the count is 0.
    """
    if path.suffix.lower() != ".tsv":
        return 0
    head, *lines = path.read_text(encoding="utf-8-sig").splitlines()
    names = head.split("\t")
    onset, duration = names.index("onset_q"), names.index("dur_q")
    grace = names.index("grace") if "grace" in names else None
    rows = (line.split("\t") for line in lines if line.strip())
    return sum((_is_off(row[onset]) or _is_off(row[duration])) and (grace is None or row[grace] in ("0", "")) for row in rows)
