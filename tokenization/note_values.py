"""Written note values: how a note or a rest of so many ticks at a place in the bar is cut into symbols.

The rules were read off the MusicXML editions of the WTC's preludes, by counting how they cut each length at
each place of a bar (docs/LOG.md; `python -m benchmarks.notation` compares). They are the usual ones of
notation; Gould, "Behind Bars" (2011), is the handbook to look them up in.

* A bar is divided into ever smaller levels (`Grid`). In compound meters (6/8, 12/16, 6/4, and 3/8, whose bar
  is a beat) the beat is dotted.
* A note that stays inside a beat is not split where there is a value for it, unless both its ends are finer
  than half the level below the beat.
* A longer note is one symbol if it begins on a place as strong as any that it crosses (a dotted quarter on a
  beat), or if it is a plain syncopation: as much before the place that it crosses as after it, and as long as
  that place's level (eighth, quarter, eighth). In compound meters it must also begin and end on a beat.
* All others are cut at the strongest place inside and tied.
* Rests are stricter: each fills a level of the bar from its beginning, or the first two thirds of a dotted
  beat.

A tick is a 24th of a quarter note, so plain values are the multiples of 3 ticks and triplets make up the
rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from .score import Meter

# Ticks -> (name, dots) of values outside and inside triplets (three in the time of two).
_NAMES = ("64th", "32nd", "16th", "eighth", "quarter", "half", "whole", "breve")
PLAIN = {3 * 2**i // 2: (name, 0) for i, name in enumerate(_NAMES) if i} | {
    9 * 2**i // 4: (name, 1) for i, name in enumerate(_NAMES) if i >= 2
}
TRIPLET = {2**i: (name, 0) for i, name in enumerate(_NAMES[:6])} | {
    3 * 2 ** (i - 1): (name, 1) for i, name in enumerate(_NAMES[:5]) if i
}
_QUARTER = 24

# A piece of a note or rest: place in the bar, ticks, whether in a triplet.
Piece = tuple[int, int, bool]
Window = tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """The divisions of a bar.

    Attributes:
        levels (tuple of `int`): lengths in ticks of the bar and its divisions, each of which divides the one
            before (except where the bar's own length is irregular).
        beat (`int`): ticks of the beat; a quarter at most in simple meters.
        compound (`bool`): whether the beat is dotted.
    """

    levels: tuple[int, ...]
    beat: int
    compound: bool

    @property
    def below_beat(self) -> int:
        """Ticks of the level below the beat: a third of a dotted beat, half of another; at least 1."""
        return next((level for level in self.levels if level < self.beat), max(1, self.beat // 2))

    def strongest_inside(self, start: int, end: int) -> tuple[int, int] | None:
        """The strongest place between two places of the bar, and its level; `None` if there is none.

        Of several alike it is the last where `start` is itself so strong, so that long values come first,
        else the first.
        """
        for level in self.levels:
            first = start - start % level + level
            if first < end:
                last = end - 1 - (end - 1) % level
                return (last if start % level == 0 else first), level
        return None


@lru_cache(maxsize=64)
def _grid(numerator: int, denominator: int, bar: int) -> Grid:
    unit = 4 * _QUARTER // denominator
    compound = numerator % 3 == 0 and (numerator > 3 or denominator >= 8)
    count, size = (numerator // 3, 3 * unit) if compound else (numerator, unit)
    levels = [bar]
    while count % 2 == 0:  # odd divisions are the larger ones: 18/16 is three times two dotted eighths
        size, count = 2 * size, count // 2
    beat_levels = [size]
    smallest = 3 * unit if compound else unit
    while beat_levels[-1] > smallest:
        beat_levels.append(beat_levels[-1] // 2)
    if compound:
        beat_levels.append(unit)
    while beat_levels[-1] % 2 == 0 and beat_levels[-1] > 3:
        beat_levels.append(beat_levels[-1] // 2)
    levels += [level for level in beat_levels if 3 <= level < bar]
    beat = 3 * unit if compound else next((level for level in levels if level <= _QUARTER), bar)
    return Grid(tuple(levels), max(1, beat), compound)


def grid(meter: Meter) -> Grid:
    """The divisions of a bar of this meter."""
    return _grid(meter.numerator, meter.denominator, meter.bar_ticks)


def pieces(start: int, end: int, divisions: Grid, windows: list[Window], is_rest: bool) -> list[Piece]:
    """A note or rest from `start` to `end` (ticks in the bar) as notatable pieces.

    Args:
        divisions (`Grid`): of the bar.
        windows (list of pairs of `int`): where the bar is written in triplets (`triplet_windows`).
        is_rest (`bool`): whether it is a rest.
    """
    cuts = sorted({start, end} | {t for window in windows for t in window if start < t < end})
    found: list[Piece] = []
    for a, b in zip(cuts, cuts[1:], strict=False):
        triplet = any(low <= a and b <= high for low, high in windows)
        found += _triplets(a, b) if triplet else _plain(a, b, divisions, is_rest)
    return found


def _triplets(start: int, end: int) -> list[Piece]:
    """Inside a triplet: the largest values first."""
    found = []
    while start < end:
        ticks = max(t for t in TRIPLET if t <= end - start)
        found.append((start, ticks, True))
        start += ticks
    return found


def _plain(start: int, end: int, divisions: Grid, is_rest: bool) -> list[Piece]:
    """Outside triplets: one value where there is one and it can be read, else cut at the strongest place
    inside."""
    if end <= start:
        return []
    if (end - start) % 3 or start % 3:  # only where the bar line itself is off the grid: written as triplets
        return _triplets(start, end)
    ticks = end - start
    if ticks in PLAIN and (_rest_fits if is_rest else _note_fits)(start, end, divisions):
        return [(start, ticks, False)]
    strongest = divisions.strongest_inside(start, end)
    if strongest is None:
        value = max(t for t in PLAIN if t <= ticks)
        return [(start, value, False), *_plain(start + value, end, divisions, is_rest)]
    cut = strongest[0]
    return _plain(start, cut, divisions, is_rest) + _plain(cut, end, divisions, is_rest)


def _note_fits(start: int, end: int, divisions: Grid) -> bool:
    """Whether a note may be one symbol: see the rules above."""
    strongest = divisions.strongest_inside(start, end)
    if strongest is None:
        return True
    cut, level = strongest
    fits = start % level == 0 or (cut - start == end - cut and end - start == level)
    if level >= divisions.beat:
        return fits and not (divisions.compound and (start % divisions.beat or end % divisions.beat))
    below = divisions.below_beat
    half = below // 2 if below % 2 == 0 else below
    return fits or start % below == 0 or end % below == 0 or (start % half == 0 and end % half == 0)


def _rest_fits(start: int, end: int, divisions: Grid) -> bool:
    """Whether a rest may be one symbol."""
    ticks = end - start
    if ticks in divisions.levels or divisions.strongest_inside(start, end) is None:
        return start % ticks == 0
    return divisions.compound and start % divisions.beat == 0 and ticks == 2 * divisions.below_beat


def triplet_windows(segments: list[tuple[int, int]], divisions: Grid, end: int) -> list[Window]:
    """The stretches of a bar written in triplets, which hold the odd times; none overlaps another.

    Args:
        segments (list of pairs of `int`): beginning and end of each note and rest, in ticks of the bar.
        divisions (`Grid`): of the bar.
        end (`int`): where the bar ends. It begins with the first segment.
    """
    edges = {segments[0][0], end} | {t for segment in segments for t in segment}
    windows: list[Window] = []
    low = segments[0][0]
    for t in sorted(edges):
        if t % 3 and t >= low:
            windows.append(_window(edges, t, low, end, divisions))
            low = windows[-1][1]
    return windows


def _window(edges: set[int], t: int, low: int, high: int, divisions: Grid) -> Window:
    """The smallest of an eighth, a quarter or a half around `t` that begins and ends with a note, else the
    quarter; where the space from `low` to `high`, or a dotted beat, does not hold that one, what it holds."""
    origin = 0
    if divisions.compound:
        origin = t - t % divisions.beat
        low, high = max(low, origin), min(high, origin + divisions.beat)
    for size in (12, 24, 48):
        start = t - (t - origin) % size
        whole = low <= start and start + size <= high
        fits = start in edges and start + size in edges and (size < 48 or _whole_half(edges, start))
        if whole and (fits or (size == 24 and not _whole_half(edges, t - t % 48))):
            return start, start + size
    for size in (12, 6, 3):
        start = t - t % size
        if low <= start and start + size <= high:
            return start, start + size
    return max(low, t - t % 3), min(high, t - t % 3 + 3)  # the bar line itself is off the grid


def _whole_half(edges: set[int], start: int) -> bool:
    """Whether the half note from `start` is divided in quarter-note triplets and nothing else."""
    return (
        start in edges and start + 48 in edges and all(e % 16 == 0 for e in edges if start < e < start + 48)
    )
