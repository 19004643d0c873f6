"""The text of `docs/metrics.md` and of Bach's values in the card of `musical_metrics` (`benchmarks.measures`)."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from musical_metrics import score
from musical_metrics.catalogue import FAMILIES, METRICS
from musical_metrics.compare import auc, bach_scores
from musical_metrics.reference import WHOLE, bands, table
from musical_metrics.tables import number
from tokenization import markdown

SET_NAMES = {
    "bach": "Bach, held out",
    "inventions": "Bach's inventions",
    "sinfonias": "Bach's sinfonias",
    "art_of_fugue": "The Art of Fugue",
    "organ": "Bach for the organ",
    "shipped": "shipped weights, rules",
    "shipped_alone": "shipped weights alone",
    "halfway": "halfway, rules",
    "halfway_alone": "halfway alone",
    "undertrained": "undertrained, rules",
    "undertrained_alone": "undertrained alone",
    "markov": "Markov, Bach's rhythm",
    "markov_with_rhythm": "Markov, rhythm too",
    "shuffled": "shuffled Bach",
}
MARKS = ("<!-- values from Bach: made by python -m benchmarks.measures -->", "<!-- end of the values -->")
DRAWS = 2000
# Sets that the tables of families and metrics show; the others stand in the tables of scores.
SHOWN = ("bach", "shipped", "shipped_alone", "undertrained", "undertrained_alone", "markov", "shuffled")
# Families in which chains and noise are Bach, because they keep what these hear.
KEPT = ("rhythm", "texture", "structure", "playability")


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


def of_pitches(families: np.ndarray) -> np.ndarray:
    """The formula of the score over the families that chains and noise do not keep, `(pieces,)`.

    Args:
        families (array of shape `(pieces, families)`): u.
    """
    scored = [family for family, is_scored in FAMILIES.items() if is_scored]
    heard = families[:, [family not in KEPT for family in scored]]
    return 100 * 2.0 ** -np.nanmean(heard**2, axis=1)


def score_table(sets: dict[str, Any], judged: dict[str, Any]) -> str:
    """Who scores what, and what lets most pieces down."""
    head = [
        "set",
        "n",
        "median",
        "5 % to 95 %",
        "AUC, Bach above",
        "of pitches",
        "what lets most pieces down",
    ]
    rows = []
    for name in SET_NAMES:
        if name in sets:
            values, families, words = judged[name]
            known = values[~np.isnan(values)]
            apart = (
                ""
                if name == "bach"
                else auc_interval(judged["bach"][0], sets["bach"].groups, values, sets[name].groups)
            )
            low, high = np.quantile(known, [0.05, 0.95])
            [(most, times)] = Counter(word or "nothing" for word in words).most_common(1)
            rows.append(
                [
                    SET_NAMES[name],
                    str(len(known)),
                    f"{np.median(known):.1f}",
                    f"{low:.1f} to {high:.1f}",
                    apart,
                    f"{np.nanmedian(of_pitches(families)):.1f}",
                    f"{most} ({100 * times / len(words):.0f} %)",
                ]
            )
    # The last column is text.
    lines = markdown.table(head, rows, right_from=1).splitlines()
    lines[1] = lines[1].removesuffix("---: |") + "--- |"
    return "\n".join(lines)


def candidate_table(sets: dict[str, Any], found: dict[str, dict[str, np.ndarray]]) -> str:
    """AUC of Bach above every set, by candidate."""
    shown = [name for name in SET_NAMES if name in sets and name != "bach"]
    rows = []
    for candidate, values in found.items():
        found_aucs = [auc(values["bach"], values[name]).value for name in shown]
        cells = ["-" if value is None else f"{value:.2f}" for value in found_aucs]
        rows.append([candidate, *cells])
    return markdown.table(["candidate", *(SET_NAMES[name] for name in shown)], rows, right_from=1)


def family_table(families: dict[str, np.ndarray]) -> str:
    """Median u of each family and set."""
    names = [family for family, scored in FAMILIES.items() if scored]
    shown = [name for name in SHOWN if name in families]
    rows = []
    for i, family in enumerate(names):
        cells = []
        for name in shown:
            known = families[name][:, i][~np.isnan(families[name][:, i])]
            cells.append(f"{np.median(known):.2f}" if len(known) else "-")
        rows.append([family, *cells])
    return markdown.table(["family", *(SET_NAMES[name] for name in shown)], rows, right_from=1)


def _interval(values: np.ndarray) -> str:
    """Median and its 95 % bootstrap interval."""
    values = values[~np.isnan(values)]
    if len(values) < 3:
        return "-"
    drawn = values[np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))]
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return f"{number(float(np.median(values)))} ({number(float(low))} to {number(float(high))})"


def metric_table(sets: dict[str, Any]) -> str:
    """Medians of every metric, family by family; Bach's with its interval."""
    shown = [name for name in SHOWN if name in sets and name != "bach"]
    head, rows = ["metric", "unit", "Bach", *(SET_NAMES[name] for name in shown)], []
    for family, scored in FAMILIES.items():
        rows.append([f"**{family}**{'' if scored else ', not scored'}", *[""] * (len(head) - 1)])
        for i, metric in enumerate(METRICS):
            if metric.family != family:
                continue
            cells = []
            for name in shown:
                known = sets[name].rows[:, i][~np.isnan(sets[name].rows[:, i])]
                cells.append(number(float(np.median(known))) if len(known) else "-")
            rows.append([metric.title, metric.unit, _interval(sets["bach"].rows[:, i]), *cells])
    return markdown.table(head, rows, right_from=2)


