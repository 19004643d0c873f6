"""`Measure`: a value, or an explicit null with its reason. No metric of this package ever returns NaN."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec

from tokenization.analysis.view import View, as_view
from tokenization.key import Key
from tokenization.score import Score

NO_KEY = "no key is declared"
NO_NOTES = "the piece has no notes"
NO_STEPS = "no voice has two notes in a row without a rest between"
ONE_VOICE = "the piece has one voice"
P = ParamSpec("P")


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


def needs_notes(
    metric: Callable[Concatenate[View, P], Measure],
) -> Callable[Concatenate[Score | View, P], Measure]:
    """A metric of pieces with notes, as a function of a `Score` or a `View`."""

    @wraps(metric)
    def measured(score: Score | View, *args: P.args, **kwargs: P.kwargs) -> Measure:
        view = as_view(score)
        return metric(view, *args, **kwargs) if len(view.array) else nothing(NO_NOTES)

    return measured


def needs_voices(
    metric: Callable[Concatenate[View, P], Measure],
) -> Callable[Concatenate[Score | View, P], Measure]:
    """A metric of pieces with two voices or more, as a function of a `Score` or a `View`."""

    @wraps(metric)
    @needs_notes
    def measured(view: View, *args: P.args, **kwargs: P.kwargs) -> Measure:
        return metric(view, *args, **kwargs) if len(view.voices) > 1 else nothing(ONE_VOICE)

    return measured


def needs_key(metric: Callable[[View, Key], Measure]) -> Callable[[Score | View], Measure]:
    """A metric of pieces with notes and a declared key, which it is given."""

    @wraps(metric)
    @needs_notes
    def measured(view: View) -> Measure:
        return metric(view, view.score.key) if view.score.key else nothing(NO_KEY)

    return measured
