"""A set of pieces against Bach, or against another set: medians, AUCs, overlap, and a classifier two-sample
test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tokenization.analysis.view import View, as_view
from tokenization.score import DURATION, ONSET, PITCH, Score

from .catalogue import FAMILIES, METRICS, NAMES, measure_all
from .distances import distances
from .measure import Measure, nothing
from .null_models import markov
from .reference import WHOLE, Table, length_class, table
from .score import musical_score, score_of, yardstick

RIDGE = 1.0
DRAWS = 2000  # of the bootstrap
REPEATS = 3  # dealings of the folds over which the two-sample test is averaged
LEAST_PIECES = 4  # on either side of the two-sample test
PASSAGE = 8  # notes
SCORED = np.array([metric.scored for metric in METRICS])


def feature_rows(scores: Sequence[Score | View]) -> np.ndarray:
    """All metrics of all pieces, shape `(pieces, metrics)` in the order of the catalogue; NaN where there is
    no value.
    """
    return _rows([measure_all(score) for score in scores])


def row_of(measures: Mapping[str, Measure]) -> list[float]:
    """All metrics of a piece in the order of the catalogue, NaN where there is no value."""
    return [np.nan if (value := measures[name].value) is None else value for name in NAMES]


def _rows(measured: Sequence[Mapping[str, Measure]]) -> np.ndarray:
    return np.array([row_of(measures) for measures in measured], dtype=float).reshape(-1, len(NAMES))


def auc(ours: np.ndarray, theirs: np.ndarray) -> Measure:
    """`P(ours > theirs) + P(equal) / 2` over all pairs, NaN left out; 0.5 is blind, 0 and 1 are perfect (Mann
    and Whitney 1947).
    """
    ours, theirs = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
    if not len(ours) or not len(theirs):
        return nothing("one of the sets has no value")
    greater = np.sign(np.subtract.outer(ours, theirs))
    return Measure(float((greater.mean() + 1) / 2))


def _fit_logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ridge logistic regression by Newton's method, classes weighted alike; weights of shape `(features +
    1,)`, the last the bias.
    """
    x = np.column_stack([x, np.ones(len(x))])
    share = y.mean()
    weight = np.where(y, 0.5 / share, 0.5 / (1 - share))
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[-1, -1] = 1e-6
    w = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (weight * (p - y)) + penalty @ w
        hessian = (x * (weight * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ x + penalty
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if np.abs(step).max() < 1e-6:
            break
    return w


def _prepare(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill in what is missing with the median of the fold, standardise, and cut at five deviations."""
    known = ~np.isnan(train).all(axis=0)
    train, test = train[:, known], test[:, known]
    middle = np.nanmedian(train, axis=0) if train.shape[1] else np.zeros(0)
    train, test = np.where(np.isnan(train), middle, train), np.where(np.isnan(test), middle, test)
    spread = np.maximum(train.std(axis=0), 1e-9)
    centre = train.mean(axis=0)
    return np.clip((train - centre) / spread, -5, 5), np.clip((test - centre) / spread, -5, 5)


def _folds(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """A fold for each piece, `(n,)`, pieces of one group, numbered from 0, in the same one."""
    return (rng.permutation(int(groups.max()) + 1) % folds)[groups]


def two_sample_test(
    ours: np.ndarray,
    theirs: np.ndarray,
    their_groups: Sequence[Any] | None = None,
    columns: np.ndarray | None = None,
    folds: int = 6,
    seed: int = 0,
) -> Separation | None:
    """Classifier two-sample test: how well a cross-validated logistic regression tells two sets apart, by the
    AUC over all pieces out of fold, with an interval by a bootstrap over pieces.

    0.5 means that it cannot (the goal for generated music), 1 that it always can; less than 0.5 is chance,
    since what is held out is missing from what is learnt. Lopez-Paz and Oquab, ICLR 2017.

    Args:
        ours, theirs (arrays of shape `(n, metrics)`): from `feature_rows`.
        their_groups (sequence, *optional*): what stays in one fold and is drawn as one, such as Bach's key
            numbers; pieces are drawn else, never notes or bars.
        columns (bool array `(metrics,)`, *optional*): which metrics it sees; the scored ones when not given.
        folds (`int`), seed (`int`): how the groups are dealt out.

    Returns:
        `None` where either set has fewer than four pieces, or no value at all.
    """
    n, m = len(ours), len(theirs)
    columns = SCORED if columns is None else columns
    x = np.concatenate([ours, theirs])[:, columns]
    if min(n, m) < LEAST_PIECES or any(np.isnan(part).all() for part in (x[:n], x[n:])):
        return None
    rng = np.random.default_rng(seed)
    y = np.arange(n + m) < n
    ranks = np.zeros(n + m)
    groups = (
        np.arange(m) if their_groups is None else np.unique(np.asarray(their_groups), return_inverse=True)[1]
    )
    for _ in range(REPEATS):
        fold = np.concatenate([_folds(np.arange(n), folds, rng), _folds(groups, folds, rng)])
        for k in range(folds):
            if len(set(y[fold != k])) == 2 and (fold == k).any():
                train, test = _prepare(x[fold != k], x[fold == k])
                w = _fit_logistic(train, y[fold != k].astype(float))
                ranks[fold == k] += np.column_stack([test, np.ones(len(test))]) @ w
    above = (np.sign(np.subtract.outer(ranks[:n], ranks[n:])) + 1) / 2  # (n, m)
    ours_drawn = rng.multinomial(n, np.full(n, 1 / n), DRAWS) / n  # (draws, n)
    kinds = int(groups.max()) + 1
    # (draws, m)
    theirs_drawn = rng.multinomial(kinds, np.full(kinds, 1 / kinds), DRAWS)[:, groups].astype(float)
    theirs_drawn /= np.maximum(theirs_drawn.sum(axis=1, keepdims=True), 1)
    drawn = (ours_drawn @ above * theirs_drawn).sum(axis=1)
    low, high = np.clip(np.quantile(drawn, [0.025, 0.975]), 0.0, 1.0)
    return Separation(float(above.mean()), float(low), float(high))


def family_separations(
    ours: np.ndarray, theirs: np.ndarray, their_groups: Sequence[Any] | None = None, seed: int = 0
) -> dict[str, Separation]:
    """`two_sample_test` by each family of metrics alone, and by all that are scored together
    (`"all"`).
    """
    sights = {
        family: np.array([metric.family == family for metric in METRICS])
        for family, scored in FAMILIES.items()
        if scored
    }
    found = {
        name: two_sample_test(ours, theirs, their_groups, columns, seed=seed)
        for name, columns in {"all": SCORED, **sights}.items()
    }
    return {name: one for name, one in found.items() if one is not None}


def bach_against_bach(rows: np.ndarray, numbers: Sequence[int], seed: int = 0) -> dict[str, Separation]:
    """The floor: what the same test says of two halves of Bach's key numbers, dealt out at random."""
    kinds = np.unique(numbers)
    half = np.isin(numbers, np.random.default_rng(seed).permutation(kinds)[: len(kinds) // 2])
    return family_separations(rows[half], rows[~half], np.asarray(numbers)[~half].tolist(), seed)


def one_of_each(scores: Sequence[Score | View]) -> list[int]:
    """Which pieces to count: of those that are transpositions or crops of each other only the longest.

    Two pieces are one if nearly all (nine tenths) of the shorter one's passages of eight notes (steps in
    time and pitch, durations) stand in the other.
    """
    passages = [_passages(as_view(score).score) for score in scores]
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: -len(passages[i])):
        mine = passages[i]
        if not mine or all(len(mine & passages[k]) < 0.9 * len(mine) for k in kept):
            kept.append(i)
    return sorted(kept)


def _passages(score: Score) -> set[bytes]:
    array = score.array
    steps = np.column_stack([np.diff(array[:, ONSET]), np.diff(array[:, PITCH]), array[:-1, DURATION]])
    return {steps[i : i + PASSAGE - 1].tobytes() for i in range(len(steps) - PASSAGE + 2)}


@dataclass(frozen=True)
class Separation:
    """How well a classifier tells two sets apart: AUC (0.5 not at all) and its 95 % interval over pieces."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class MetricComparison:
    """One metric over two sets: medians, how many pieces have it, `P(ours > theirs)`, overlap area and
    divergence.
    """

    median: float | None
    n: int
    reference_median: float | None
    reference_n: int
    auc: float | None
    overlap: float | None
    divergence: float | None


@dataclass(frozen=True)
class Comparison:
    """A set of pieces against a reference.

    Attributes:
        metrics (dict of `str` to `MetricComparison`): every metric of the catalogue.
        families, floor, control (dicts of `str` to `Separation`): how well each family, and all together
            (`"all"`), tell the pieces from the reference (`two_sample_test`); two halves of the reference
            from each other; and first-order Markov chains made of the pieces from the reference. Empty for
            fewer than four pieces on either side.
        score (`float` or `None`): median musical score of the pieces; scores (list): of each.
        reference_score (`float` or `None`): median musical score of the reference: Bach's by cross-validation
            over key numbers.
        reference (`str`): what the reference is.
        pieces (`int`): how many;
        alike (`int`): how many more there were that only transpose or crop one of them.
    """

    metrics: dict[str, MetricComparison]
    families: dict[str, Separation]
    floor: dict[str, Separation]
    control: dict[str, Separation]
    score: float | None
    scores: list[float | None]
    reference_score: float | None
    reference: str
    pieces: int
    alike: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def row_measures(row: np.ndarray) -> dict[str, Measure]:
    """A row of features as measures."""
    return {
        n: nothing("not defined for this piece") if np.isnan(x) else Measure(float(x))
        for n, x in zip(NAMES, row, strict=True)
    }


def bach_scores(values: Table, form: str | None, length: str = WHOLE) -> np.ndarray:
    """Bach's own musical scores: each movement measured by those of other key numbers;
    NaN where none, `(movements,)`.
    """
    found = np.full(len(values.ids), np.nan)
    rows = values.rows(length)
    for number in np.unique(values.numbers):
        for which in ("prelude", "fugue"):
            if form not in (None, which):
                continue
            by = yardstick(values, which, length, without=[int(number)])
            for i in np.flatnonzero((values.numbers == number) & (values.forms == which)):
                result = score_of(row_measures(rows[i]), by).value
                found[i] = np.nan if result is None else result
    return found


def _median(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None and not np.isnan(v)]
    return float(np.median(known)) if known else None


@lru_cache(maxsize=16)
def _bach_median(form: str | None, length: str) -> float | None:
    """Bach's own median musical score by the shipped table."""
    return _median(bach_scores(table(), form, length).tolist())


def compare(
    scores: Sequence[Score | View], reference: Sequence[Score | View] | None = None, seed: int = 0
) -> Comparison:
    """Compare a set of pieces with Bach or with another set.

    Args:
        scores (sequence of `Score` or `View`): the pieces.
        reference (sequence of `Score` or `View`, *optional*): the set to compare with; when not given, the
            held-out Bach movements of the shipped table, of the pieces' form (if they all have the same) and
            about their length.
        seed (`int`): deals the folds of the two-sample test.
    """
    counted = one_of_each(scores)
    views = [as_view(scores[i]) for i in counted]
    measured = [measure_all(view) for view in views]
    rows = _rows(measured)
    values = [musical_score(view, measures).value for view, measures in zip(views, measured, strict=True)]
    forms = {view.score.form for view in views}
    form = forms.pop() if len(forms) == 1 else None
    if reference is None:
        length = length_class(int(np.median([len(view.array) for view in views]))) if views else WHOLE
        bach = table()
        keep = bach.select(form) & ~np.isnan(bach.values[length]).all(axis=1)
        theirs, groups = bach.rows(length)[keep], bach.numbers[keep].tolist()
        reference_score = _bach_median(form, length)
        what = f"{int(keep.sum())} held-out {form or 'movement'}s of the Well-Tempered Clavier" + (
            "" if length == WHOLE else f", first {length} notes"
        )
    else:
        reference = [reference[i] for i in one_of_each(reference)]
        theirs, groups = feature_rows(reference), None
        reference_score = _median([musical_score(piece).value for piece in reference])
        what = f"{len(reference)} given pieces"
    chains = (
        [markov(view.score, seed + i) for i, view in enumerate(views)] if len(views) >= LEAST_PIECES else []
    )
    own = list(range(len(theirs))) if groups is None else groups
    return Comparison(
        {name: _compare_metric(rows[:, i], theirs[:, i]) for i, name in enumerate(NAMES)},
        family_separations(rows, theirs, groups, seed),
        bach_against_bach(theirs, own, seed),
        family_separations(feature_rows(chains), theirs, groups, seed),
        _median(values),
        values,
        reference_score,
        what,
        len(views),
        len(scores) - len(views),
    )


def _compare_metric(ours: np.ndarray, theirs: np.ndarray) -> MetricComparison:
    ours, theirs = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
    apart = distances(theirs, ours)
    return MetricComparison(
        float(np.median(ours)) if len(ours) else None,
        len(ours),
        float(np.median(theirs)) if len(theirs) else None,
        len(theirs),
        auc(ours, theirs).value,
        apart.overlap.value,
        apart.divergence.value,
    )
