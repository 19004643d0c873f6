"""What listeners' answers say: how often Bach was found, whether that is less than would matter, by whom, and
what they liked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tokenization import MusicGPTError

from .design import BACH, BOUND, OURS

# Catch trials of three that a listener must get right to be counted.
CATCHES_RIGHT = 2
DRAWS = 4000
_TRAINING = ("practice_years", "training_years", "theory_years", "instruments")


@dataclass(frozen=True)
class Answers:
    """Answers to real trials by listeners who passed, as arrays of shape `(answers,)`.

    Attributes:
        right: whether Bach's piece was chosen.
        listener, item: numbers of the listener and of the piece that is not Bach's.
        liking: how much more Bach's was liked than the other, -6 to 6.
        training: the listener's training (`training_of`).
        known: whether a piece was recognised.
        left_out: listeners who failed the catch trials.
    """

    right: np.ndarray
    listener: np.ndarray
    item: np.ndarray
    liking: np.ndarray
    training: np.ndarray
    known: np.ndarray
    left_out: tuple[str, ...] = ()


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """A JSON object.

    Raises:
        MusicGPTError: if the file cannot be read or holds something else.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MusicGPTError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(value, dict):
        raise MusicGPTError(
            f"{path} holds no JSON object; give what the page saved, or the key that was written beside it."
        )
    return value


def training_of(about: Mapping[str, float] | None) -> float:
    """Musical training: the sum of log(1 + x) over years of practice, lessons and theory and the number of
    instruments, 0 without answers.

    The questions are four of the seven of the Gold-MSI's factor "musical training" (Müllensiefen et al., PLoS
    ONE 9(2), 2014); the sum is ours.
    """
    about = about or {}
    return float(sum(np.log1p(max(0.0, float(about.get(name, 0)))) for name in _TRAINING))


def collect(sheets: Sequence[Mapping[str, Any]], key: Mapping[str, Any]) -> Answers:
    """The answers of several listeners to one test; a listener who comes twice counts once, with the later
    file.

    Raises:
        MusicGPTError: if a sheet belongs to another test or is damaged, or nobody passed the catch trials.
    """
    people = {sheet.get("listener"): sheet for sheet in sheets}
    rows, left_out = [], []
    for number, (name, sheet) in enumerate(people.items()):
        if sheet.get("test") != key.get("test"):
            raise MusicGPTError(
                f"The answers of {name} belong to test {sheet.get('test')!r}, the key to {key.get('test')!r}."
            )
        try:
            own, caught = _rows(number, sheet, key)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise MusicGPTError(
                f"The answers of {name} are damaged: {type(error).__name__} {error}."
            ) from error
        if caught < min(CATCHES_RIGHT, sum(trial["catch"] for trial in key["trials"].values())):
            left_out.append(str(name))
        else:
            rows += own
    if not rows:
        raise MusicGPTError(
            f"No answers to analyse: {len(people)} listeners, {len(left_out)} left out for their catch"
            " trials."
        )
    right, listener, piece, liking, training, known = (np.array(column) for column in zip(*rows, strict=True))
    item = np.unique(piece, return_inverse=True)[1]
    return Answers(right, listener, item, liking, training, known, tuple(left_out))


def _rows(number: int, sheet: Mapping[str, Any], key: Mapping[str, Any]) -> tuple[list[tuple], int]:
    """A listener's answers to real trials, and how many catch trials were right."""
    rows, caught = [], 0
    for answer in sheet["answers"]:
        clips = {
            key["clips"][name]["source"]: (name, rating)
            for name, rating in zip(answer["clips"], answer["ratings"], strict=True)
        }
        right = answer["chosen"] == clips[BACH][0]
        if key["trials"][answer["trial"]]["catch"]:
            caught += right
            continue
        name, liked = clips[OURS]
        piece = key["clips"][name]["piece"]
        rows.append(
            (
                right,
                number,
                piece,
                clips[BACH][1] - liked,
                training_of(sheet.get("about")),
                bool(answer["known"]),
            )
        )
    return rows, caught


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson, Journal of the American Statistical Association 22, 1927)."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, trials, method="wilson")
    return float(low), float(high)


def resampled_mean(
    values: np.ndarray, listener: np.ndarray, item: np.ndarray, quantiles: Sequence[float]
) -> list[float]:
    """Quantiles of the mean when listeners and pieces are both drawn with replacement (seed 0).

    The pigeonhole bootstrap (Owen, Annals of Applied Statistics 1, 2007): answers of one listener are alike,
    and so are those to one piece.
    """
    shape = (int(listener.max()) + 1, int(item.max()) + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (listener, item), values)
    np.add.at(counts, (listener, item), 1)
    there = np.flatnonzero(counts.sum(axis=1))
    sums, counts = sums[there], counts[there]
    rng = np.random.default_rng(0)
    people, pieces = (
        rng.multinomial(size, np.full(size, 1 / size), size=DRAWS).astype(float) for size in sums.shape
    )  # (draws, size)
    weight = ((people @ counts) * pieces).sum(axis=1)
    means = ((people @ sums) * pieces).sum(axis=1)[weight > 0] / weight[weight > 0]
    return np.quantile(means, quantiles).tolist()


