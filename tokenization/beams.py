"""Beams and the brackets of tuplets: which notes of a bar stand under one beam.

Beams show the beat, three eighths in 6/8 and six in 6/4; where a half bar or a half note of 4/4, 2/2 and 3/2
holds nothing shorter than eighths they are joined in fours. In 3/4 and 2/4 eighths stay in pairs, as the
editions of the preludes mostly have them (counted in docs/LOG.md). Between 32nds only the first beam goes on
over an eighth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .note_values import Grid, Window

if TYPE_CHECKING:
    from .notation import Symbol

BEAMS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4}
_QUARTER, _HALF = 24, 48


def beam(symbols: list[Symbol], offset: int, divisions: Grid) -> None:
    """Set the beams of the symbols of one lane in one bar.

    Args:
        symbols (list of `Symbol`): in order of time.
        offset (`int`): ticks of the bar that are missing before its first symbol's bar began (a pickup).
        divisions (`Grid`): of the whole bar.
    """
    stretches = _stretches(symbols, offset, divisions)
    group: list[Symbol] = []
    place = -1
    for symbol in symbols:
        joins = bool(symbol.notes) and symbol.value in BEAMS
        here = next(low for low, high in stretches if low <= symbol.start + offset < high)
        if group and (not joins or here != place):
            _beam_group(group, offset)
            group = []
        place = here
        if joins:
            group.append(symbol)
    _beam_group(group, offset)


def _stretches(symbols: list[Symbol], offset: int, divisions: Grid) -> list[Window]:
    """The bar in stretches, each of which is beamed together; what does not fill one at the end of an odd bar
    belongs to the last."""
    bar = divisions.levels[0]
    wide, narrow = _widths(divisions)
    lows = list(range(0, max(1, bar - wide + 1), wide))
    stretches: list[Window] = []
    for low, high in zip(lows, [*lows[1:], bar], strict=True):
        inside = [s for s in symbols if low <= s.start + offset < high]
        plain = all(
            s.value not in BEAMS or (s.value == "eighth" and not s.triplet and not s.dots) for s in inside
        )
        step = high - low if plain or wide == narrow else narrow
        stretches += [(at, at + step) for at in range(low, high, step)]
    return stretches


def _widths(divisions: Grid) -> tuple[int, int]:
    """Ticks that are beamed together where there is nothing shorter than eighths, and elsewhere."""
    beat = divisions.beat
    if divisions.compound:
        return (beat, beat if beat <= 36 else _QUARTER) if beat <= 72 else (_QUARTER, _QUARTER)
    return (_HALF if _HALF in divisions.levels[1:] else _QUARTER), _QUARTER


def _beam_group(group: list[Symbol], offset: int) -> None:
    """Primary beam over all, further beams over runs, hooks for single notes."""
    if len(group) < 2:
        return
    for level in range(1, 5):
        for i, symbol in enumerate(group):
            if BEAMS[symbol.value] < level:
                continue
            before = i > 0 and _joined(group[i - 1], symbol, level, offset)
            after = i + 1 < len(group) and _joined(symbol, group[i + 1], level, offset)
            if before or after:
                name = "continue" if before and after else "end" if before else "begin"
            else:  # a hook points to what completes the longer value: backwards after a dotted note
                completes = (symbol.start + offset) % (2 * symbol.ticks) > 0
                name = "backward hook" if i > 0 and (completes or i + 1 == len(group)) else "forward hook"
            symbol.beams.append(name)


def _joined(one: Symbol, other: Symbol, level: int, offset: int) -> bool:
    """Whether the beam of a level goes on from a note to the next one under the same first beam: between
    32nds and shorter notes only the first goes over an eighth's place.
    """
    counts = (BEAMS[one.value], BEAMS[other.value])
    at_eighth = (other.start + offset) % (_QUARTER // 2) == 0
    return min(counts) >= level and not (level > 1 and min(counts) > 2 and at_eighth)


def beam_groups(symbols: list[Symbol]) -> list[list[Symbol]]:
    """The symbols of a lane in order, those under one beam together, every other one alone."""
    groups: list[list[Symbol]] = []
    for symbol in symbols:
        if symbol.beams and symbol.beams[0] in ("continue", "end"):
            groups[-1].append(symbol)
        else:
            groups.append([symbol])
    return groups


def mark_tuplets(symbols: list[Symbol], windows: list[Window]) -> None:
    """Set the ends of each tuplet, once its beams are known: it needs a bracket unless one beam covers it and
    nothing else."""
    for low, high in windows:
        inside = [s for s in symbols if s.triplet and low <= s.start and s.start + s.ticks <= high]
        for symbol in inside:
            symbol.triplet = {3: "64th", 6: "32nd", 12: "16th", 48: "quarter"}.get(high - low, "eighth")
        if inside:
            inside[0].tuplet = "start"
            inside[-1].tuplet = "stop" if len(inside) > 1 else ""
            inside[0].bracket = not all(s.beams for s in inside)