def card(text: str) -> str:
    """The card with its table of Bach's values renewed.

    Raises:
        ValueError: if the card has lost the marks around its table.
    """
    head = ["metric", "unit", "fugues: median (5 % to 95 %)", "preludes: median (5 % to 95 %)"]
    rows, both = [], [bands("fugue"), bands("prelude")]
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
    return markdown.between(text, MARKS, markdown.table(head, rows, right_from=2))


def composer(judged: dict[str, Any], found: dict[str, dict[str, np.ndarray]]) -> str:
    """How near the composer comes to Bach by the score, and by the classifier."""
    (bach, *_), (ours, *_) = judged["bach"], judged["shipped"]
    apart = [
        auc(one["bach"], one["shipped"]).value or 0.0 for name, one in found.items() if name == "classifier"
    ]
    return (
        f"**The composer** has {np.nanmedian(ours):.1f}, Bach {np.nanmedian(bach):.1f} (AUC"
        f" {auc(bach, ours).value or 0.0:.2f}). Many of its rules were tuned on these metrics, with other seeds: so no"
        " family gives it away by itself, which does not make it Bach's equal. The classifier below, which weighs all"
        f" metrics at once, has {', '.join(f'{value:.2f}' for value in apart)}, and one that is trained against the"
        " composer's own pieces nearly always tells ([results](results.md))."
    )


def order(judged: dict[str, Any], nats: dict[str, float]) -> str:
    """Why an undertrained model lies below chains that keep Bach's rhythm, in figures."""
    middle = {name: float(np.nanmedian(one[0])) for name, one in judged.items()}
    pitches = {name: float(np.nanmedian(of_pitches(one[1]))) for name, one in judged.items()}
    return (
        f"**The order.** Asked was Bach over shipped over undertrained over Markov over shuffled. Chains and noise"
        f" have Bach's own {', '.join(KEPT)}; the model has everything to make. So the whole score puts the model of"
        f" {nats['undertrained']:.1f} nats at {middle['undertrained']:.1f} with rules, chains at"
        f" {middle['markov']:.1f}, noise at {middle['shuffled']:.1f}. *Of pitches*, without these four families, the"
        f" model has {pitches['undertrained']:.1f} with rules and {pitches['undertrained_alone']:.1f} without, chains"
        f" {pitches['markov']:.1f}, noise {pitches['shuffled']:.1f}."
    )


