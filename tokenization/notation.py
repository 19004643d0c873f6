"""From notes to what an engraver writes: bars of lanes of symbols. How values are cut stands in `note_values`, beams in `beams`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from .beams import beam, mark_tuplets
from .note_values import PLAIN, TRIPLET, grid, pieces, triplet_windows
from .score import DURATION, ONSET, PITCH, VOICE, Meter, Score
from .vocabulary import MAX_VOICES

LANES = 4  # voices a staff, as notation programs have them
MIDDLE = 60  # a middle voice whose bar lies lower than this on average goes to the lower staff


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


@dataclass
class Lane:
    """What one voice writes in one bar. A voice that sounds over itself needs a second lane (number 1 and up)."""

    voice: int
    number: int
    staff: int
    symbols: list[Symbol]


@dataclass
class Bar:
    """A bar: where it begins and ends (ticks of the score), the meter if it changes here, its lanes from the top."""

    start: int
    end: int
    meter: Meter
    new_meter: bool
    lanes: list[Lane]


def write_bars(score: Score) -> list[Bar]:
    """Lay out a score (as `sounding` leaves it) in bars; one with a pickup begins with an incomplete bar.

    Notation programs know `LANES` voices a staff, for a whole piece. Where a staff would need more, the further lanes that are least used
    are closed, and what they held is cut into tied chords.
    """
    closed = {(voice, LANES) for voice in range(MAX_VOICES)}
    while True:
        bars = _lay_out(score, closed)
        surplus = _surplus(bars)
        if not surplus:
            return bars
        closed |= surplus


def _lay_out(score: Score, closed: set[tuple[int, int]]) -> list[Bar]:
    """The bars, without the lanes (voice and number) that are closed."""
    lines = score.bar_lines().tolist()
    starts = [_first_start(score), *lines[1:-1]]
    lanes = _lanes(score, closed)
    changes = {meter.onset: meter for meter in score.meters}
    bars, meter = [], score.meters[0]
    for i, (start, end) in enumerate(zip(starts, lines[1:], strict=True)):
        new = i == 0 or lines[i] in changes
        meter = changes.get(lines[i], meter)
        bars.append(Bar(start, end, meter, new, []))
    for (voice, number), events in sorted(lanes.items()):
        _fill(score, bars, events, voice, number)
    _assign_staves(score, bars)
    return bars


def _surplus(bars: list[Bar]) -> set[tuple[int, int]]:
    """The further lanes (voice and number) that are least used on a staff with more than `LANES`; main lanes are never too many."""
    surplus: set[tuple[int, int]] = set()
    for staff in (1, 2):
        used = Counter((lane.voice, lane.number) for bar in bars for lane in bar.lanes if lane.staff == staff)
        further = sorted((name for name in used if name[1]), key=lambda name: (used[name], -name[1]))
        surplus |= set(further[: max(0, len(used) - LANES)])
    return surplus


def _first_start(score: Score) -> int:
    """Where the first bar begins on paper: a pickup in triplets begins with the rest of its beat."""
    pickup = score.pickup
    if not pickup or int(score.bar_lines()[1]) != score.meters[0].bar_ticks:  # a change of meter cuts the first bar short
        return 0
    if pickup % 3:
        pickup += -pickup % 24
    return max(0, score.meters[0].bar_ticks - pickup)


# A chord: onset, end and notes.
Event = tuple[int, int, list[int]]


def _lanes(score: Score, closed: set[tuple[int, int]]) -> dict[tuple[int, int], list[Event]]:
    """For each voice and lane: its chords, none of which overlap. What would need a closed lane is cut into tied chords."""
    lanes: dict[tuple[int, int], list[Event]] = {}
    rows = score.array.tolist()
    for voice in sorted({row[VOICE] for row in rows}):
        for cluster in _clusters(_chords(rows, voice)):
            numbers = _numbers(cluster)
            if any((voice, number) in closed for number in range(1, max(numbers) + 1)):
                cluster = _tied_chords(cluster)
                numbers = [0] * len(cluster)
            for event, number in zip(cluster, numbers, strict=True):
                lanes.setdefault((voice, number), []).append(event)
    return lanes


def _chords(rows: list[list[int]], voice: int) -> list[Event]:
    """The notes of a voice that begin and end together, by onset, the longest first."""
    chords: dict[tuple[int, int], list[int]] = {}
    for i, row in enumerate(rows):
        if row[VOICE] == voice:
            chords.setdefault((row[ONSET], row[ONSET] + row[DURATION]), []).append(i)
    return [(*times, notes) for times, notes in sorted(chords.items(), key=lambda item: (item[0][0], -item[0][1]))]


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
        (a, b, [i for onset, end, notes in cluster if onset <= a and b <= end for i in notes]) for a, b in pairwise(edges)
    ]


def _fill(score: Score, bars: list[Bar], events: list[Event], voice: int, number: int) -> None:
    """Cut one lane at the bar lines and write each bar in which it sounds."""
    k = 0
    for bar in bars:
        while k < len(events) and events[k][1] <= bar.start:
            k += 1
        j = k
        while j < len(events) and events[j][0] < bar.end:
            j += 1
        if j > k:
            bar.lanes.append(Lane(voice, number, 1, _write(_segments(bar, events[k:j]), bar, score.array)))


def _segments(bar: Bar, events: list[Event]) -> list[Event]:
    """Chords and the rests between them, in ticks from the bar's start."""
    segments: list[Event] = []
    now = bar.start
    for onset, end, notes in events:
        start, stop = max(onset, bar.start), min(end, bar.end)
        if start > now:
            segments.append((now - bar.start, start - bar.start, []))
        segments.append((start - bar.start, stop - bar.start, notes))
        now = stop
    if now < bar.end:
        segments.append((now - bar.start, bar.end - bar.start, []))
    return segments


