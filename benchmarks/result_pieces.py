"""The pieces that `benchmarks.results` judges: asked for what Bach's movements are, one after another, with
seeds 0, 1, 2, ...

A set of pieces can only be told from Bach's by what it is asked to be if that differs: so piece k gets key,
meter, voices and tempo of movement k of the form (train and validation, in the order of a fixed draw; over
again when they are used up), and nothing else of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from musical_metrics.corpus import Movement
    from tokenization.score import Score

FORMS = ("prelude", "fugue")


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
    **sampling: Any,
) -> list[Score]:
    """Pieces of the composer's own length by its own sampling, with its rules or without; `sampling` are
    further fields of `Settings`.
    """
    from tqdm import tqdm

    from musicgpt import Composer, Settings

    composer = Composer(model, rules)
    asked = tqdm(conditions(movements, form, pieces), desc=f"{form}s", unit="piece", disable=None)
    return [
        composer.compose(Settings(**fields, seed=first_seed + k, **sampling))[0].score
        for k, fields in enumerate(asked)
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
