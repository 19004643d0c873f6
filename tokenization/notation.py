"""From notes to what an engraver writes: bars of lanes of symbols.

Which staff a note stands on is decided in `hands`, how values are cut in `note_values`, which silences are
printed in `rests`, beams in `beams`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from .beams import beam, mark_tuplets
from .clefs import LOWER, UPPER, Clefs
from .hands import LANES, deal
from .note_values import PLAIN, TRIPLET, grid, pieces, triplet_windows
from .rests import Event, LaneName, Segment, with_rests
from .score import DURATION, ONSET, VOICE, Meter, Score
from .vocabulary import MAX_VOICES


@dataclass
class Symbol:
    """One written note, chord or rest.

    Attributes:
        start (`int`), ticks (`int`): place in the bar and length.
        notes (list of `int`): rows of `score.array`, highest first; empty for a rest.
        value (`str`), dots (`int`): the written value.
        triplet (`str`): the value of which three stand in the time of two; empty outside triplets.
        tuplet (`str`): `"start"` or `"stop"` at the ends of a group.
        bracket (`bool`): whether the group that starts here needs a bracket.
        tied_from, tied_to (set of `int`): the notes that continue, and those that are continued.
        beams (list of `str`): from the first beam inwards, as MusicXML names them.
        shown (`bool`): whether it is printed; a silence that is none in this lane is not.
    """

    start: int
    ticks: int
    notes: list[int]
    value: str
    dots: int
    triplet: str = ""
    tuplet: str = ""
    bracket: bool = False
    tied_from: frozenset[int] = frozenset()
    tied_to: frozenset[int] = frozenset()
    beams: list[str] = field(default_factory=list)
    shown: bool = True


@dataclass
class Lane:
    """What one voice writes on one staff in one bar. A voice that sounds over itself there needs a second
    lane (number 1 and up)."""

    voice: int
    number: int
    staff: int
    symbols: list[Symbol]


@dataclass
class Bar:
    """A bar: where it begins and ends (ticks of the score), the meter if it changes here, the clef of each
    staff, its lanes from the top."""

    start: int
    end: int
    meter: Meter
    new_meter: bool
    clefs: dict[int, str]
    lanes: list[Lane]

    @property
    def offset(self) -> int:
        """Ticks that an incomplete bar at the beginning lacks: it ends at the bar line, so its beats are
        counted from behind."""
        missing = self.meter.bar_ticks - (self.end - self.start)
        return missing if self.new_meter and missing > 0 else 0


def write_bars(score: Score) -> list[Bar]:
    """Lay out a score (as `sounding` leaves it) in bars; one with a pickup begins with an incomplete bar.

    Notation programs know `LANES` voices a staff, for a whole piece. Where a staff would need more, the
    further lanes that are least used are closed, and what they held is cut into tied chords.
    """
    staves, clefs = deal(score)
    closed = {LaneName(voice, LANES, staff) for voice in range(MAX_VOICES) for staff in (UPPER, LOWER)}
    while True:
        lanes = _lanes(score, staves, closed)
        surplus = _surplus(lanes)
        if not surplus:
            return _lay_out(score, lanes, clefs)
        closed |= surplus


def _lay_out(score: Score, lanes: dict[LaneName, list[Event]], clefs: Clefs) -> list[Bar]:
    """The bars with their lanes."""
    lines = score.bar_lines().tolist()
    starts = [_first_start(score), *lines[1:-1]]
    changes = {meter.onset: meter for meter in score.meters}
    bars, meter = [], score.meters[0]
    for i, (start, end) in enumerate(zip(starts, lines[1:], strict=True)):
        new = i == 0 or lines[i] in changes
        meter = changes.get(lines[i], meter)
        of_staves = {staff: clefs.of(staff, i) for staff in (UPPER, LOWER)}
        bars.append(Bar(start, end, meter, new, of_staves, []))
    for bar, events in zip(bars, _in_bars(bars, lanes), strict=True):
        limits = {voice: _rest_limits(score, bar, voice) for voice in {name.voice for name in events}}
        for name, segments in sorted(with_rests(events, bar.end - bar.start, limits).items()):
            bar.lanes.append(Lane(*name, _write(segments, bar, score.array)))
    return bars


def _in_bars(bars: list[Bar], lanes: dict[LaneName, list[Event]]) -> list[dict[LaneName, list[Event]]]:
    """For each bar the chords of the lanes that sound in it, cut at its bar lines, in ticks from its
    beginning."""
    found: list[dict[LaneName, list[Event]]] = [{} for _ in bars]
    for name, events in lanes.items():
        k = 0
        for onset, end, notes in events:
            while bars[k].end <= onset:
                k += 1
            for bar, inside in zip(bars[k:], found[k:], strict=True):
                if bar.start >= end:
                    break
                inside.setdefault(name, []).append(
                    (max(onset, bar.start) - bar.start, min(end, bar.end) - bar.start, notes)
                )
    return found


def _rest_limits(score: Score, bar: Bar, voice: int) -> tuple[int, int]:
    """Where in a bar the rests of a voice begin and end to be printed: all of it, but for silences of a bar
    and more their beat only."""
    rows = score.array[score.array[:, VOICE] == voice]
    onsets, ends = rows[:, ONSET], rows[:, ONSET] + rows[:, DURATION]
    inside = rows[(ends > bar.start) & (onsets < bar.end)]
    length, offset, beat = bar.end - bar.start, bar.offset, grid(bar.meter).beat
    low, high = 0, length
    if not (ends[ends <= bar.start] > bar.start - length).any():
        entry = max(0, int(inside[:, ONSET].min()) - bar.start)
        low = entry - (entry + offset) % beat
    if not (onsets[onsets >= bar.end] < bar.end + length).any():
        stop = min(length, int((inside[:, ONSET] + inside[:, DURATION]).max()) - bar.start)
        high = stop + -(stop + offset) % beat
    return low, high


def _surplus(lanes: dict[LaneName, list[Event]]) -> set[LaneName]:
    """The further lanes that are least used on a staff with more than `LANES`; main ones are never too
    many.
    """
    surplus: set[LaneName] = set()
    for staff in (UPPER, LOWER):
        used = [name for name in lanes if name.staff == staff]
        further = sorted(
            (name for name in used if name.number), key=lambda name: (len(lanes[name]), -name.number)
        )
        surplus |= set(further[: max(0, len(used) - LANES)])
    return surplus


def _first_start(score: Score) -> int:
    """Where the first bar begins on paper: a pickup in triplets begins with the rest of its beat."""
    pickup = score.pickup
    # A change of meter may cut the first bar short.
    if not pickup or int(score.bar_lines()[1]) != score.meters[0].bar_ticks:
        return 0
    if pickup % 3:
        pickup += -pickup % 24
    return max(0, score.meters[0].bar_ticks - pickup)


def _lanes(score: Score, staves: np.ndarray, closed: set[LaneName]) -> dict[LaneName, list[Event]]:
    """For each voice, staff and lane: its chords, none of which overlap. What would need a closed lane is cut
    into tied chords."""
    lanes: dict[LaneName, list[Event]] = {}
    rows = score.array.tolist()
    for voice, staff in sorted(set(zip(score.array[:, VOICE].tolist(), staves.tolist(), strict=True))):
        inside = [i for i, row in enumerate(rows) if row[VOICE] == voice and staves[i] == staff]
        for cluster in _clusters(_chords(rows, inside)):
            numbers = _numbers(cluster)
            if any(LaneName(voice, number, staff) in closed for number in range(1, max(numbers) + 1)):
                cluster = _tied_chords(cluster)
                numbers = [0] * len(cluster)
            for event, number in zip(cluster, numbers, strict=True):
                lanes.setdefault(LaneName(voice, number, staff), []).append(event)
    return lanes


def _chords(rows: list[list[int]], inside: list[int]) -> list[Event]:
    """Those notes (row numbers) as chords of what begins and ends together, by onset, the longest first."""
    chords: dict[tuple[int, int], list[int]] = {}
    for i in inside:
        chords.setdefault((rows[i][ONSET], rows[i][ONSET] + rows[i][DURATION]), []).append(i)
    return [
        (*times, notes) for times, notes in sorted(chords.items(), key=lambda item: (item[0][0], -item[0][1]))
    ]


def _clusters(events: list[Event]) -> list[list[Event]]:
    """Events in groups that do not overlap each other."""
    clusters: list[list[Event]] = []
    until = -1
    for event in events:
        if event[0] >= until:
            clusters.append([])
        clusters[-1].append(event)
        until = max(until, event[1])
    return clusters


def _numbers(cluster: list[Event]) -> list[int]:
    """The first lane that is free, for each event."""
    free: list[int] = []  # where each lane is free again
    numbers = []
    for onset, end, _ in cluster:
        number = next((k for k, until in enumerate(free) if until <= onset), len(free))
        free[number:] = [end, *free[number + 1 :]]
        numbers.append(number)
    return numbers


def _tied_chords(cluster: list[Event]) -> list[Event]:
    """Overlapping events as one line of chords, cut wherever a note begins or ends."""
    edges = sorted({t for event in cluster for t in event[:2]})
    return [
        (a, b, [i for onset, end, notes in cluster if onset <= a and b <= end for i in notes])
        for a, b in pairwise(edges)
    ]


def _write(segments: list[Segment], bar: Bar, array: np.ndarray) -> list[Symbol]:
    """Written symbols for the segments of a bar, with tuplets and beams."""
    length, offset, divisions = bar.end - bar.start, bar.offset, grid(bar.meter)
    windows = triplet_windows(
        [(start + offset, end + offset) for start, end, _, _ in segments], divisions, offset + length
    )
    symbols: list[Symbol] = []
    for start, end, notes, shown in segments:
        for at, ticks, triplet in pieces(start + offset, end + offset, divisions, windows, is_rest=not notes):
            written = (TRIPLET if triplet else PLAIN)[ticks]
            begins = bar.start + at - offset
            before = frozenset(i for i in notes if array[i, ONSET] < begins)
            after = frozenset(i for i in notes if array[i, ONSET] + array[i, DURATION] > begins + ticks)
            symbol = Symbol(at - offset, ticks, notes, *written, tied_from=before, tied_to=after, shown=shown)
            symbol.triplet = "eighth" if triplet else ""
            symbols.append(symbol)
    beam(symbols, offset, divisions)
    mark_tuplets(symbols, [(a - offset, b - offset) for a, b in windows])
    return symbols


def rests(bar: Bar) -> list[Symbol]:
    """The rests of a bar in which nothing sounds."""
    return _write([Segment(0, bar.end - bar.start, [], True)], bar, np.zeros((0, 4), dtype=np.int64))
