"""The text of `docs/metrics.md` and of Bach's values in the card of `musical_metrics` (`benchmarks.measures`)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from musical_metrics import score
from musical_metrics.catalogue import FAMILIES, METRICS, Metric
from musical_metrics.compare import auc, bach_scores
from musical_metrics.reference import WHOLE, bands, table
from musical_metrics.tables import number

SET_NAMES = {
    "bach": "Bach, held out",
    "inventions": "Bach's inventions",
    "sinfonias": "Bach's sinfonias",
    "art_of_fugue": "The Art of Fugue",
    "organ": "Bach for the organ",
    "shipped": "shipped weights, rules",
    "shipped_alone": "shipped weights alone",
    "undertrained": "undertrained, rules",
    "undertrained_alone": "undertrained alone",
    "markov": "first-order Markov",
    "shuffled": "shuffled Bach",
}
MARKS = ("<!-- values from Bach: made by python -m benchmarks.measures -->", "<!-- end of the values -->")
DRAWS = 2000


def markdown(rows: Sequence[Sequence[str]], right_from: int = 1) -> str:
    """Rows of cells, the first the head, as a Markdown table whose columns from `right_from` on are aligned
    to the right.
    """
    rule = ["---" if i < right_from else "---:" for i in range(len(rows[0]))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:]))


def _drawn(values: np.ndarray, groups: Sequence[Any], rng: np.random.Generator) -> np.ndarray:
    """Values of groups drawn with replacement."""
    kinds, place = np.unique([str(group) for group in groups], return_inverse=True)
    picked = rng.integers(0, len(kinds), len(kinds))
    return np.concatenate([values[place == k] for k in picked])


def auc_interval(
    bach: np.ndarray, bach_groups: Sequence[Any], other: np.ndarray, groups: Sequence[Any]
) -> str:
    """AUC of Bach above the other set with its 95 % interval over drawn pieces (of Bach's: key numbers)."""
    rng = np.random.default_rng(0)
    found = [
        auc(_drawn(bach, bach_groups, rng), _drawn(other, groups, rng)).value or 0.0
        for _ in range(DRAWS // 10)
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{auc(bach, other).value or 0.0:.3f} ({low:.2f} to {high:.2f})"


def score_table(sets: dict[str, Any], values: dict[str, np.ndarray]) -> str:
    """Who scores what."""
    rows = [["set", "n", "median", "5 % to 95 %", "AUC, Bach above"]]
    for name in SET_NAMES:
        if name in sets:
            known = values[name][~np.isnan(values[name])]
            apart = (
                ""
                if name == "bach"
                else auc_interval(values["bach"], sets["bach"].groups, values[name], sets[name].groups)
            )
            low, high = np.quantile(known, [0.05, 0.95])
            rows.append(
                [
                    SET_NAMES[name],
                    str(len(known)),
                    f"{np.median(known):.1f}",
                    f"{low:.1f} to {high:.1f}",
                    apart,
                ]
            )
    return markdown(rows)


def candidate_table(sets: dict[str, Any], found: dict[str, dict[str, np.ndarray]]) -> str:
    """AUC of Bach above every set, by candidate."""
    shown = [name for name in SET_NAMES if name in sets and name != "bach"]
    rows = [["candidate", *(SET_NAMES[name] for name in shown)]]
    for candidate, values in found.items():
        cells = [f"{auc(values['bach'], values[name]).value or 0.0:.2f}" for name in shown]
        rows.append([candidate, *cells])
    return markdown(rows)


def family_table(families: dict[str, np.ndarray]) -> str:
    """Median u of each family and set."""
    names = [family for family, scored in FAMILIES.items() if scored]
    shown = [name for name in SET_NAMES if name in families]
    rows = [["family", *(SET_NAMES[name] for name in shown)]]
    for i, family in enumerate(names):
        cells = []
        for name in shown:
            known = families[name][:, i][~np.isnan(families[name][:, i])]
            cells.append(f"{np.median(known):.2f}" if len(known) else "-")
        rows.append([family, *cells])
    return markdown(rows)


def _interval(values: np.ndarray) -> str:
    """Median and its 95 % bootstrap interval."""
    values = values[~np.isnan(values)]
    if len(values) < 3:
        return "-"
    drawn = values[np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))]
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return f"{number(float(np.median(values)))} ({number(float(low))} to {number(float(high))})"


def metric_table(sets: dict[str, Any]) -> str:
    """Medians of every metric; Bach's with its interval."""
    shown = [name for name in SET_NAMES if name in sets and name != "bach"]
    rows = [["metric", "unit", "family", "Bach", *(SET_NAMES[name] for name in shown)]]
    for i, metric in enumerate(METRICS):
        cells = []
        for name in shown:
            known = sets[name].rows[:, i][~np.isnan(sets[name].rows[:, i])]
            cells.append(number(float(np.median(known))) if len(known) else "-")
        rows.append([metric.title, metric.unit, metric.family, _interval(sets["bach"].rows[:, i]), *cells])
    return markdown(rows, right_from=3)


def _formula(metric: Metric) -> str:
    """What the function of a metric says of it, its arguments left out."""
    function = metric.function
    fixed = function.keywords if isinstance(function, partial) else {}
    function = function.func if isinstance(function, partial) else function
    text = inspect.cleandoc(function.__doc__ or "").split("\nArgs:")[0]
    text = re.sub(r"\s*\n\s*", " ", text).strip()
    arguments = ", ".join(f"{name}={value}" for name, value in fixed.items())
    return f"- **{metric.title}** (`{metric.name}`{', ' + arguments if arguments else ''}). {text}"


def formulas() -> str:
    """All metrics by family, each function once."""
    parts = []
    for family, scored in FAMILIES.items():
        lines, seen = [], set()
        for metric in METRICS:
            function = getattr(metric.function, "func", metric.function)
            if metric.family == family and function not in seen:
                seen.add(function)
                lines.append(_formula(metric))
        parts.append(
            f"### {family.capitalize()}{'' if scored else ' (reported, not scored)'}\n\n" + "\n".join(lines)
        )
    return "\n\n".join(parts)


def card(text: str) -> str:
    """The card with its table of Bach's values renewed.

    Raises:
        ValueError: if the card has lost the marks around its table.
    """
    if any(mark not in text for mark in MARKS):
        raise ValueError(f"The card lacks {MARKS[0]!r} and {MARKS[1]!r} around its table; put them back.")
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    rows = [["metric", "unit", "fugues: median (5 % to 95 %)", "preludes: median (5 % to 95 %)"]]
    both = [bands("fugue"), bands("prelude")]
    for metric in METRICS:
        cells = [
            f"{number(b.median)} ({number(b.low)} to {number(b.high)})" if b else "-"
            for b in (found.get(metric.name) for found in both)
        ]
        rows.append([metric.title, metric.unit, *cells])
    own = []
    for form in ("fugue", "prelude"):
        values = bach_scores(table(), form, WHOLE)
        low, middle, high = np.nanquantile(values, [0.05, 0.5, 0.95])
        own.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
    rows.append(["**musical score**, by cross-validation", "0 to 100", *own])
    return f"{before}{MARKS[0]}\n\n{markdown(rows, right_from=2)}\n\n{MARKS[1]}{after}"


def page(
    sets: dict[str, Any],
    found: dict[str, dict[str, np.ndarray]],
    families: dict[str, np.ndarray],
    nats: float,
) -> str:
    """`docs/metrics.md`.

    Args:
        sets (dict of `measures.Set`), found (candidates by name, then set), families (u by set): what was
        measured.
        nats (`float`): what a note costs the undertrained model.
    """
    return _PAGE.format(
        formula="\n".join(inspect.cleandoc(score.__doc__ or "").splitlines()[2:]),
        scores=score_table(sets, next(iter(found.values()))),
        candidates=candidate_table(sets, found),
        families=family_table(families),
        metrics=metric_table(sets),
        formulas=formulas(),
        nats=nats,
    )


_PAGE = """\
# Musical metrics

Made by `python -m benchmarks.null_models --out SETS` (composes; about five seconds of one core a piece) and `python -m benchmarks.measures --sets SETS` (a minute and a half); do not edit by hand. How to use the metrics: the module's card (`musical_metrics/README.md`) and `musicgpt evaluate --help`.

**A metric never stands alone.** Beside each value stand held-out Bach, other works of Bach, and music that must lose: the model of {nats:.1f} nats a note that `benchmarks.null_models` trains for a few dozen steps, with all rules of the composer and without; each voice's own first-order Markov chain; each voice's pitches in random order (rhythm and voices kept in both). More is not better: the aim is Bach's value.

**Held out** means: each of the 87 movements of train and validation, and the null models made of it, is measured with an n-gram and an originality index that have not seen its key number (prelude and fugue, both books), and judged by the other key numbers. The test split is not touched. The composer's pieces are asked for what Bach's movements are, default settings, seeds in order, none left out.

## The musical score

{formula}

{scores}

The undertrained model lies below the chains because these keep the rhythm, length and voices of Bach's movements, and it keeps nothing of them.

AUC: how often a movement of Bach scores above a piece of the set (0.5: the score cannot tell them apart), with the 95 % interval over drawn pieces and key numbers.

![distance of the families from Bach's middle: Bach, the shipped weights, the undertrained model under the rules, Markov chains](images/metrics_families.png)

Median distance u of each family (1: what 95 % of Bach's movements stay below):

{families}

`musicgpt evaluate` says in words what lets a piece down: the farthest metric of the farthest family ("few cadences inside").

### Why this one

AUC of Bach above each set. Wanted: 1 for noise, chains and the undertrained model, more than a half for the composer, a half for other Bach.

{candidates}

*Mean typicality* is the formula that the score had before, on the metrics that are scored now: it lets one good family pay for a bad one. The *classifier* is a cross-validated ridge regression of Bach against noise, chains and the undertrained model: it tells the composer's pieces from Bach best, but its weights say little to a musician and would have to be fitted again with every change of a metric; `musicgpt evaluate` uses one to tell two sets apart. The *n-gram* is what a note costs an independent model, by which the composer's rules choose: it rates the composer above Bach. The likelihood under the model itself was not tried: no model but ours has one.

The score before this one (a weighted mean over 32 metrics, in which key, leaps and parallels counted) gave a model of 6.6 nats a note under the rules 90.8 points and the shipped weights 83.7. It is gone. The original's six metrics (key, intervals, rhythm, phrases, leaps, parallels) are the family `original`: reported, never scored, and no choice was made by them; its own score, 59.55 for its music and 60.12 for Bach, is on another scale.

## All metrics

Medians; Bach's with its 95 % interval, whole movements of both forms.

{metrics}

## Formulas and sources

{formulas}

## What these metrics cannot hear

Harmony beyond an eighth, a plan of keys, whether a fugue's answer is in the right key. Pitches carry no spelling. The bands come from 44 fugues and 43 preludes of one composer: outside of keyboard counterpoint of that time the score means little. A copy of a movement of the train split scores well; look at the nearest passage. Organ works lose by their pedals, which are no hands.
"""

__all__ = ["SET_NAMES", "card", "page"]
