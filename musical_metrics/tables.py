"""The results as text for people."""

from __future__ import annotations

from pathlib import Path

from tokenization.analysis.view import View
from tokenization.heading import title_of
from tokenization.markdown import columns
from tokenization.score import Score

from .catalogue import METRICS
from .compare import LEAST_PIECES, Comparison
from .originality import nearest_passage
from .score import Judged, musical_score


def number(value: float | None) -> str:
    """Three significant digits or so; `-` for none."""
    if value is None:
        return "-"
    return (
        f"{value:.0f}"
        if abs(value) >= 100
        else f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.3f}".rstrip("0").rstrip(".") or "0"
    )


def name_of(score: Score) -> str:
    """The file that a piece was read from, with the title that it gives; else the title."""
    title = title_of(score)
    if not score.source:
        return title
    return score.source if title == Path(score.source).stem else f"{score.source} ({title})"


def _mark(judged: Judged) -> str:
    if judged.value is None or not judged.outside or judged.high is None:
        return judged.reason or ""
    return "▲ above Bach" if judged.value > judged.high else "▼ below Bach"


def piece_table(view: View, bach: float | None = None) -> str:
    """All metrics of one piece beside Bach's band.

    Args:
        view (`View`): the piece.
        bach (`float`, *optional*): Bach's own musical score, to be named below the table.
    """
    score = view.score
    found = musical_score(view)
    key = f"{score.key}{' (estimated)' if view.key_estimated else ''}" if score.key else "no key"
    head = (
        f"{name_of(score)}: {len(score)} notes, {len(view.voices)} voices ({found.voicing}), {key},"
        f" {score.form or 'no form declared'}"
    )
    rows: list[tuple[str, ...]] = [("metric", "value", "Bach 5 %", "median", "95 %", "unit", "")]
    for metric in METRICS:
        judged = found.metrics[metric.name]
        band = [number(judged.low), number(judged.median), number(judged.high)]
        rows.append((metric.title, number(judged.value), *band, metric.unit, _mark(judged)))
    passage = nearest_passage(view)
    value = f"{found.value:.1f} of 100" if found.value is not None else f"none: {found.reason}"
    own = f"; Bach's own median, held out: {bach:.1f}" if bach is not None else ""
    least = f"\nleast like Bach: {found.weakest}" if found.weakest else ""
    tail = (
        f"musical score {value} (against {found.compared_with}{own}){least}\nnearest Bach passage: {passage}"
    )
    return f"{head}\n{columns(rows, right=(1, 2, 3, 4))}\n{tail}"


def comparison_table(comparison: Comparison) -> str:
    """A set of pieces beside its reference."""
    rows = [("metric", "median", "n", "reference", "n", "AUC", "overlap", "KL")]
    for metric in METRICS:
        c = comparison.metrics[metric.name]
        cells = (
            number(c.median),
            str(c.n),
            number(c.reference_median),
            str(c.reference_n),
            number(c.auc),
            number(c.overlap),
            number(c.divergence),
        )
        rows.append((metric.title, *cells))
    scores = (
        f"median musical score {number(comparison.score)}, of the reference"
        f" {number(comparison.reference_score)}"
    )
    head = f"{comparison.pieces} pieces against {comparison.reference}"
    if comparison.alike:
        head += f" ({comparison.alike} more only transpose or crop one of them and are not counted)"
    return f"{head}\n{columns(rows, right=range(1, 8))}\n{scores}\n{_separations(comparison)}"


def _separations(comparison: Comparison) -> str:
    """How well each family tells the pieces from the reference, beside the floor and the control."""
    if not comparison.families:
        return f"no two-sample test: it needs {LEAST_PIECES} pieces on either side"
    sets = (comparison.families, comparison.floor, comparison.control)
    rows: list[tuple[str, ...]] = [("told apart by", "these pieces", "floor", "Markov chains of them")]
    for family in comparison.families:
        found = [one.get(family) for one in sets]
        rows.append((family, *(f"{x.auc:.2f} ({x.low:.2f} to {x.high:.2f})" if x else "-" for x in found)))
    return (
        "AUC of a cross-validated classifier by family (0.5: cannot be told apart), 95 % interval over"
        f" pieces; floor: two halves of the reference against each other\n{columns(rows, right=range(1, 4))}"
    )
