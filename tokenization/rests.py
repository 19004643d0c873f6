"""Which silences of a bar are printed as rests.

A voice that has notes in a bar rests where none of them sounds, on the staff on which it goes on, else on the
one on which it stopped. A silence that lasts for a bar and more is left out but for the beat in which the
voice stops or enters, and so is a rest where two other voices sound on the staff. A rest that another voice's
rest covers is not printed. Each staff adds up: what no printed note or rest fills becomes a rest of the voice
that sounded last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# A chord in a bar: beginning, end (ticks in the bar) and notes (rows of `score.array`).
Event = tuple[int, int, list[int]]
Span = tuple[int, int]


class LaneName(NamedTuple):
    """One line of symbols on a staff: a voice, or a further part of one (number 1 and up) that sounds over
    itself."""

    voice: int
    number: int
    staff: int


class Segment(NamedTuple):
    """A chord or a silence of a lane in ticks of the bar; `shown` says of a silence whether it is printed."""

    start: int
    end: int
    notes: list[int]
    shown: bool


def with_rests(
    lanes: dict[LaneName, list[Event]], length: int, limits: dict[int, Span]
) -> dict[LaneName, list[Segment]]:
    """Fill the lanes of a bar.

    Args:
        lanes (dict): the chords of each lane that has any, in order of time; none overlaps another of its
            lane.
        length (`int`): ticks of the bar.
        limits (dict): for each voice that has notes the part of the bar in which its rests are printed.

    Returns:
        For each lane its chords and silences without a gap.
    """
    rests: dict[LaneName, list[Span]] = {name: [] for name in lanes}
    for voice in {name.voice for name in lanes}:
        _rest_voice(
            {name: events for name, events in lanes.items() if name.voice == voice},
            length,
            limits[voice],
            rests,
        )
    for staff in {name.staff for name in lanes}:
        here = {name: events for name, events in lanes.items() if name.staff == staff}
        for name in here:
            rests[name] = _with_room(rests[name], [events for other, events in here.items() if other != name])
        _share_rests(here, rests)
        _fill_staff(here, length, rests)
    return {name: _segments(events, sorted(rests[name]), length) for name, events in lanes.items()}


def _rest_voice(
    lanes: dict[LaneName, list[Event]], length: int, limits: Span, rests: dict[LaneName, list[Span]]
) -> None:
    """Add the rests of one voice to the lanes where they stand."""
    names = sorted(lanes, key=lambda name: name.number)
    for start, end in _gaps([event[:2] for events in lanes.values() for event in events], length):
        after = [name for name in names if any(event[0] == end for event in lanes[name])]
        before = [name for name in names if any(event[1] == start for event in lanes[name])]
        staff = (after or before or names)[0].staff
        if (shown := (max(start, limits[0]), min(end, limits[1])))[0] < shown[1]:
            rests[next(name for name in names if name.staff == staff)].append(shown)


def _with_room(rests: list[Span], others: list[list[Event]]) -> list[Span]:
    """What is left of the rests where fewer than two of the other lanes sound."""
    found: list[Span] = []
    for start, end in rests:
        edges = sorted(
            {start, end} | {t for events in others for event in events for t in event[:2] if start < t < end}
        )
        for a, b in zip(edges, edges[1:], strict=False):
            if sum(any(event[0] <= a and b <= event[1] for event in events) for events in others) < 2:
                if found and found[-1][1] == a:
                    found[-1] = (found[-1][0], b)
                else:
                    found.append((a, b))
    return found


def _share_rests(names: Iterable[LaneName], rests: dict[LaneName, list[Span]]) -> None:
    """Of the rests of a staff those are left out that another voice's rest covers; of equal ones the highest
    voice's stays."""
    longest = sorted((a - b, name, (a, b)) for name in names for a, b in rests[name])
    printed: list[Span] = []
    for _, name, (start, end) in longest:
        if any(a <= start and end <= b for a, b in printed):
            rests[name].remove((start, end))
        else:
            printed.append((start, end))


def _fill_staff(lanes: dict[LaneName, list[Event]], length: int, rests: dict[LaneName, list[Span]]) -> None:
    """Add rests where the staff would otherwise be empty."""
    shown = [event[:2] for events in lanes.values() for event in events] + [
        span for name in lanes for span in rests[name]
    ]
    names = sorted(lanes, key=lambda name: (name.number, name.voice))
    for start, end in _gaps(shown, length):
        before = [name for name in names if any(event[1] == start for event in lanes[name])]
        after = [name for name in names if any(event[0] == end for event in lanes[name])]
        name = (before or after or names)[0]
        joined = [span for span in rests[name] if span[1] == start or span[0] == end]
        rests[name] = [span for span in rests[name] if span not in joined]
        rests[name].append((min([start, *(s for s, _ in joined)]), max([end, *(e for _, e in joined)])))


def _gaps(spans: list[Span], length: int) -> list[Span]:
    """The parts of the bar that no span covers."""
    gaps, now = [], 0
    for start, end in sorted(spans):
        if start > now:
            gaps.append((now, start))
        now = max(now, end)
    return gaps + ([(now, length)] if now < length else [])


def _segments(events: list[Event], rests: list[Span], length: int) -> list[Segment]:
    """Chords, rests and what is left between them."""
    known = sorted([Segment(*event, True) for event in events] + [Segment(*rest, [], True) for rest in rests])
    filled = known + [Segment(*gap, [], False) for gap in _gaps([segment[:2] for segment in known], length)]
    return sorted(filled)


# How far, in steps, the middle of a rest keeps from the heads below and from those above it. Half rests and
# longer are flat, and verovio draws them a line higher than told; those of 32nds have three flags and more.
_DISTANCES = {"whole": (3, 5), "half": (3, 5), "32nd": (6, 6), "64th": (6, 6)}
_USUAL = (4, 4)
_LOWEST, _HIGHEST = 0, 69  # the octaves that MusicXML knows


def rest_place(middle: int, value: str, above: list[int], below: list[int]) -> int | None:
    """Where a rest stands beside other voices, in diatonic steps above C0: out of the way of their heads, on
    a line of the staff or in its raster.

    Args:
        middle (`int`): the middle line of the staff, in the same steps.
        value (`str`): its written value, as MusicXML names it.
        above, below (lists of `int`): steps of the heads that sound meanwhile in the voices above and below.

    Returns:
        The step; `None`, the middle of the staff, where nothing sounds beside it.
    """
    from_below, from_above = _DISTANCES.get(value, _USUAL)
    if above and len(above) >= len(below):
        place = min(middle - 2, min(above) - from_above)
        return max(_LOWEST + (middle - _LOWEST) % 2, place - (place - middle) % 2)
    if below:
        place = max(middle + 2, max(below) + from_below)
        return min(_HIGHEST - (_HIGHEST - middle) % 2, place + (place - middle) % 2)
    return None
