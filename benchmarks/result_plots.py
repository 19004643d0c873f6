"""The pictures of `docs/metrics.md` and `docs/results.md`: who scores what, how far each family lies from Bach's middle,
and what a classifier hears.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from musical_metrics.catalogue import FAMILIES

BACH, OURS, GREY = "#5b7ea4", "#1b7837", "#8a8a8a"
COLOURS = {"shipped": OURS, "shipped_alone": "#7fbf7b", "undertrained": "#d08c2c", "markov": "#b03a2e"}
MARKERS = {"shipped": "o", "shipped_alone": "o", "undertrained": "s", "markov": "D"}


def _figure(rows: int, columns: int = 1, height: float = 0.3) -> tuple[Any, Any]:
    """A figure and its panels, so high that there is room for the rows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height * rows + 1.2), layout="constrained")
    return figure, figure.subplots(1, columns, sharey=True, squeeze=False)[0]


def _rows(axis: Any, names: Sequence[str]) -> None:
    """A line for each name, the first on top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    for y in range(1, len(names)):
        axis.axhline(y - 0.5, color="#eeeeee", linewidth=0.8, zorder=0)


def _save(figure: Any, file: Path) -> None:
    from tokenization.midi_writer import write_whole

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    write_whole(file, buffer.getvalue())


def _known(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def draw_scores(scores: Mapping[str, np.ndarray], names: Mapping[str, str], file: Path) -> None:
    """Who scores what: of each set the median, its quartiles (thick) and 5 % to 95 % (thin), beside Bach's.

    Args:
        scores (mapping of arrays `(pieces,)`): by set; `bach` is one of them.
        names (mapping of `str`): what the sets are called, in the order in which they stand.
        file (`Path`): the PNG.
    """
    shown = [name for name in names if name in scores]
    figure, [axis] = _figure(len(shown))
    axis.axvspan(*np.quantile(_known(scores["bach"]), [0.05, 0.95]), color=BACH, alpha=0.15, linewidth=0)
    for y, name in enumerate(shown):
        low, q1, middle, q3, high = np.quantile(_known(scores[name]), [0.05, 0.25, 0.5, 0.75, 0.95])
        bach = name in ("bach", "inventions", "sinfonias", "art_of_fugue", "organ")
        colour = BACH if bach else COLOURS.get(name, GREY)
        axis.plot([low, high], [y, y], color=colour, linewidth=1)
        axis.plot([q1, q3], [y, y], color=colour, linewidth=5, alpha=0.6, solid_capstyle="butt")
        axis.plot(middle, y, "o", color=colour, markersize=7)
        axis.annotate(
            f"{middle:.0f}", (middle, y), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    _rows(axis, [names[name] for name in shown])
    axis.set(xlim=(0, 100), xlabel="musical score; shaded: 90 % of Bach's movements, held out")
    _save(figure, file)


def draw_families(families: Mapping[str, np.ndarray], names: Mapping[str, str], file: Path) -> None:
    """How far each family lies from Bach's middle: medians and quartiles of four sets; left of 1 is Bach.

    Args:
        families (mapping of arrays `(pieces, families)`): u, by set.
        names (mapping of `str`): what the sets are called.
        file (`Path`): the PNG.
    """
    scored = [family for family, is_scored in FAMILIES.items() if is_scored]
    shown = [name for name in COLOURS if name in families]
    figure, [axis] = _figure(len(scored), height=0.48)
    axis.axvspan(0, 1, color=BACH, alpha=0.15, linewidth=0, label="95 % of Bach's movements")
    bach = [np.median(_known(families["bach"][:, i])) for i in range(len(scored))]
    axis.plot(bach, range(len(scored)), "|", color=BACH, markersize=18, label="Bach's median")
    for k, name in enumerate(shown):
        y = np.arange(len(scored)) + 0.19 * (k - (len(shown) - 1) / 2)
        quartiles = np.array(
            [
                np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else [np.nan] * 3
                for known in (_known(families[name][:, i]) for i in range(len(scored)))
            ]
        )
        axis.hlines(y, quartiles[:, 0], quartiles[:, 2], color=COLOURS[name], linewidth=1.5, alpha=0.6)
        axis.plot(quartiles[:, 1], y, MARKERS[name], color=COLOURS[name], markersize=5.5, label=names[name])
    _rows(axis, scored)
    axis.set(xlim=(0, 3.05), xlabel="u: distance from Bach's middle, medians and quartiles of the pieces")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    _save(figure, file)


def draw_told(apart: Mapping[str, Mapping[str, Mapping[str, Any]]], file: Path) -> None:
    """What a classifier hears, family by family: our pieces, two halves of Bach, and chains, each against Bach.

    Args:
        apart (mapping): by form, then `families`, `floor` and `control`, then family: `auc`, `low`, `high`.
        file (`Path`): the PNG.
    """
    kinds = (
        ("floor", "Bach against Bach", BACH, "|"),
        ("families", "our pieces with rules", OURS, "o"),
        ("control", "chains of our pieces", COLOURS["markov"], "D"),
    )
    rows = list(apart["fugue"]["families"])
    figure, axes = _figure(len(rows), len(apart), height=0.36)
    for axis, (form, found) in zip(axes, apart.items(), strict=True):
        axis.axvline(0.5, color="#999999", linewidth=0.8, linestyle=":")
        for k, (kind, label, colour, marker) in enumerate(kinds):
            for y, family in enumerate(rows):
                if one := found[kind].get(family):
                    place = y + 0.22 * (k - 1)
                    axis.plot(
                        [one["low"], one["high"]], [place, place], color=colour, linewidth=1.2, alpha=0.6
                    )
                    axis.plot(one["auc"], place, marker, color=colour, label=label if not y else None)
        _rows(axis, rows)
        axis.set(xlim=(0, 1.03), title=f"{form}s", xlabel="AUC; 0.5: cannot be told from Bach")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    _save(figure, file)
