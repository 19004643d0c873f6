"""The musical score, 0 to 100: how near a piece lies to held-out Bach, from both sides.

    score = 100 * sum_m w_m 2^(-d_m^2) / sum_m w_m,    d_m = |x_m - median_m| / half_m

over the metrics m that have a value. `median_m` and `half_m` (the distance from the median to the 5 % or the
95 % quantile, on the side of x, but no less than the metric's resolution) come from held-out movements of the
same form and about the same length. A metric at Bach's median gives 1, one at the edge of the band 1/2, one
twice as far 1/16. More is not better than Bach: both sides count.

This is not the scale on which the project's first version had 59.55 for its music and 60.12 for Bach; the two
cannot be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tokenization.score import Score

from .catalogue import BY_NAME, NAMES, measure_all, weights
from .measure import Measure
from .reference import Band, bands, length_class
from .view import View, as_view

MIN_COVERAGE = 0.5  # share of the weight whose metrics must have a value
WEIGHTS = weights()


@dataclass(frozen=True)
class Judged:
    """One metric of one piece beside Bach's band.

    Attributes:
        value (`float` or `None`), reason (`str` or `None`): as in `Measure`.
        low, median, high (`float` or `None`), n (`int`): Bach's band (5 %, 50 %, 95 % of n movements).
        typicality (`float` or `None`): `2^(-d^2)`, 1 at Bach's median.
        outside (`bool`): whether the value lies outside the band by more than a tenth of the metric's
        resolution. weight (`float`): in the musical score; 0 for what is only reported.
    """

    value: float | None
    reason: str | None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    n: int = 0
    typicality: float | None = None
    outside: bool = False
    weight: float = 0.0


@dataclass(frozen=True)
class MusicalScore:
    """What `musical_score` found.

    Attributes:
        value (`float` or `None`): 0 to 100; reason (`str` or `None`): why there is none.
        metrics (dict of `str` to `Judged`): every metric of the catalogue, in its order.
        voicing (`str`): on what voices the metrics ran: `"as in the score"` or `"inferred"`.
        compared_with (`str`): which movements the bands come from.
        notes (`int`): length of the piece.
    """

    value: float | None
    reason: str | None
    metrics: dict[str, Judged]
    voicing: str
    compared_with: str
    notes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def judge(name: str, measure: Measure, band: Band | None) -> Judged:
    """A measured value beside its band."""
    weight = WEIGHTS.get(name, 0.0)
    if band is None:
        return Judged(measure.value, measure.reason or "too few movements have it for a band", weight=weight)
    if measure.value is None:
        return Judged(None, measure.reason, *band, weight=weight)
    slack = 0.1 * BY_NAME[name].resolution
    distance = band.distance(measure.value, BY_NAME[name].resolution)
    outside = not band.low - slack <= measure.value <= band.high + slack
    return Judged(
        measure.value,
        None,
        *band,
        typicality=2.0 ** -(min(distance, 30.0) ** 2),
        outside=outside,
        weight=weight,
    )


def combine(judged: Mapping[str, Judged]) -> Measure:
    """The formula of the musical score over judged metrics."""
    used = [j for j in judged.values() if j.typicality is not None and j.weight > 0]
    total = sum(j.weight for j in used)
    # Weights of metrics that this form has no band of (a prelude's subject) are not missing.
    whole = sum(j.weight for j in judged.values() if j.n)
    if not used or total < MIN_COVERAGE * whole:
        return Measure(
            None,
            f"only {len(used)} of {sum(j.weight > 0 for j in judged.values())} metrics have a value, too few"
            " to judge by",
        )
    return Measure(100 * sum(j.weight * (j.typicality or 0.0) for j in used) / total)


def judge_all(measures: Mapping[str, Measure], reference: Mapping[str, Band]) -> dict[str, Judged]:
    """All metrics of a piece beside the bands."""
    return {name: judge(name, measures[name], reference.get(name)) for name in NAMES}


def musical_score(score: Score | View, measures: Mapping[str, Measure] | None = None) -> MusicalScore:
    """Measure a piece and compare it with held-out Bach.

    Args:
        score (`Score` or `View`): any; its form (prelude or fugue), if it has one, chooses the movements to
        compare with. It should
            have the key that it is meant to be in: without one, what needs a key is left out.
        measures (mapping of `str` to `Measure`, *optional*): what `measure_all` found, if that is done
        already.
    """
    view = as_view(score)
    form, notes = view.score.form, len(view.array)
    length = length_class(notes)
    judged = judge_all(measures or measure_all(view), bands(form, notes))
    result = combine(judged)
    n = max((j.n for j in judged.values()), default=0)
    what = {"prelude": "preludes", "fugue": "fugues", None: "movements"}[form]
    compared = f"{n} held-out {what}" + ("" if length == "whole" else f", first {length} notes")
    return MusicalScore(result.value, result.reason, judged, view.voicing, compared, notes)


__all__ = ["Judged", "MusicalScore", "combine", "judge", "judge_all", "musical_score"]