def page(
    sets: dict[str, Any],
    judged: dict[str, Any],
    found: dict[str, dict[str, np.ndarray]],
    nats: dict[str, float],
    seconds: float,
) -> str:
    """`docs/metrics.md`.

    Args:
        sets (dict of `measures.Set`), judged (score, u of the families and words, by set), found (candidates by
            name, then set): what was measured.
        nats (dict of `float`): what a note costs the models that `benchmarks.null_models` trains.
        seconds (`float`): of the processor, that all this took.
    """
    return _PAGE.format(
        formula=inspect.cleandoc(score.__doc__ or "").partition("\n\n")[2].rpartition("\n\n")[0],
        scores=score_table(sets, judged),
        candidates=candidate_table(sets, found),
        families=family_table({name: one[1] for name, one in judged.items()}),
        metrics=metric_table(sets),
        composer=composer(judged, found),
        order=order(judged, nats),
        pieces=len(sets["undertrained"].rows) // 2,
        more=len(sets["shipped"].rows) // 2,
        nats=nats["undertrained"],
        minutes=max(1, round(seconds / 60)),
        halfway=nats["halfway"],
    )


_PAGE = """\
# Musical metrics

Made by `python -m benchmarks.measures --sets SETS --pieces {pieces}`, composing included ({minutes} minutes of one core); do not edit by hand. How to use the metrics: the module's card (`musical_metrics/README.md`) and `musicgpt evaluate --help`. Formulas and sources are the docstrings: [reference](reference.md#metrics-musical_metrics).

**A metric never stands alone.** Beside each value stand held-out Bach, other works of Bach, and music that must lose: small models of {nats:.1f} ("undertrained") and {halfway:.1f} nats a note ("halfway"), with all rules of the composer and without; chains of first order, made of each voice's own pitches, with Bach's rhythm or with one from a chain as well; each voice's pitches in random order. More is not better: the aim is Bach's value.

**Held out**: each of the 87 movements of train and validation, and the null models made of it, is measured with an n-gram and an originality index that have not seen its key number (prelude and fugue, both books), and judged by the other key numbers. The test split is not touched. Composed pieces are asked for what Bach's movements are, {pieces} of each form and set ({more} of the shipped weights with rules), default settings, seeds in order, none left out.

## The musical score

{formula}

![musical score of every set: median, quartiles, 5 % to 95 %](images/metrics_scores.png)

{scores}

AUC: how often a movement of Bach scores above a piece of the set (0.5: the score cannot tell them apart), with the 95 % interval over drawn pieces and key numbers. `musicgpt evaluate` says the words in the last column of any piece: the farthest metric of the farthest family.

{composer}

{order}

![distance of each family from Bach's middle: the shipped weights with rules and alone, the undertrained model with rules, chains](images/metrics_families.png)

Median distance u of each family (1: what 95 % of Bach's movements stay below):

{families}

## Why this one

AUC of Bach above each set. Wanted: 1 for noise, chains and the undertrained model, more than a half for the composer, a half for other Bach.

{candidates}

*Mean typicality* is the formula of before on today's metrics: it lets one good family pay for a bad one. The *classifier* is a ridge regression of Bach against noise, chains and the undertrained model, calibrated and cross-validated by key number; its weights say little to a musician and change with every metric. The *n-gram*, itself a voice in the composer's rules, cannot tell Bach from the weights alone. *The model itself*, asked for the first 256 notes (Bach's eight validation movements and what is made of them; it was trained on the others and on other Bach), likes what it composes alone better than Bach.

The original's six metrics (key, intervals, rhythm, phrases, leaps, parallels) are the family `original`: reported, never scored, never used to choose; its own score, 59.55 for its music and 60.12 for Bach, is on another scale.

## All metrics

Medians; Bach's with its 95 % interval, whole movements of both forms.

{metrics}

## What these metrics cannot hear

Whether a plan of keys convinces, whether a theme is worth hearing, what an instrument or a player adds. Pitches carry no spelling. The bands come from 44 fugues and 43 preludes of one composer: outside of keyboard counterpoint of that time the score means little. A copy of a movement of the train split scores well; look at the nearest passage. Organ works lose by their pedals, which are no hands.
"""