def mixed_model(answers: Answers) -> dict[str, float]:
    """Detection by a mixed logistic model: listeners and pieces as random effects, training as a fixed one.

    Bayesian with normal priors of standard deviation 2, fitted by variational Bayes (statsmodels'
    `BinomialBayesMixedGLM`), which takes the effects for independent, so its intervals are narrow. `rate` is
    that of an average listener with an average piece, `low` and `high` its 95 % interval; `training` the
    change of the log-odds with one standard deviation of training.
    """
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

    spread = answers.training.std()
    training = (answers.training - answers.training.mean()) / (spread if spread > 0 else 1.0)
    fixed = np.stack([np.ones(len(training)), training], axis=1)
    groups = [np.eye(int(column.max()) + 1)[column] for column in (answers.listener, answers.item)]
    which = np.concatenate([np.full(group.shape[1], place) for place, group in enumerate(groups)])
    model = BinomialBayesMixedGLM(
        answers.right.astype(float), fixed, np.concatenate(groups, axis=1), which, vcp_p=1.0, fe_p=2.0
    )
    size = model.k_fep + model.k_vcp + model.k_vc
    fitted = model.fit_vb(mean=np.zeros(size), sd=np.ones(size))  # else it begins somewhere at random
    mean, deviation = float(fitted.fe_mean[0]), float(fitted.fe_sd[0])
    rate, low, high = (1 / (1 + np.exp(-(mean + z * deviation))) for z in (0, -1.96, 1.96))
    effects = np.exp(fitted.vcp_mean)
    return {
        "rate": float(rate),
        "low": float(low),
        "high": float(high),
        "training": float(fitted.fe_mean[1]),
        "training_sd": float(fitted.fe_sd[1]),
        "listeners_sd": float(effects[0]),
        "pieces_sd": float(effects[1]),
    }


def analyse(answers: Answers) -> dict[str, Any]:
    """Everything that the report tells; `equivalent` if the upper 95 % bound over listeners and pieces lies
    below `BOUND`.
    """
    right, listener = answers.right.astype(float), answers.listener
    low, high, bound = resampled_mean(right, listener, answers.item, (0.025, 0.975, 0.95))
    fresh = ~answers.known
    return {
        "answers": len(right),
        "listeners": len(np.unique(listener)),
        "left_out": list(answers.left_out),
        "rate": float(right.mean()),
        "wilson": wilson(int(right.sum()), len(right)),
        "interval": (low, high),
        "upper_bound": bound,
        "bound": BOUND,
        "equivalent": bool(bound < BOUND),
        "rate_not_recognised": float(right[fresh].mean()) if fresh.any() else None,
        "liking": (
            float(answers.liking.mean()),
            *resampled_mean(answers.liking.astype(float), listener, answers.item, (0.025, 0.975)),
        ),
        "mixed_model": mixed_model(answers) if len(np.unique(listener)) > 1 else None,
    }


def report(found: Mapping[str, Any]) -> str:
    """The analysis in words."""
    low, high = found["interval"]
    liking, less, more = found["liking"]
    verdict = "below" if found["equivalent"] else "not below"
    lines = [
        (
            f"{found['answers']} answers of {found['listeners']} listeners; left out for their catch trials:"
            f" {len(found['left_out'])}"
        ),
        (
            f"Bach was found in {found['rate']:.1%} of the pairs ({low:.1%} to {high:.1%} over listeners and"
            f" pieces; Wilson {found['wilson'][0]:.1%} to {found['wilson'][1]:.1%})"
        ),
        f"upper 95 % bound {found['upper_bound']:.1%}, {verdict} {found['bound']:.0%}: "
        + (
            "listeners did not tell them apart to an extent that matters"
            if found["equivalent"]
            else "equivalence is not shown"
        ),
        f"Bach was liked {liking:+.2f} points of 7 more ({less:+.2f} to {more:+.2f})",
    ]
    if found["rate_not_recognised"] is not None:
        lines.append(f"where nothing was recognised: {found['rate_not_recognised']:.1%}")
    if (mixed := found["mixed_model"]) is not None:
        lines.append(
            f"mixed model: {mixed['rate']:.1%} ({mixed['low']:.1%} to {mixed['high']:.1%}) for an average"
            f" listener and piece; standard deviations of the log-odds {mixed['listeners_sd']:.2f}"
            f" (listeners) and {mixed['pieces_sd']:.2f} (pieces); training {mixed['training']:+.2f} +-"
            f" {1.96 * mixed['training_sd']:.2f}"
        )
    return "\n".join(lines)
