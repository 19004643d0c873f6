"""The text of `docs/metrics.md` and of the table in the module's card."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from . import score
from .catalogue import FAMILIES, METRICS, Metric
from .tables import number

SET_NAMES = {
    "bach": "Bach, held out",
    "shuffled": "shuffled Bach",
    "markov": "first-order Markov",
    "untrained": "untrained model",
    "model": "the model",
}
MARKS = ("<!-- values from Bach: made by python -m musical_metrics.report -->", "<!-- end of the values -->")


@dataclass(frozen=True)
class MetricRow:
    """One metric over several sets: medians and counts by set, Bach's interval of the median and band,
    AUC of Bach above each other.
    """

    metric: Metric
    medians: Mapping[str, float | None]
    interval: tuple[float, float]
    band: tuple[float, float]
    counts: Mapping[str, int]
    aucs: Mapping[str, float | None]


@dataclass(frozen=True)
class ScoreRow:
    """The musical scores of one set, the AUC of Bach's above them, and the two-sample AUC."""

    form: str | None
    name: str
    scores: np.ndarray
    auc: float | None
    two_sample: float | None


@dataclass(frozen=True)
class Page:
    """All that the page shows."""

    whole: Mapping[str, Sequence[MetricRow]]
    opening: Sequence[MetricRow]
    scores: Mapping[str, Sequence[ScoreRow]]
    originality: np.ndarray
    movements: int


def markdown(rows: Sequence[Sequence[str]], right_from: int = 1) -> str:
    """Rows of cells, the first the head, as a Markdown table whose columns from `right_from` on are
    aligned to the right.
    """
    width = len(rows[0])
    rule = ["---" if i < right_from else "---:" for i in range(width)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:]))


def metric_table(rows: Sequence[MetricRow]) -> str:
    """Medians of all sets, Bach's interval and band, n, and AUCs."""
    others = [name for name in rows[0].medians if name != "bach"]
    head = ["metric", "unit", "Bach: median", "95 % interval", "5 % to 95 %", "n"]
    for name in others:
        head += [SET_NAMES[name], "n", "AUC"]
    table = [head]
    for row in rows:
        cells = [row.metric.title, row.metric.unit, number(row.medians["bach"])]
        cells += [
            f"{number(row.interval[0])} to {number(row.interval[1])}",
            f"{number(row.band[0])} to {number(row.band[1])}",
            str(row.counts["bach"]),
        ]
        for name in others:
            auc = row.aucs[name]
            cells += [number(row.medians[name]), str(row.counts[name]), "-" if auc is None else f"{auc:.2f}"]
        table.append(cells)
    return markdown(table, right_from=2)


def score_table(rows: Sequence[ScoreRow]) -> str:
    """Musical scores by form and set."""
    table = [["form", "set", "n", "median", "5 % to 95 %", "AUC of the score, Bach above", "two-sample AUC"]]
    for row in rows:
        known = row.scores[~np.isnan(row.scores)]
        spread = f"{np.quantile(known, 0.05):.1f} to {np.quantile(known, 0.95):.1f}" if len(known) else "-"
        middle = f"{np.median(known):.1f}" if len(known) else "-"
        tests = ["" if value is None else f"{value:.3f}" for value in (row.auc, row.two_sample)]
        table.append([row.form or "both", SET_NAMES[row.name], str(len(known)), middle, spread, *tests])
    return markdown(table, right_from=2)


def _formula(metric: Metric) -> str:
    """The documentation of a metric's function, its arguments left out, with the fixed arguments of this
    metric.
    """
    function = metric.function
    fixed = function.keywords if isinstance(function, partial) else {}
    function = function.func if isinstance(function, partial) else function
    text = inspect.cleandoc(function.__doc__ or "").split("\nArgs:")[0]
    text = re.sub(r"\s*\n\s*", " ", text).strip()
    arguments = ", ".join(f"{name}={value}" for name, value in fixed.items())
    return (
        f"**{metric.title}** (`{metric.name}`{', ' + arguments if arguments else ''}; {metric.unit}). {text}"
    )


def formulas() -> str:
    """All metrics by family, with what their functions say of them and their weight in the musical score."""
    parts = []
    total = sum(FAMILIES.values())
    for family, share in FAMILIES.items():
        parts.append(f"### {family.capitalize()} ({share / total:.0%} of the musical score)")
        for metric in METRICS:
            if metric.family == family:
                note = "" if metric.scored else " Reported, not scored."
                parts.append(
                    f"- {_formula(metric)} Smallest difference that matters:"
                    f" {number(metric.resolution)}.{note}"
                )
    return "\n\n".join(parts).replace("\n\n- ", "\n- ")


