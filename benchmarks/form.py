"""Form: what pieces do over bars, beside Bach's movements.

    python -m benchmarks.form [--model DIR] [--pieces 100] [--first-seed 0] [--no-rules] [--source ../shared/data/wtc] [--json FILE]
        [--forms prelude,fugue]

Pieces are whole, of default settings and length, asked for what Bach's movements are
(`result_pieces.conditions`), with seeds in order; each counts once. A figure is the mean over pieces (of bars
the median), with the 95 % interval of a bootstrap over pieces (2,000 draws, seed 0).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tokenization import markdown
from tokenization.score import PITCH
from tokenization.vocabulary import FORMS
from training.validate import write_json

from .result_pieces import compose

FAMILIES = ("keys", "recurrence", "fugue", "verticals", "melody", "counterpoint", "playability")
OTHERS = ("rhythmic_variety",)
# What is no metric: title and unit.
OWN = {
    "bars": ("bars, median", "count"),
    "copied_bars": ("bars that are an earlier one note for note", "share of bars"),
    "wide_pieces": ("a hand strikes more than a tenth somewhere", "share of pieces"),
    "dominant_pedal": ("pedal on the dominant in the last eight bars", "bars"),
    "tonic_pedal": ("pedal on the tonic there", "bars"),
    "inversions": ("statements upside down", "count"),
}
# A bar with fewer notes is no copy.
LEAST_NOTES = 3
DRAWS = 2000


def values(scores: Sequence[Any]) -> dict[str, np.ndarray]:
    """Every metric of the families of form and of `OTHERS`, the number of bars and the copied ones: arrays of
    shape `(pieces,)`, NaN where there is no value.
    """
    from musical_metrics.catalogue import METRICS
    from musical_metrics.fugue import inversions
    from musical_metrics.structure import closing_pedal
    from tokenization.analysis.view import View

    views = [View(score) for score in scores]
    found = {"bars": np.array([len(view.bar_lines) - 1.0 for view in views])}
    found["copied_bars"] = np.array([copied_bars(view) for view in views])
    for metric in METRICS:
        if metric.family in FAMILIES or metric.name in OTHERS:
            found[metric.name] = column(metric.function, views)
    found["wide_pieces"] = np.sign(found["wide_hands"])
    found["dominant_pedal"] = column(partial(closing_pedal, degree=7), views)
    found["tonic_pedal"] = column(partial(closing_pedal, degree=0), views)
    found["inversions"] = column(inversions, views)
    return found


def column(measure: Callable[..., Any], views: Sequence[Any]) -> np.ndarray:
    """What a metric says of each piece, `(pieces,)`, NaN for nothing."""
    measured = [measure(view).value for view in views]
    return np.array([np.nan if value is None else value for value in measured])


def copied_bars(view: Any) -> float:
    """Share of the bars that have the pitches of an earlier bar at the same places, and nothing else."""
    bars: list[set[tuple[int, int]]] = [set() for _ in range(len(view.bar_lines) - 1)]
    for bar, place, note in zip(view.bar_of_note, view.place_of_note, view.array, strict=True):
        bars[bar].add((int(place), int(note[PITCH])))
    known = [frozenset(bar) for bar in bars]
    first = {bar: number for number, bar in reversed(list(enumerate(known)))}
    return sum(len(bar) >= LEAST_NOTES and first[bar] < k for k, bar in enumerate(known)) / max(1, len(bars))


def interval(column: np.ndarray, statistic: Callable[..., Any]) -> tuple[float, float, float]:
    """A statistic of a column and its 95 % interval over resampled pieces."""
    drawn = np.random.default_rng(0).integers(0, len(column), size=(DRAWS, len(column)))
    low, high = np.percentile(statistic(column[drawn], axis=1), [2.5, 97.5])
    return float(statistic(column)), float(low), float(high)


def summary(columns: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Of each row its value, interval and how many pieces have one."""
    rows = {}
    for name, column in columns.items():
        known = column[~np.isnan(column)]
        if len(known):
            value, low, high = interval(known, np.median if name == "bars" else np.mean)
            rows[name] = {"value": value, "low": low, "high": high, "n": len(known)}
    return rows


def table(sets: dict[str, dict[str, dict[str, float]]]) -> str:
    """The rows as Markdown, one column a set of pieces."""
    from musical_metrics.catalogue import BY_NAME

    names = list(dict.fromkeys(name for rows in sets.values() for name in rows))
    lines = []
    for name in names:
        title, unit = OWN[name] if name in OWN else (BY_NAME[name].title, BY_NAME[name].unit)
        lines.append((title, unit, *(_cell(rows.get(name)) for rows in sets.values())))
    return markdown.table(("what", "unit", *sets), lines)


def _cell(row: dict[str, float] | None) -> str:
    return f"{row['value']:.3g} ({row['low']:.3g} - {row['high']:.3g}, n {row['n']:.0f})" if row else "-"


def main() -> None:
    """The command line."""
    from musical_metrics.corpus import read_corpus
    from training.models import load_model

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", default="shipped", help="folder, a run's folder, Hub id, or `shipped` (default)"
    )
    parser.add_argument("--pieces", type=int, default=100, help="of each form (default 100)")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds go up from here (default 0)")
    parser.add_argument("--no-rules", action="store_true", help="the model alone, but for the close")
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data/wtc"), help="folder with catalogue.csv and notes/"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument(
        "--forms",
        default=",".join(FORMS),
        choices=(*FORMS, ",".join(FORMS)),
        help="one of them, to run two processes (default: both)",
    )
    given = parser.parse_args()
    movements = read_corpus(given.source)
    model = load_model(given.model)
    sets = {}
    for form in given.forms.split(","):
        sets[f"Bach, {form}s"] = summary(values([m.score for m in movements if m.score.form == form]))
        made = compose(
            model,
            movements,
            form,
            given.pieces,
            given.first_seed,
            rules=["close", "length"] if given.no_rules else True,
        )
        sets[f"ours, {form}s"] = summary(values(made))
    print(table(sets))
    if given.json:
        write_json(given.json, sets)


if __name__ == "__main__":
    main()