def _write(segments: list[Event], bar: Bar, array: np.ndarray) -> list[Symbol]:
    """Written symbols for the segments of a bar, with tuplets and beams."""
    length = bar.end - bar.start
    divisions = grid(bar.meter)
    # An incomplete bar at the beginning ends at the bar line, so its beats are counted from behind.
    offset = (-length) % bar.meter.bar_ticks if bar.new_meter and length < bar.meter.bar_ticks else 0
    windows = triplet_windows([(start + offset, end + offset) for start, end, _ in segments], divisions, offset + length)
    symbols: list[Symbol] = []
    for start, end, notes in segments:
        for at, ticks, triplet in pieces(start + offset, end + offset, divisions, windows, is_rest=not notes):
            value, dots = (TRIPLET if triplet else PLAIN)[ticks]
            begins = bar.start + at - offset
            before = frozenset(i for i in notes if array[i, ONSET] < begins)
            after = frozenset(i for i in notes if array[i, ONSET] + array[i, DURATION] > begins + ticks)
            triplet_of = "eighth" if triplet else ""
            symbols.append(Symbol(at - offset, ticks, notes, value, dots, triplet_of, tied_from=before, tied_to=after))
    beam(symbols, offset, divisions)
    mark_tuplets(symbols, [(a - offset, b - offset) for a, b in windows])
    return symbols


def rests(bar: Bar) -> list[Symbol]:
    """The rests of a bar in which nothing sounds."""
    return _write([(0, bar.end - bar.start, [])], bar, np.zeros((0, 4), dtype=np.int64))


def _assign_staves(score: Score, bars: list[Bar]) -> None:
    """The highest voice stands on the upper staff, the lowest on the lower; those between go where their bar lies.

    A voice stays where it was unless it has clearly moved, and while a note is held over the bar line.
    """
    voices = sorted({lane.voice for bar in bars for lane in bar.lanes})
    pitches = score.array[:, PITCH]
    last: dict[int, int] = {}
    for bar in bars:
        floor = 1
        for voice in sorted({lane.voice for lane in bar.lanes}):
            lanes = [lane for lane in bar.lanes if lane.voice == voice]
            sounding = [i for lane in lanes for symbol in lane.symbols for i in symbol.notes]
            if len(voices) > 1 and voice in (voices[0], voices[-1]):
                staff = 1 if voice == voices[0] else 2
            elif voice in last and any(lane.symbols[0].tied_from for lane in lanes):
                staff = last[voice]
            else:
                limit = MIDDLE + {1: -3, 2: 3}.get(last.get(voice, 0), 0)
                staff = max(floor, 1 if float(np.mean(pitches[sounding])) >= limit else 2)
            floor = max(floor, staff)
            last[voice] = staff
            for lane in lanes:
                lane.staff = staff
