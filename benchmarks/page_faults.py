"""What a player would mark on a page, counted in the MusicXML itself, so that no decision of the writer is
taken for granted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from tokenization import Score, read_score_bytes
from tokenization.sounding import sounding

_LETTERS = "CDEFGAB"
_LINES = {"G": (30, 38), "F": (18, 26)}  # steps above C0 of the lowest and highest line: E4 to F5, G2 to A3
_MOST_LEDGER_LINES = 3
# Half the height of a rest in steps; those of a half note and more lie on a line.
_REST_HEIGHTS = {"quarter": 3, "eighth": 2, "16th": 3, "32nd": 4, "64th": 5}
_CROWD = 3  # notes at once that one staff does not hold alone


@dataclass
class Faults:
    """Counts of one piece.

    Attributes:
        illegible (`int`): heads with more than three ledger lines where the other staff would need none.
        idle (`int`): bars in which a staff has no note while the other holds three at once.
        collisions (`int`): printed rests that touch a head of the same onset on their staff.
        changed (`bool`): whether our reader finds other notes in the text than were written.
    """

    illegible: int = 0
    idle: int = 0
    collisions: int = 0
    changed: bool = False


@dataclass
class _Mark:
    """A head or a printed rest: onset and end in the bar, its step above C0."""

    start: int
    end: int
    step: int
    rest: str = ""  # its value, where it is one


def page_faults(score: Score, text: str) -> Faults:
    """Count the faults of a score's MusicXML (`musicxml_text(score)`)."""
    found = Faults()
    clefs: dict[int, str] = {}
    for measure in ElementTree.fromstring(text).iter("measure"):
        for clef in measure.iterfind("attributes/clef"):
            clefs[int(clef.get("number") or 1)] = clef.findtext("sign") or ""
        staves: dict[int, list[_Mark]] = defaultdict(list)
        for staff, mark in _marks(measure, clefs):
            staves[staff].append(mark)
        heads = {staff: [m for m in staves[staff] if not m.rest] for staff in (1, 2)}
        for staff in (1, 2):
            found.illegible += sum(
                _ledger_lines(m.step, clefs[staff]) > _MOST_LEDGER_LINES
                and not _ledger_lines(m.step, clefs[3 - staff])
                for m in heads[staff]
            )
            found.idle += not heads[staff] and _most_at_once(heads[3 - staff]) >= _CROWD
            found.collisions += sum(_touches(rest, heads[staff]) for rest in staves[staff] if rest.rest)
    again = read_score_bytes(text.encode(), ".musicxml", key=score.key)
    found.changed = not np.array_equal(again.array, sounding(score).array)
    return found


def _marks(measure: ElementTree.Element, clefs: dict[int, str]) -> Iterator[tuple[int, _Mark]]:
    """Staff and place of all heads and printed rests of a measure."""
    now = start = 0
    for element in measure:
        ticks = int(element.findtext("duration") or 0)
        if element.tag == "backup":
            now -= ticks
        elif element.tag == "forward":
            now += ticks
        elif element.tag == "note":
            if element.find("chord") is None:
                start, now = now, now + ticks
            staff = int(element.findtext("staff") or 1)
            pitch, rest = element.find("pitch"), element.find("rest")
            if pitch is not None:
                yield staff, _Mark(start, start + ticks, _step(pitch, ""))
            elif rest is not None and element.get("print-object") != "no":
                place = (
                    sum(_LINES[clefs[staff]]) // 2
                    if rest.find("display-step") is None
                    else _step(rest, "display-")
                )
                yield staff, _Mark(start, start + ticks, place, element.findtext("type") or "whole")


def _step(element: ElementTree.Element, prefix: str) -> int:
    letter = element.findtext(f"{prefix}step") or "C"
    return 7 * int(element.findtext(f"{prefix}octave") or 0) + _LETTERS.index(letter)


def _ledger_lines(step: int, clef: str) -> int:
    low, high = _LINES[clef]
    return max(0, (low - step) // 2, (step - high) // 2)


def _most_at_once(heads: list[_Mark]) -> int:
    return max((sum(m.start <= head.start < m.end for m in heads) for head in heads), default=0)


def _touches(rest: _Mark, heads: list[_Mark]) -> bool:
    height = _REST_HEIGHTS.get(rest.rest, 1)
    return any(m.start == rest.start and abs(m.step - rest.step) <= height for m in heads)
