"""The musical score, 0 to 100: how near a piece lies to held-out Bach, family by family, from both sides.

    score = 100 * 2^(-mean_f u_f^2)
    u_f   = sqrt(mean_m d_m^2) / s_f
    d_m   = |x_m - median_m| / half_m

over the families f that are scored (`catalogue.FAMILIES`) and their metrics m that have a value. `median_m`
and `half_m` (the distance from the median to the 5 % or the 95 % quantile, on the side of x, but no less
than the metric's resolution) come from held-out movements of the same form and about the same length; `s_f`
is what 95 % of those movements stay below, but at least 0.5. So a family of u = 1 is as far from Bach's
middle as the most unusual of Bach's own movements, and a piece that is so in every family has 50. d is cut at
4 and u at 3: one bad family cannot hide all others. More is not better than Bach: both sides count.

Of the formulas tried it tells Bach from the composer, and both from an undertrained model under all rules,
from chains and from noise, and leaves other works of Bach near Bach (docs/metrics.md, "Why this one").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tokenization.analysis.view import View, as_view
from tokenization.score import Score

from .catalogue import BY_NAME, FAMILIES, NAMES, measure_all
from .measure import Measure
from .reference import Band, Table, length_class, table
from .words import WORDS

MIN_COVERAGE = 0.5  # share of the scored metrics with a band that must have a value
FARTHEST, FARTHEST_FAMILY = 4.0, 3.0  # where d and u are cut
SPREAD, LEAST_SPREAD = 0.95, 0.5  # quantile that s_f is, and the least that it can be


@dataclass(frozen=True)
class Judged:
    """One metric of one piece beside Bach's band.

    Attributes:
        value (`float` or `None`), reason (`str` or `None`): as in `Measure`.
        low, median, high (`float` or `None`), n (`int`): Bach's band (5 %, 50 %, 95 % of n movements).
        typicality (`float` or `None`): `2^(-d^2)`, 1 at Bach's median.
        outside (`bool`): whether the value lies outside the band by more than a tenth of the metric's
            resolution.
        distance (`float` or `None`): d, cut.
        scored (`bool`): whether it enters the musical score.
    """

    value: float | None
    reason: str | None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    n: int = 0
    typicality: float | None = None
    outside: bool = False
    distance: float | None = None
    scored: bool = False


@dataclass(frozen=True)
class MusicalScore:
    """What `musical_score` found.

    Attributes:
        value (`float` or `None`): 0 to 100;
        reason (`str` or `None`): why there is none.
        metrics (dict of `str` to `Judged`): every metric of the catalogue, in its order.
        families (dict of `str` to `float`): u of each scored family that has a value; below 1 is within Bach.
        weakest (`str` or `None`): what lets the piece down most, in words; `None` where every family is
            within Bach.
        voicing (`str`): on what voices the metrics ran: `"as in the score"` or `"inferred"`.
        compared_with (`str`): which movements the bands come from.
        notes (`int`): length of the piece.
    """

    value: float | None
    reason: str | None
    metrics: dict[str, Judged]
    families: dict[str, float]
    weakest: str | None
    voicing: str
    compared_with: str
    notes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


class Yardstick(NamedTuple):
    """What a piece is measured by: bands of the metrics, and s of the families."""

    bands: dict[str, Band]
    spreads: dict[str, float]


def yardstick(values: Table, form: str | None, length: str, without: Sequence[int] = ()) -> Yardstick:
    """The yardstick of a table: of the movements of a form and length, some key numbers left out."""
    known = values.bands(form, length, without)
    rows = values.rows(length)[values.select(form, without)]
    distances = np.full(rows.shape, np.nan)
    for i, name in enumerate(values.names):
        if name in known:
            distances[:, i] = [_distance(name, value, known[name]) for value in rows[:, i]]
    spreads = {}
    for family, scored in FAMILIES.items():
        mine = distances[:, [BY_NAME[name].family == family for name in values.names]]
        mine = mine[~np.isnan(mine).all(axis=1)]
        if scored and len(mine):
            own = np.sqrt(np.nanmean(mine**2, axis=1))
            spreads[family] = max(LEAST_SPREAD, float(np.quantile(own, SPREAD)))
    return Yardstick(known, spreads)


@lru_cache(maxsize=32)
def shipped_yardstick(form: str | None, length: str) -> Yardstick:
    """The yardstick of the shipped table."""
    return yardstick(table(), form, length)


def _distance(name: str, value: float, band: Band) -> float:
    return float("nan") if np.isnan(value) else min(FARTHEST, band.distance(value, BY_NAME[name].resolution))


def judge(name: str, measure: Measure, band: Band | None) -> Judged:
    """A measured value beside its band."""
    scored = BY_NAME[name].scored
    if band is None:
        return Judged(measure.value, measure.reason or "too few movements have it for a band", scored=scored)
    if measure.value is None:
        return Judged(None, measure.reason, *band, scored=scored)
    slack = 0.1 * BY_NAME[name].resolution
    distance = _distance(name, measure.value, band)
    outside = not band.low - slack <= measure.value <= band.high + slack
    return Judged(
        measure.value,
        None,
        *band,
        typicality=2.0 ** -(distance**2),
        outside=outside,
        distance=distance,
        scored=scored,
    )


def families_of(judged: Mapping[str, Judged], spreads: Mapping[str, float]) -> dict[str, float]:
    """u of each family that has a value."""
    found = {}
    for family, spread in spreads.items():
        known = [
            j.distance
            for name, j in judged.items()
            if BY_NAME[name].family == family and j.distance is not None
        ]
        if known:
            found[family] = min(FARTHEST_FAMILY, float(np.sqrt(np.mean(np.square(known)))) / spread)
    return found


def combine(judged: Mapping[str, Judged], families: Mapping[str, float]) -> Measure:
    """The formula of the musical score over the families."""
    asked = [j for j in judged.values() if j.scored and j.n]
    known = sum(j.distance is not None for j in asked)
    if not families or known < MIN_COVERAGE * len(asked):
        return Measure(None, f"only {known} of {len(asked)} metrics have a value, too few to judge by")
    return Measure(100 * 2.0 ** -float(np.mean(np.square(list(families.values())))))


def weakest(judged: Mapping[str, Judged], families: Mapping[str, float]) -> str | None:
    """What lets a piece down most, in words: the farthest metric of the farthest family that is outside of
    Bach.
    """
    far = {family: u for family, u in families.items() if u > 1}
    if not far:
        return None
    family = max(far, key=lambda name: far[name])
    name, one = max(
        ((n, j) for n, j in judged.items() if BY_NAME[n].family == family and j.distance is not None),
        key=lambda pair: pair[1].distance or 0.0,
    )
    return WORDS[name][(one.value or 0.0) > (one.median or 0.0)]


def score_of(measures: Mapping[str, Measure], by: Yardstick) -> Measure:
    """The musical score of measures alone."""
    judged = judge_all(measures, by.bands)
    return combine(judged, families_of(judged, by.spreads))


def judge_all(measures: Mapping[str, Measure], reference: Mapping[str, Band]) -> dict[str, Judged]:
    """All metrics of a piece beside the bands."""
    return {name: judge(name, measures[name], reference.get(name)) for name in NAMES}


def musical_score(score: Score | View, measures: Mapping[str, Measure] | None = None) -> MusicalScore:
    """Measure a piece and compare it with held-out Bach.

    Args:
        score (`Score` or `View`): any; its form (prelude or fugue), if it has one, chooses the movements to
            compare with. It should have the key that it is meant to be in: without one, what needs a key is
            left out.
        measures (mapping of `str` to `Measure`, *optional*): what `measure_all` found, if that is done
            already.
    """
    view = as_view(score)
    form, notes = view.score.form, len(view.array)
    length = length_class(notes)
    by = shipped_yardstick(form, length)
    judged = judge_all(measures or measure_all(view), by.bands)
    families = families_of(judged, by.spreads)
    result = combine(judged, families)
    n = max((j.n for j in judged.values()), default=0)
    what = {"prelude": "preludes", "fugue": "fugues", None: "movements"}[form]
    compared = f"{n} held-out {what}" + ("" if length == "whole" else f", first {length} notes")
    return MusicalScore(
        result.value,
        result.reason,
        judged,
        families,
        weakest(judged, families),
        view.voicing,
        compared,
        notes,
    )
