"""`Measure`: a value, or an explicit null with its reason. No metric of this package ever returns NaN."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """What a metric found.

    Attributes:
        value (`float` or `None`): always finite; `None` where the metric is not defined.
        reason (`str` or `None`): why there is no value, in words.
    """

    value: float | None
    reason: str | None = None


def nothing(reason: str) -> Measure:
    """No value, and why."""
    return Measure(None, reason)


def ratio(part: float, whole: float, reason: str, scale: float = 1.0) -> Measure:
    """`scale * part / whole`, or the reason why there is none when `whole` is 0."""
    return Measure(scale * float(part) / float(whole)) if whole else nothing(reason)


__all__ = ["Measure", "nothing", "ratio"]
