"""Note values doubled and halved, in the meter that then fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .note import DURATION, ONSET
from .vocabulary import DURATIONS, parse_meter

if TYPE_CHECKING:
    from .score import Meter

# The meter of a piece whose note values are doubled; a bar of it may hold half of an old bar. What has no
# line has no such meter.
DOUBLED = {
    "2/4": "2/2",
    "3/4": "3/2",
    "4/4": "4/4",
    "2/2": "2/2",
    "3/8": "3/4",
    "6/8": "6/4",
    "12/8": "6/4",
    "6/16": "6/8",
    "12/16": "12/8",
}
HALVED = {
    "3/4": "3/8",
    "4/4": "2/4",
    "2/2": "2/4",
    "3/2": "3/4",
    "6/4": "6/8",
    "6/8": "6/16",
    "12/8": "12/16",
}
# A piece is read with doubled note values where more than this share of its durations has no token and at
# most half as many have none then.
MOST_INEXACT = 0.01


def rescaled(
    array: np.ndarray, meters: Sequence[Meter], double: bool
) -> tuple[np.ndarray, tuple[Meter, ...]] | None:
    """Notes and meters with all note values doubled or halved.

    3/4 becomes 3/2 or 3/8, 6/8 becomes 6/4 or 6/16; where there is no meter of twice the length, a bar
    becomes two of the old one (4/4, 2/2) or of its half (12/8: two bars of 6/4).

    Args:
        array (`int64` of shape `(notes, 4)`), meters: of a score.
        double (`bool`): halved when false.

    Returns:
        new ones, or `None` where no meter fits (9/8), or a time is not a whole number of ticks.
    """
    table = DOUBLED if double else HALVED
    times, changes = array[:, [ONSET, DURATION]], np.array([meter.onset for meter in meters])
    names = [table.get(meter.name) for meter in meters]
    if None in names or (not double and ((times % 2).any() or (changes % 2).any())):
        return None
    array = array.copy()
    array[:, [ONSET, DURATION]] = times * 2 if double else times // 2
    changed = []
    for meter, name in zip(meters, names, strict=True):
        top, bottom = parse_meter(name or "")
        onset = meter.onset * 2 if double else meter.onset // 2
        changed.append(meter._replace(onset=onset, numerator=top, denominator=bottom))
    return array, tuple(changed)


def inexact(array: np.ndarray) -> int:
    """How many notes have a duration without a token."""
    return int((~np.isin(array[:, DURATION], DURATIONS)).sum())
