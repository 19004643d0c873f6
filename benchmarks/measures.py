"""Who scores what: every metric and the musical score for Bach, other Bach, the composer, and null models.

    python -m benchmarks.null_models --out SETS [--pieces 16]
    python -m benchmarks.measures --sets SETS [--source ../shared/data]

The first composes. The second measures (rows are kept beside the pieces, so each is measured once; a minute and a
half of one core the first time, seconds after that) and writes `docs/metrics.md`, its picture, and Bach's values in
the card of `musical_metrics`. The text around the figures stands in `measures_text.py`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .null_models import COMPOSED, OTHER_BACH, other_bach
from .result_pieces import FORMS

if TYPE_CHECKING:
    from tokenization.score import Score

ROOT = Path(__file__).resolve().parent.parent
BACH = "bach"
FAKES = ("markov", "shuffled")


@dataclass
class Set:
    """A set of pieces, measured.

    Attributes:
        rows (`(pieces, metrics)`): NaN for no value. forms (list), notes (list of `int`): of the pieces.
        groups (list): key number of Bach's movements and the null models made of them, else a name of its own.
    """

    rows: np.ndarray
    forms: list[str | None]
    notes: list[int]
    groups: list[Any]


def composed(folder: Path) -> Iterator[tuple[str, list[Score]]]:
    """The sets that `benchmarks.null_models` composed."""
    from tokenization.score import Score

    for name in COMPOSED:
        files = [folder / f"{name}_{form}.json" for form in FORMS]
        rows = [
            row for file in files if file.exists() for row in json.loads(file.read_text(encoding="utf-8"))
        ]
        if rows:
            yield name, [Score.from_dict(row) for row in rows]


def measured(file: Path, pieces: Sequence[tuple[Any, Any]], measure: Callable[[Any, Any], np.ndarray]) -> Set:
    """The rows of pieces, from `file` where they are there.

    Args:
        pieces (sequence of `(Score, group)`): see `Set.groups`.
        measure (callable): from a score and its group to a row.
    """
    from musical_metrics.catalogue import NAMES
    from tokenization.midi_writer import write_whole

    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if kept.get("names") != list(NAMES):
        kept = {"names": list(NAMES), "rows": []}
    for score, group in pieces[len(kept["rows"]) :]:
        kept["rows"].append([None if np.isnan(x) else float(x) for x in measure(score, group)])
    write_whole(file, json.dumps(kept).encode())
    rows = np.array(kept["rows"], dtype=float)[: len(pieces)]
    return Set(rows, [s.form for s, _ in pieces], [len(s) for s, _ in pieces], [group for _, group in pieces])


def measure_everything(sets: Path, source: Path) -> dict[str, Set]:
    """All sets by name; Bach's rows and the null models' with an n-gram and an index that have not seen their key
    number.
    """
    from musical_metrics import null_models
    from musical_metrics.build_reference import HeldOut
    from musical_metrics.compare import feature_rows
    from musical_metrics.corpus import read_corpus
    from musical_metrics.reference import WHOLE, table

    bach, movements = table(), read_corpus(source / "wtc")
    found = {
        BACH: Set(
            bach.values[WHOLE],
            [m.score.form for m in movements],
            [10**6] * len(movements),  # whole movements, compared with whole ones
            [m.number for m in movements],
        )
    }
    for name, folder, kinds in OTHER_BACH:
        pieces = [(score, f"{name} {k}") for k, score in enumerate(other_bach(source, folder, kinds))]
        found[name] = measured(sets / f"rows_{name}.json", pieces, lambda s, _: feature_rows([s])[0])
    for name, scores in composed(sets):
        pieces = [(score, f"{name} {k}") for k, score in enumerate(scores)]
        file = sets / f"rows_{name}_{len(scores)}.json"
        found[name] = measured(file, pieces, lambda s, _: feature_rows([s])[0])
    held_out = HeldOut(movements)
    for name in FAKES:
        made = [(getattr(null_models, name)(m.score, i), m.number) for i, m in enumerate(movements)]
        found[name] = measured(
            sets / f"rows_{name}.json", made, lambda s, n: np.array(held_out.values(s, n), dtype=float)
        )
        found[name].notes = [10**6] * len(made)
    return found


# -- candidates for the musical score


def by_families(one: Set) -> tuple[np.ndarray, np.ndarray]:
    """The musical score of each piece, and u of its families, `(pieces, families)`; Bach and the null models are
    measured by other key numbers.
    """
    from musical_metrics.catalogue import FAMILIES
    from musical_metrics.compare import row_measures
    from musical_metrics.reference import length_class, table
    from musical_metrics.score import combine, families_of, judge_all, yardstick

    names = [family for family, scored in FAMILIES.items() if scored]
    scores, families = np.full(len(one.rows), np.nan), np.full((len(one.rows), len(names)), np.nan)
    known: dict[Any, Any] = {}
    for i, (row, form, notes, group) in enumerate(
        zip(one.rows, one.forms, one.notes, one.groups, strict=True)
    ):
        place = (form, length_class(notes), (group,) if isinstance(group, int) else ())
        if place not in known:
            known[place] = yardstick(table(), *place)
        by = known[place]
        judged = judge_all(row_measures(row), by.bands)
        found = families_of(judged, by.spreads)
        value = combine(judged, found).value
        scores[i] = np.nan if value is None else value
        families[i] = [found.get(name, np.nan) for name in names]
    return scores, families


def by_typicality(one: Set) -> np.ndarray:
    """The formula of the score before this one: the mean of `2^(-d^2)`, here over the metrics scored now."""
    from musical_metrics.compare import row_measures
    from musical_metrics.reference import length_class, table
    from musical_metrics.score import judge_all

    found = []
    for row, form, notes, group in zip(one.rows, one.forms, one.notes, one.groups, strict=True):
        bands = table().bands(form, length_class(notes), (group,) if isinstance(group, int) else ())
        judged = judge_all(row_measures(row), bands).values()
        found.append(100 * np.mean([j.typicality for j in judged if j.scored and j.typicality is not None]))
    return np.array(found)


def by_surprise(one: Set) -> np.ndarray:
    """Minus what a note costs the n-gram of the train split, pitch and rhythm together, in nats."""
    from musical_metrics.catalogue import NAMES

    return -(one.rows[:, NAMES.index("pitch_nll")] + one.rows[:, NAMES.index("rhythm_nll")])


def by_classifier(sets: dict[str, Set], folds: int = 6) -> dict[str, np.ndarray]:
    """Probability, in percent, of being Bach by a ridge regression of Bach against chains, noise and the
    undertrained model, all pieces out of fold (key numbers stay together).
    """
    from musical_metrics.compare import SCORED, _fit_logistic, _prepare

    against = [name for name in ("undertrained", *FAKES) if name in sets]
    rng = np.random.default_rng(0)
    kinds = sorted({str(group) for one in sets.values() for group in one.groups})
    fold_of = dict(zip(kinds, rng.permutation(len(kinds)) % folds, strict=True))
    found = {name: np.full(len(one.rows), np.nan) for name, one in sets.items()}
    for k in range(folds):
        parts = [(sets[name], name == BACH) for name in (BACH, *against)]
        keep = [np.array([fold_of[str(g)] != k for g in one.groups]) for one, _ in parts]
        x = np.concatenate([one.rows[mask] for (one, _), mask in zip(parts, keep, strict=True)])[:, SCORED]
        y = np.concatenate([np.full(m.sum(), float(own)) for (_, own), m in zip(parts, keep, strict=True)])
        for name, one in sets.items():
            out = np.array([fold_of[str(g)] == k for g in one.groups])
            if out.any():
                train, test = _prepare(x, one.rows[out][:, SCORED])
                w = _fit_logistic(train, y)
                found[name][out] = 100 / (1 + np.exp(-np.column_stack([test, np.ones(len(test))]) @ w))
    return found


def candidates(sets: dict[str, Set]) -> dict[str, dict[str, np.ndarray]]:
    """What each candidate gives the pieces of each set."""
    return {
        "distance by family (the musical score)": {name: by_families(one)[0] for name, one in sets.items()},
        "mean typicality": {name: by_typicality(one) for name, one in sets.items()},
        "classifier": by_classifier(sets),
        "n-gram": {name: by_surprise(one) for name, one in sets.items()},
    }


# -- picture


def draw(families: dict[str, np.ndarray], file: Path) -> None:
    """Small distributions of u, one row a family, beside Bach's.

    Args:
        families (dict of `(pieces, families)`): by set.
        file (`Path`): the PNG.
    """
    import io

    from matplotlib.figure import Figure

    from musical_metrics.catalogue import FAMILIES
    from tokenization.midi_writer import write_whole

    from .measures_text import SET_NAMES

    names = [family for family, scored in FAMILIES.items() if scored]
    shown = [name for name in (BACH, "shipped", "undertrained", "markov") if name in families]
    colours = dict(zip(shown, ("#5b7ea4", "#1b7837", "#d08c2c", "#b03a2e"), strict=False))
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    axes = figure.subplots(len(names), 1, sharex=True)
    edges = np.linspace(0, 3, 25)
    for row, (axis, family) in enumerate(zip(axes, names, strict=True)):
        for name in shown:
            values = families[name][:, row]
            values = values[~np.isnan(values)]
            if len(values):
                share = np.histogram(np.minimum(values, 2.999), edges)[0] / len(values)
                own = {"fill": True, "alpha": 0.45} if name == BACH else {"linewidth": 1.4}
                axis.stairs(share / share.max(), edges, color=colours[name], label=SET_NAMES[name], **own)
        axis.axvline(1, color="#999999", linewidth=0.8, linestyle=":")
        axis.set_yticks([])
        axis.set_ylabel(family, rotation=0, ha="right", va="center", fontsize=9)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel("u: distance from Bach's middle; 1 is what 95 % of Bach's movements stay below")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(shown), frameon=False, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    write_whole(file, buffer.getvalue())


def main() -> None:
    """The command line."""
    from tokenization.midi_writer import write_whole

    from .measures_text import card, page

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=Path, required=True, help="folder of `benchmarks.null_models`")
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data"), help="the folder of the scores"
    )
    given = parser.parse_args()
    sets = measure_everything(given.sets, given.source)
    nats = json.loads((given.sets / "undertrained.json").read_text(encoding="utf-8"))["nats_per_note"]
    found = candidates(sets)
    families = {name: by_families(one)[1] for name, one in sets.items()}
    draw(families, ROOT / "docs" / "images" / "metrics_families.png")
    write_whole(ROOT / "docs" / "metrics.md", page(sets, found, families, nats).encode())
    readme = ROOT / "musical_metrics" / "README.md"
    write_whole(readme, card(readme.read_text(encoding="utf-8")).encode())
    print(ROOT / "docs" / "metrics.md")


if __name__ == "__main__":
    main()
