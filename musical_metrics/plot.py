"""A strip plot: where Bach's movements lie on every metric, and where these pieces lie."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tokenization.analysis.view import View
from tokenization.errors import MusicGPTError
from tokenization.midi_writer import write_whole

from .catalogue import METRICS, measure_all
from .reference import bands, length_class, table
from .tables import name_of

_SUFFIXES = (".png", ".svg", ".pdf")
REACH = 4.0  # band widths shown on either side; what lies farther stands at the edge


def _places(values: np.ndarray, band: Any, resolution: float) -> np.ndarray:
    """Signed distances from Bach's median in units of the band's half on that side, cut at `REACH`."""
    signed = [
        np.sign(v - band.median) * band.distance(float(v), resolution) for v in values if not np.isnan(v)
    ]
    return np.clip(np.array(signed, dtype=float), -REACH, REACH)


def draw(views: Sequence[View]) -> Any:
    """The figure (`matplotlib.figure.Figure`).

    Args:
        views (sequence of `View`): at least one piece; the first one's form and length choose the movements
            of Bach.
    """
    from matplotlib.figure import Figure

    first = views[0]
    form, notes = first.score.form, len(first.array)
    reference, bach = bands(form, notes), table()
    keep, rows = bach.select(form), bach.rows(length_class(notes))
    metrics = [m for m in METRICS if m.name in reference]
    measured = [measure_all(view) for view in views]
    figure = Figure(figsize=(9, 0.28 * len(metrics) + 1.4), layout="constrained")
    axes = figure.add_subplot()
    axes.axvspan(-1, 1, color="#dbe7f3", zorder=0, label="Bach, 90 % of the movements")
    rng = np.random.default_rng(0)
    for y, metric in enumerate(metrics):
        band = reference[metric.name]
        theirs = _places(rows[keep, bach.names.index(metric.name)], band, metric.resolution)
        axes.scatter(
            theirs,
            y + rng.uniform(-0.2, 0.2, len(theirs)),
            s=5,
            color="#7f8fa0",
            alpha=0.6,
            linewidths=0,
            zorder=1,
        )
        found = [m[metric.name].value for m in measured]
        ours = _places(
            np.array([np.nan if v is None else v for v in found], dtype=float), band, metric.resolution
        )
        colours = ["#c0392b" if abs(place) > 1 else "#1b5e20" for place in ours]
        axes.scatter(
            ours,
            np.full(len(ours), y),
            s=42,
            marker="D",
            c=colours,
            edgecolors="white",
            linewidths=0.6,
            zorder=2,
        )
    axes.set_yticks(range(len(metrics)), [metric.title for metric in metrics], fontsize=8)
    axes.set(xlim=(-REACH - 0.2, REACH + 0.2), ylim=(len(metrics) - 0.4, -0.6))
    axes.set_xlabel("distance from Bach's median (0) in units of Bach's band (±1); green inside, red outside")
    axes.set_title(name_of(first.score) if len(views) == 1 else f"{len(views)} pieces", loc="left")
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    return figure


def check_plot(path: str | Path) -> None:
    """Look at the ending of a plot's file.

    Raises:
        MusicGPTError: for one that is not drawn.
    """
    if (suffix := Path(path).suffix) and suffix.lower() not in _SUFFIXES:
        raise MusicGPTError(f"A plot cannot end in {suffix!r}: give one of {', '.join(_SUFFIXES)}.")


def write_plot(views: Sequence[View], path: str | Path) -> None:
    """Draw the plot into a PNG, SVG or PDF file, whole or not at all.

    Raises:
        MusicGPTError: for another ending.
    """
    check_plot(path)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = io.BytesIO()
    draw(views).savefig(picture, dpi=150, format=path.suffix.lstrip(".").lower() or "png")
    write_whole(path, picture.getvalue())
