"""The pieces that `benchmarks.results` judges: asked for what Bach's movements are, one after another, with
seeds 0, 1, 2, ...

A set of pieces can only be told from Bach's by what it is asked to be if that differs: so piece k gets key,
meter, voices and tempo of movement k of the form (train and validation, in the order of a fixed draw; over
again when they are used up), and nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from musical_metrics.corpus import Movement
    from tokenization.score import Score


def conditions(movements: Sequence[Movement], form: str, pieces: int) -> list[dict[str, Any]]:
    """What `pieces` pieces of a form are asked to be: fields of `musicgpt.Settings`, without seed."""
    own = [movement.score.with_tempo_class() for movement in movements if movement.score.form == form]
    order = np.random.default_rng(0).permutation(len(own))
    asked = []
    for k in range(pieces):
        score = own[order[k % len(own)]]
        voices = min(5, max(2, score.num_voices))
        asked.append(
            {
                "form": form,
                "key": str(score.key),
                "meter": score.meters[0].name,
                "voices": voices,
                "tempo": score.tempo_class,
            }
        )
    return asked


def compose(
    model: Any,
    movements: Sequence[Movement],
    form: str,
    pieces: int,
    first_seed: int = 0,
    rules: Sequence[str] | bool = True,
) -> list[Score]:
    """Pieces of the composer's own length by its own sampling, with its rules or without."""
    from tqdm import tqdm

    from musicgpt import Composer, Settings

    composer = Composer(model, rules)
    asked = tqdm(conditions(movements, form, pieces), desc=f"{form}s", unit="piece", disable=None)
    return [
        composer.compose(Settings(**fields, seed=first_seed + k))[0].score for k, fields in enumerate(asked)
    ]


def bach_rows(form: str, notes: int) -> tuple[np.ndarray, list[int]]:
    """Held-out Bach's values of every metric for openings of about so many notes, `(movements, metrics)`, and
    the key numbers.
    """
    from musical_metrics.reference import length_class, table

    values, length = table(), length_class(notes)
    keep = values.select(form) & ~np.isnan(values.values[length]).all(axis=1)
    return values.rows(length)[keep], values.numbers[keep].tolist()


def alike(scores: Sequence[Score]) -> int:
    """How many of the pieces have the same notes as an earlier one, in whatever key."""
    from tokenization.score import PITCH

    seen = set()
    for score in scores:
        array = score.array.copy()
        array[:, PITCH] -= array[0, PITCH]
        seen.add(array.tobytes())
    return len(scores) - len(seen)


def judge(scores: Sequence[Any], form: str) -> dict[str, Any]:
    """The pieces of one form against held-out Bach.

    Like is compared with like: of both only the first so many notes count, as many as most of the pieces have
    of the lengths for which Bach's values are there. Only the cadence is that of the whole piece, and so is
    the musical score, which knows about lengths, and `told_apart`, the two-sample test.
    """
    from musical_metrics.catalogue import NAMES
    from musical_metrics.compare import auc, bach_scores, feature_rows, two_sample_test
    from musical_metrics.reference import LENGTHS, length_class, table
    from musical_metrics.score import musical_score

    notes = int(np.median([len(score) for score in scores]))
    length = max((n for n in LENGTHS if n <= notes), default=min(LENGTHS))
    whole, ours = (
        feature_rows(scores),
        feature_rows([score.replace(notes=score.array[:length]) for score in scores]),
    )
    cadence = NAMES.index("final_cadence")
    ours[:, cadence] = whole[:, cadence]
    bach, apart = bach_rows(form, length)[0], two_sample_test(whole, *bach_rows(form, notes))
    own = np.array([musical_score(score).value or 0.0 for score in scores])
    theirs = bach_scores(table(), form, length_class(notes))
    theirs = theirs[~np.isnan(theirs)]
    metrics = {name: _spread(ours[:, i], bach[:, i], auc) for i, name in enumerate(NAMES)}
    return {
        "pieces": len(scores),
        "notes": notes,
        "bach_length": length,
        "bach_movements": len(bach),
        "score": {"ours": float(np.median(own)), "bach": float(np.median(theirs))},
        "told_apart": asdict(apart) if apart else None,
        "longest_run_whole": int(np.nanmax(whole[:, NAMES.index("longest_run")])),
        "metrics": {name: value for name, value in metrics.items() if value},
    }


def _spread(ours: np.ndarray, bach: np.ndarray, auc: Callable[..., Any]) -> dict[str, Any] | None:
    ours, bach = ours[~np.isnan(ours)], bach[~np.isnan(bach)]
    if not len(ours) or not len(bach):
        return None
    quantiles = np.quantile(bach, [0.25, 0.5, 0.75, 0.95])
    values = dict(zip(("q1", "median", "q3", "p95"), (round(float(q), 4) for q in quantiles), strict=True))
    own = {
        "median": round(float(np.median(ours)), 4),
        "p95": round(float(np.quantile(ours, 0.95)), 4),
        "mean": round(float(ours.mean()), 4),
    }
    return {
        "ours": {**own, "max": round(float(ours.max()), 4), "n": len(ours)},
        "bach": {**values, "mean": round(float(bach.mean()), 4), "n": len(bach)},
        "auc": round(float(auc(ours, bach).value), 3),
    }
