"""Which sampling suits the checkpoint? Pieces with each setting, judged against held-out Bach; what is best
goes into the generation config.

    python -m benchmarks.sampling_sweep [--model DIR] [--pieces 32] [--source ../shared/data] [--first-seed 10000] [--json FILE]

Seeds and, so, pieces are not those of `benchmarks.results`. For each setting: the median musical score of
preludes and fugues, how many of the twelve medians (six basic metrics, two forms) lie inside Bach's
quartiles, and the classifier's AUC; with few pieces each is uncertain, the score's median by about two
points.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .result_pieces import FORMS, compose, judge
from .result_text import SEED_METRICS, table

SETTINGS: tuple[dict[str, Any], ...] = (
    {"temperature": 0.9, "top_p": 0.95},
    {"temperature": 0.9, "top_p": 1.0},
    {"temperature": 1.0, "top_p": 0.9},
    {"temperature": 1.0, "top_p": 0.95},
    {"temperature": 1.0, "top_p": 0.95, "rhythm_temperature": 1.0},
    {"temperature": 1.0, "top_p": 0.95, "rhythm_top_p": 0.95},
    {"temperature": 1.0, "top_p": 0.98},
    {"temperature": 1.0, "top_p": 1.0},
    {"temperature": 1.0, "top_p": 1.0, "min_p": 0.05},
)


def sweep(model: Any, source: Path, pieces: int, first_seed: int) -> list[dict[str, Any]]:
    """One row a setting."""
    from musical_metrics.corpus import read_corpus

    movements = read_corpus(source / "wtc")
    rows = []
    for sampling in SETTINGS:
        found: dict[str, Any] = {"sampling": sampling, "pieces": pieces}
        for form in FORMS:
            own = judge(compose(model, movements, form, pieces, first_seed=first_seed, **sampling), form)
            medians = [own["metrics"][name] for name, _ in SEED_METRICS]
            found[form] = {
                "score": own["score"]["ours"],
                "inside": sum(
                    one["bach"]["q1"] <= one["ours"]["median"] <= one["bach"]["q3"] for one in medians
                ),
                "auc": own["told_apart"]["auc"],
                **{
                    name: own["metrics"][name]["ours"]["mean"]
                    for name in ("final_cadence", "rhythmic_variety", "out_of_key_ratio", "longest_run")
                },
            }
        found["fugue"]["subject_entries"] = own["metrics"]["subject_entries"]["ours"]["mean"]
        rows.append(found)
        print(sweep_table([found]).splitlines()[-1], flush=True)
    return rows


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table; of a pair of figures the first is of the preludes, the second of the
    fugues.
    """
    lines = []
    for row in rows:
        pairs = [
            (row["prelude"][name], row["fugue"][name])
            for name in (
                "score",
                "auc",
                "out_of_key_ratio",
                "rhythmic_variety",
                "final_cadence",
                "longest_run",
            )
        ]
        cells = [f"{a:.{d}f} / {b:.{d}f}" for (a, b), d in zip(pairs, (1, 2, 3, 2, 2, 1), strict=True)]
        cells.insert(1, f"{row['prelude']['inside']} + {row['fugue']['inside']} of 12")
        cells.append(f"{row['fugue']['subject_entries']:.2f}")
        lines.append([", ".join(f"{k} {v}" for k, v in row["sampling"].items()), *cells])
    head = [
        "sampling",
        "musical score",
        "medians inside",
        "AUC",
        "out of key",
        "rhythmic variety",
        "full close",
        "longest run",
        "entries with the subject",
    ]
    return table(head, lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Compose, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a checkpoint; the shipped one if not given")
    parser.add_argument("--pieces", type=int, default=32, help="of each form, for each setting")
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data"), help="the folder of the scores"
    )
    parser.add_argument("--first-seed", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    given = parser.parse_args(argv)
    from musicgpt.loading import load_model

    model = load_model(given.model)
    rows = sweep(model, given.source, given.pieces, given.first_seed)
    print(sweep_table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
