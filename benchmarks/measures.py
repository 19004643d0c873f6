"""Who scores what: every metric and the musical score for Bach, other Bach, the composer, and null models.

    python -m benchmarks.measures --sets SETS [--pieces 8] [--source ../shared/data]

composes what SETS lacks (`benchmarks.null_models`), measures (rows are kept beside the pieces, so each is
measured once) and writes `docs/metrics.md`, its pictures, and Bach's values in the card of `musical_metrics`. The
text around the figures stands in `measures_text.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenization.vocabulary import FORMS

from .null_models import COMPOSED, OTHER_BACH, other_bach

if TYPE_CHECKING:
    from tokenization.score import Score

ROOT = Path(__file__).resolve().parent.parent
BACH = "bach"
FAKES = ("markov", "markov_with_rhythm", "shuffled")
FOLDS = 6  # of the classifier
OPENING = 256  # notes of each piece that the shipped model is asked for


@dataclass
class Set:
    """A set of pieces, measured.

    Attributes:
        rows (`(pieces, metrics)`): NaN for no value. forms (list), notes (list of `int`): of the pieces.
        groups (list): key number of Bach's movements and the null models made of them, else a name of its own.
        nats (`(pieces,)`): what a note of the opening costs the shipped model; NaN for what it was trained on.
    """

    rows: np.ndarray
    forms: list[str | None]
    notes: list[int]
    groups: list[Any]
    nats: np.ndarray


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


class Rows:
    """What was measured of pieces, kept in a file: by fingerprint of the piece and its group."""

    def __init__(self, file: Path, names: Sequence[str]):
        self.file, self.names = file, list(names)
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self.rows = kept["rows"] if kept.get("names") == self.names else {}

    def of(self, score: Score, group: Any, measure: Callable[[], Sequence[float]]) -> np.ndarray:
        """The row of a piece: kept, or measured now."""
        text = f"{score.key} {score.form} {score.meters} {group}".encode()
        key = hashlib.sha1(text + score.array.tobytes(), usedforsecurity=False).hexdigest()
        if key not in self.rows:
            self.rows[key] = [None if np.isnan(x) else float(x) for x in measure()]
        return np.array(self.rows[key], dtype=float)

    def save(self) -> None:
        """Write the file."""
        from tokenization.midi_writer import write_whole

        write_whole(self.file, json.dumps({"names": self.names, "rows": self.rows}).encode())


def nats_of_opening(model: Any, score: Score) -> list[float]:
    """Nats a note of the first notes of a piece under a model, as a list of one."""
    from training.crops import Piece
    from training.evaluation import evaluate

    [found] = evaluate(model, [Piece("", score.replace(notes=score.array[:OPENING]).quantised(), "")])
    return [float(found.nats.sum()) / max(1, found.notes)]


def measure_everything(sets: Path, source: Path) -> dict[str, Set]:
    """All sets by name; Bach's rows and the null models' with an n-gram and an index that have not seen their key
    number. The shipped model is asked for composed pieces, the validation movements, and what is made of these.
    """
    from musical_metrics import null_models
    from musical_metrics.build_reference import HeldOut
    from musical_metrics.catalogue import NAMES
    from musical_metrics.compare import feature_rows
    from musical_metrics.corpus import read_corpus
    from musical_metrics.reference import WHOLE, table
    from training.models import load_model

    rows, nats = Rows(sets / "rows.json", NAMES), Rows(sets / "nats_of_openings.json", ("shipped",))
    model, movements = load_model("shipped"), read_corpus(source / "wtc")

    def cost(score: Score, unseen: bool) -> float:
        return float(nats.of(score, "", lambda: nats_of_opening(model, score))[0]) if unseen else np.nan

    def whole(pieces: Sequence[Score], name: str, unseen: bool) -> Set:
        found = [rows.of(score, "", lambda s=score: feature_rows([s])[0]) for score in pieces]
        groups = [f"{name} {k}" for k in range(len(pieces))]
        costs = np.array([cost(score, unseen) for score in pieces])
        return Set(np.array(found), [s.form for s in pieces], [len(s) for s in pieces], groups, costs)

    held_out, numbers = cache(lambda: HeldOut(movements)), [m.number for m in movements]
    notes, forms = (
        [10**6] * len(movements),
        [m.score.form for m in movements],
    )  # compared with whole movements
    asked = [m.split == "validation" for m in movements]
    costs = np.array([cost(m.score, is_asked) for m, is_asked in zip(movements, asked, strict=True)])
    found = {BACH: Set(table().values[WHOLE], forms, notes, numbers, costs)}
    for name, folder, kinds in OTHER_BACH:
        found[name] = whole(other_bach(source, folder, kinds), name, unseen=False)
    for name, scores in composed(sets):
        found[name] = whole(scores, name, unseen=True)
    for name in FAKES:
        made = [getattr(null_models, name)(m.score, i) for i, m in enumerate(movements)]
        values = [
            rows.of(score, number, lambda s=score, n=number: held_out().values(s, n))
            for score, number in zip(made, numbers, strict=True)
        ]
        costs = np.array([cost(score, is_asked) for score, is_asked in zip(made, asked, strict=True)])
        found[name] = Set(np.array(values), forms, notes, numbers, costs)
    rows.save()
    nats.save()
    return found


# -- candidates for the musical score


def judged(one: Set) -> Iterator[tuple[Any, Any]]:
    """Each piece's metrics beside Bach's bands, and the yardstick that these are of: Bach and the null models are
    measured by other key numbers.
    """
    from musical_metrics.compare import row_measures
    from musical_metrics.reference import length_class, table
    from musical_metrics.score import judge_all, yardstick

    known = cache(partial(yardstick, table()))
    for row, form, notes, group in zip(one.rows, one.forms, one.notes, one.groups, strict=True):
        by = known(form, length_class(notes), (group,) if isinstance(group, int) else ())
        yield judge_all(row_measures(row), by.bands), by


def by_families(one: Set) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
    """The musical score of each piece, u of its families, `(pieces, families)`, and what lets it down most, in
    words.
    """
    from musical_metrics.catalogue import FAMILIES
    from musical_metrics.score import combine, families_of, weakest

    names = [family for family, scored in FAMILIES.items() if scored]
    scores, families, words = [], [], []
    for measures, by in judged(one):
        found = families_of(measures, by.spreads)
        value = combine(measures, found).value
        scores.append(np.nan if value is None else value)
        families.append([found.get(name, np.nan) for name in names])
        words.append(weakest(measures, found))
    return np.array(scores), np.array(families), words


def by_typicality(one: Set) -> np.ndarray:
    """The formula of the score before this one: the mean of `2^(-d^2)`, here over the metrics scored now."""
    known = ([j.typicality for j in measures.values() if j.scored] for measures, _ in judged(one))
    return np.array([100 * np.mean([value for value in values if value is not None]) for values in known])


def by_surprise(one: Set) -> np.ndarray:
    """Minus what a note costs the n-gram of the train split, pitch and rhythm together, in nats."""
    from musical_metrics.catalogue import NAMES

    return -(one.rows[:, NAMES.index("pitch_nll")] + one.rows[:, NAMES.index("rhythm_nll")])


def by_classifier(sets: dict[str, Set]) -> dict[str, np.ndarray]:
    """Probability, in percent, of being Bach by a ridge regression of Bach against chains, noise and the
    undertrained model, all pieces out of fold (key numbers stay together).
    """
    from musical_metrics.compare import SCORED, _fit_logistic, _prepare

    against = [name for name in ("undertrained", *FAKES) if name in sets]
    rng = np.random.default_rng(0)
    kinds = sorted({str(group) for one in sets.values() for group in one.groups})
    fold_of = dict(zip(kinds, rng.permutation(len(kinds)) % FOLDS, strict=True))
    found = {name: np.full(len(one.rows), np.nan) for name, one in sets.items()}
    for k in range(FOLDS):
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


def candidates(sets: dict[str, Set], scores: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """What each candidate gives the pieces of each set; `scores` is what the first one gives them."""
    return {
        "distance by family (the musical score)": scores,
        "mean typicality": {name: by_typicality(one) for name, one in sets.items()},
        "classifier": by_classifier(sets),
        "an independent model: the n-gram": {name: by_surprise(one) for name, one in sets.items()},
        "the model itself": {name: -one.nats for name, one in sets.items()},
    }


def main() -> None:
    """The command line."""
    from tokenization.midi_writer import write_whole

    from .measures_text import SET_NAMES, card, page
    from .null_models import add_seconds, compose_all
    from .result_plots import draw_families, draw_scores

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sets", type=Path, required=True, help="folder for the pieces, outside of the repository"
    )
    parser.add_argument("--pieces", type=int, default=8, help="of each composed set and form (default 8)")
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data"), help="the folder of the scores"
    )
    given = parser.parse_args()
    compose_all(given.sets, given.pieces, given.source)
    begun = time.process_time()
    sets = measure_everything(given.sets, given.source)
    families = {name: by_families(one) for name, one in sets.items()}
    found = candidates(sets, {name: one[0] for name, one in families.items()})
    nats = json.loads((given.sets / "nats.json").read_text(encoding="utf-8"))
    images = ROOT / "docs" / "images"
    draw_scores({name: one[0] for name, one in families.items()}, SET_NAMES, images / "metrics_scores.png")
    draw_families(
        {name: one[1] for name, one in families.items()}, SET_NAMES, images / "metrics_families.png"
    )
    seconds = add_seconds(given.sets, "measuring", time.process_time() - begun)
    write_whole(ROOT / "docs" / "metrics.md", page(sets, families, found, nats, seconds).encode())
    readme = ROOT / "musical_metrics" / "README.md"
    write_whole(readme, card(readme.read_text(encoding="utf-8")).encode())
    print(ROOT / "docs" / "metrics.md")


if __name__ == "__main__":
    main()
