"""Musical evaluation: the same pieces, with the same seeds, composed again by the model as it is now, and how
near to Bach they lie.

python -m training.musical --checkpoint DIR --pieces 24 --first-seed 5000

judges a finished model, with seeds that training did not use
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenization.interruption import errors_in_one_line
from tokenization.vocabulary import FORMS

if TYPE_CHECKING:
    from tokenization.score import Score

KEYS = ("C major", "A minor")
FIRST_SEED = 1000


@dataclass
class MusicalResult:
    """What a musical evaluation found.

    Attributes:
        scores (list of `float`): musical score of each piece, 0 to 100; one without a score (too short to
            judge) counts 0.
        values (list of `dict`): each piece's metrics.
        pieces (list of `Score`): the pieces.
        seeds (list of `int`): their seeds.
    """

    scores: list[float]
    values: list[dict[str, float]] = field(default_factory=list)
    pieces: list[Score] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Mean of `scores`."""
        return sum(self.scores) / max(1, len(self.scores))

    @property
    def error(self) -> float | None:
        """Standard error of `score` over the pieces; of less than two there is none."""
        from statistics import stdev

        return stdev(self.scores) / len(self.scores) ** 0.5 if len(self.scores) > 1 else None

    @property
    def metrics(self) -> dict[str, float]:
        """Median of each metric over the pieces that have it."""
        from statistics import median

        names = dict.fromkeys(name for one in self.values for name in one)
        return {name: median(one[name] for one in self.values if name in one) for name in names}

    def summary(self) -> dict[str, Any]:
        """What goes into the log."""
        error = {} if self.error is None else {"musical_error": self.error}
        return {"musical_score": self.score, **error, "scores": self.scores, "metrics": self.metrics}


def settings_of(number: int, tokens: int, form: str = "all", first_seed: int = FIRST_SEED) -> list[Any]:
    """The settings of the pieces: every form in both modes, about as many of each, those of a kind one after
    another; seeds from `first_seed` on, the defaults of `musicgpt generate` otherwise.
    """
    from musicgpt import Settings

    kinds = [(f, key) for key in KEYS for f in (FORMS if form == "all" else (form,))]
    asked = [kinds[k] for k in sorted(i % len(kinds) for i in range(number))]
    return [
        Settings(form=f, key=key, seed=first_seed + i, max_new_tokens=tokens)
        for i, (f, key) in enumerate(asked)
    ]


def compose(
    model: Any,
    number: int,
    tokens: int,
    form: str = "all",
    first_seed: int = FIRST_SEED,
    rules: bool = False,
    share: tuple[int, int] = (0, 1),
) -> list[Any]:
    """The pieces as `Composition`s, those of a kind in one batch. The model is left in the mode (training or
    not) in which it was.

    Args:
        rules (`bool`): whether the composer's rules help. A model is judged without: with them an
            undertrained one sounds better than it is.
        share (`tuple`): `(process, processes)`: each composes its part, one after another.
    """
    from musicgpt import Composer

    training, (process, processes) = model.training, share
    try:
        composer = Composer(model, rules=rules)
        mine = slice(number * process // processes, number * (process + 1) // processes)
        asked = settings_of(number, tokens, form, first_seed)[mine]
        batches = [list(kind) for _, kind in groupby(asked, lambda one: (one.form, one.key))]
        return [piece for kind in batches for piece in composer.compose(kind[0], num=len(kind))]
    finally:
        model.train(training)


def judge(scores: Sequence[Score], seeds: Sequence[int] = ()) -> MusicalResult:
    """Score pieces with `musical_metrics`."""
    from musical_metrics.score import musical_score

    judged = [musical_score(score) for score in scores]
    values = [
        {name: metric.value for name, metric in one.metrics.items() if metric.value is not None}
        for one in judged
    ]
    return MusicalResult([one.value or 0.0 for one in judged], values, list(scores), list(seeds))


def together(parts: Sequence[MusicalResult]) -> MusicalResult:
    """The results of all processes as one, in the order of the seeds."""
    rows = [
        row for part in parts for row in zip(part.scores, part.values, part.pieces, part.seeds, strict=True)
    ]
    rows.sort(key=lambda row: row[-1])
    return MusicalResult(*map(list, zip(*rows, strict=True)))


def evaluate_music(model: Any, number: int, tokens: int, *how: Any, **more: Any) -> MusicalResult:
    """Compose and judge; the arguments are those of `compose`."""
    pieces = compose(model, number, tokens, *how, **more)
    return judge([piece.score for piece in pieces], [piece.seed for piece in pieces])


def write_samples(result: MusicalResult, folder: Path) -> list[Path]:
    """The pieces as MIDI, named with form, mode, seed and score."""
    from tokenization import write_midi

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for place, score in enumerate(result.pieces):
        mode = score.key.mode if score.key else "unknown"
        name = f"{score.form or 'piece'}_{mode}_seed{result.seeds[place]}_score{result.scores[place]:.0f}.mid"
        write_midi(score, folder / name)
        paths.append(folder / name)
    return paths


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command: score a checkpoint's pieces; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.musical", description="Musical score of what a checkpoint composes."
    )
    parser.add_argument(
        "--checkpoint", default="shipped", help="folder, a run's folder, Hub id, or `shipped` (default)"
    )
    parser.add_argument("--pieces", type=int, default=16, help="how many (default: 16)")
    parser.add_argument("--tokens", type=int, default=1024, help="longest piece in tokens (default: 1024)")
    parser.add_argument(
        "--first-seed",
        type=int,
        default=FIRST_SEED,
        help=f"seed of the first piece (default: {FIRST_SEED}, as in training)",
    )
    parser.add_argument(
        "--form", default="all", choices=("all", *FORMS), help="only this form (default: both in turn)"
    )
    parser.add_argument(
        "--rules", action="store_true", help="with the composer's rules (training is without)"
    )
    given = parser.parse_args(argv)
    from .models import load_model

    result = evaluate_music(
        load_model(given.checkpoint), given.pieces, given.tokens, given.form, given.first_seed, given.rules
    )
    print("scores: " + " ".join(f"{score:.1f}" for score in result.scores))
    unsure = "unknown" if result.error is None else f"{result.error:.2f}"
    print(
        f"{given.checkpoint}: mean {result.score:.2f}, standard error {unsure}, {len(result.scores)} pieces"
    )
    return 0


def loss_score(nats_per_note: float, unigram: float) -> float:
    """The validation loss on a scale of 0 to 100: 0 is what counting tokens gives (`unigram`, of the train
    split), 100 no surprise at all.
    """
    return max(0.0, 100.0 * (1.0 - nats_per_note / unigram))


def combined_score(
    nats_per_note: float, unigram: float, musical: float, loss_weight: float, musical_weight: float
) -> float:
    """`loss_weight * loss_score + musical_weight * musical score`, both 0 to 100, higher is better."""
    return loss_weight * loss_score(nats_per_note, unigram) + musical_weight * musical


if __name__ == "__main__":
    sys.exit(main())