def originality_text(shares: np.ndarray) -> str:
    """The band of the exact originality report."""
    rng = np.random.default_rng(0)
    draws = shares[rng.integers(0, len(shares), (5000, len(shares)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return (
        f"Its baseline here: {len(shares)} windows of 16 beats drawn from the validation movements, each"
        " against every window (hop 8) of the 79 movements of the train split: mean similarity"
        f" **{shares.mean():.3f}**, 95 % interval {low:.3f} to {high:.3f}, highest single window"
        f" {shares.max():.3f}. (Yin et al. had 0.301, 0.278 to 0.329, for string quartets with n = 50, on"
        " spelled pitches.) Originality is 1 minus that. A piece clearly above this band copies."
    )


def _short_table(page: Page) -> str:
    """Bach's bands for the card."""
    table = [["metric", "unit", "fugues: median (5 % to 95 %)", "preludes: median (5 % to 95 %)"]]
    preludes = {row.metric.name: row for row in page.whole["prelude"]}
    for row in page.whole["fugue"]:
        cells = []
        for found in (row, preludes.get(row.metric.name)):
            cells.append(
                "-"
                if found is None
                else f"{number(found.medians['bach'])} ({number(found.band[0])} to {number(found.band[1])})"
            )
        table.append([row.metric.title, row.metric.unit, *cells])
    scores = {row.form: row for row in page.scores["whole movements"] if row.name == "bach"}
    middle = [
        f"{np.nanmedian(s):.1f} ({np.nanquantile(s, 0.05):.1f} to {np.nanquantile(s, 0.95):.1f})"
        for s in (scores["fugue"].scores, scores["prelude"].scores)
    ]
    table.append(["**musical score**, by cross-validation", "0 to 100", *middle])
    return markdown(table, right_from=2)


def render(page: Page, card: str) -> tuple[str, str]:
    """The page, and the card with its table renewed.

    Raises:
        ValueError: if the card has lost the marks around its table.
    """
    if any(mark not in card for mark in MARKS):
        raise ValueError(
            f"The card lacks the marks {MARKS[0]!r} and {MARKS[1]!r} around its table; put them back."
        )
    before, rest = card.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    renewed = f"{before}{MARKS[0]}\n\n{_short_table(page)}\n\n{MARKS[1]}{after}"
    return (
        _TEMPLATE.format(
            movements=page.movements,
            formula="\n".join(inspect.cleandoc(score.__doc__ or "").splitlines()[2:]),
            scores="\n\n".join(
                f"#### {name.capitalize()}\n\n{score_table(rows)}" for name, rows in page.scores.items()
            ),
            fugues=metric_table(page.whole["fugue"]),
            preludes=metric_table(page.whole["prelude"]),
            opening=metric_table(page.opening),
            originality=originality_text(page.originality),
            formulas=formulas(),
        ),
        renewed,
    )


_TEMPLATE = """\
# Musical metrics

Made by `python -m musical_metrics.report`; do not edit by hand. How to use them: the module's
card (`musical_metrics/README.md`) and `musicgpt evaluate --help`.

**A metric never stands alone.** Beside each value stand that of held-out Bach with its interval, that of shuffled Bach (the pitches of
each voice in random order) and of a first-order Markov chain (each voice's pitches from its own chain; rhythm and voices kept in both),
the number of pieces, and the AUC: the probability that a Bach movement has the higher value than a piece of that set. 0.5 means that the metric cannot
tell them apart; 0 and 1 that it always can. More is not better: the aim is Bach's value.

**Held out** means: of {movements} movements (train and validation splits of the Well-Tempered Clavier), each, and the fakes made of it, is measured with an
n-gram and an originality index that have not seen its key number (prelude and fugue, both books), and scored against bands of the other
key numbers. The test split is not touched.

## The musical score

{formula}

Weights: the share of each family stands below; inside a family its scored metrics share alike. Where a metric has no value (parallel
fifths of a melody, the subject of a prelude) the others stand in for it; where less than half of the weight has a value there is no score.
Pieces of fewer than 725 notes are compared with openings of Bach's movements of 128, 256 or 512 notes, because entropies, similarities and
recurrence depend on length; the final cadence always with whole movements. In the tables of openings below it is left out on all sides,
because a cut has no end.

{scores}

The two-sample AUC is that of a logistic regression over all scored metrics, cross-validated by key number. Bach's own median is the
mark to reach, not 100: a piece at the median of everything would be stranger than Bach.

## Whole movements: fugues

{fugues}

## Whole movements: preludes

Their voices are inferred where the source has notation layers only (`tokenization.infer_voices`, at most five), so what depends on voices says
less here.

{preludes}

## Openings of 256 notes: fugues

The untrained model has random weights and samples under the grammar's mask (prefix: fugue, three voices, 4/4, C major or A minor; no cut of the
distribution; `<eos>` held back, since random weights would end each piece after a few notes).

{opening}

## Originality

The index that is shipped (a hash of 20 bits for one in five windows of nine notes, with piece and bar; no pitch, no duration, no voice) gives
the longest shared run and the likeness to passages in the tables above. The exact report of Yin et al. runs on scores at hand
(`musicgpt evaluate FILES --reference DIR`).

{originality}

## Formulas, sources and pitfalls

{formulas}

## What these metrics cannot hear

Five of the six basic metrics (key, intervals, rhythm, phrases, leaps) cannot tell Bach from a Markov chain; only parallels can, which is why they have
less than half of the score. Nothing here hears harmony beyond an eighth, modulation, or whether a fugue's answer is in the right key. Pitches carry no spelling.
The bands come from 44 fugues and 43 preludes of one composer: outside of keyboard counterpoint of that time the score means little. A copy of a
movement of the train split keeps a good score in everything but the family of originality; look at the nearest passage. Broken chords count as
untreated dissonances where a seventh chord falls on a strong beat. The weights of the families and the resolutions were set by hand, once, with the AUCs of the
table in view; they were not fitted.
"""

__all__ = ["MetricRow", "Page", "ScoreRow", "formulas", "markdown", "metric_table", "render", "score_table"]
