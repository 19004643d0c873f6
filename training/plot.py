"""Curves of a run: loss, its four terms, learning rate and musical score by epoch.

python -m training.plot RUN [--out FILE.png]      (also `musicgpt train --plot RUN`)
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tokenization.interruption import errors_in_one_line
from tokenization.midi_writer import write_whole

from .crops import TERMS
from .errors import TrainingError
from .run_log import read_log

# Colours that stay apart for the colour-blind (Okabe and Ito).
COLOURS = {
    "NOTE": "#0072B2",
    "VOICE": "#E69F00",
    "DUR": "#009E73",
    "TIME": "#CC79A7",
    "train": "#56B4E9",
    "validation": "#D55E00",
}


def epoch_axis(entries: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Where each step stands on an axis of epochs: steps within an epoch are spread evenly between its
    ends.
    """
    ends: dict[int, int] = {0: 0}
    for entry in entries:
        ends[entry["epoch"]] = (
            min(ends.get(entry["epoch"], entry["step"]), entry["step"]) if entry["epoch"] else 0
        )
    # The first entry of epoch e was logged at or just after its beginning; evaluations stand exactly on it.
    for entry in entries:
        if entry["kind"] == "eval" and entry["epoch"]:
            ends[entry["epoch"]] = entry["step"]
    epochs = sorted(ends)
    steps = [ends[epoch] for epoch in epochs]
    last = max(entry["step"] for entry in entries)
    if last > steps[-1]:
        pace = steps[-1] / epochs[-1] if epochs[-1] else last
        epochs, steps = [*epochs, epochs[-1] + (last - steps[-1]) / max(1, pace)], [*steps, last]
    return {entry["step"]: float(np.interp(entry["step"], steps, epochs)) for entry in entries}


def smooth(values: Sequence[float], span: int) -> np.ndarray:
    """Mean over the last `span` values at each place (fewer at the beginning)."""
    sums = np.cumsum(np.insert(np.asarray(values, dtype=float), 0, 0.0))
    begin = np.maximum(0, np.arange(1, len(sums)) - span)
    return (sums[1:] - sums[begin]) / (np.arange(1, len(sums)) - begin)


def draw(run: str | os.PathLike, out: str | os.PathLike | None = None) -> Path:
    """Draw a run's curves into `RUN/curves.png` (or `out`) and return the file.

    Raises:
        TrainingError: if there is no run, or its log has no step yet.
    """
    from matplotlib.figure import Figure

    entries = read_log(run)
    train = [e for e in entries if e["kind"] == "train"]
    evals = [e for e in entries if e["kind"] == "eval"]
    if not train:
        raise TrainingError(f"The log of {run} has no step yet: nothing to draw.")
    where = epoch_axis(entries)
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 2)
    _draw_loss(axes[0, 0], train, evals, where)
    _draw_terms(axes[0, 1], train, evals, where)
    axes[1, 0].plot(
        [where[e["step"]] for e in train], [e["learning_rate"] for e in train], color=COLOURS["NOTE"]
    )
    axes[1, 0].set(title="learning rate", xlabel="epoch", ylim=(0, None))
    axes[1, 0].ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    _draw_musical(axes[1, 1], evals, where)
    for axis in axes.flat:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_xlabel():
            axis.set_xlim(0, max(where.values()) * 1.02)
    figure.suptitle(
        f"{Path(run).resolve().name}: {max(e['step'] for e in entries)} steps, {max(where.values()):.1f}"
        " epochs"
    )
    path = Path(out) if out else Path(run) / "curves.png"
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120)
    write_whole(path, picture.getvalue())
    return path


def _draw_loss(axis: Any, train: list[dict], evals: list[dict], where: dict[int, float]) -> None:
    x, y = [where[e["step"]] for e in train], [e["nats_per_note"] for e in train]
    span = max(1, len(y) // 50)
    if span > 1:
        axis.plot(x, y, color=COLOURS["train"], alpha=0.25, linewidth=0.8)
    axis.plot(x, smooth(y, span), color=COLOURS["train"], label="train (with dropout and augmentation)")
    found = [e for e in evals if "nats_per_note" in e]
    if found:
        values = [e["nats_per_note"] for e in found]
        axis.plot(
            [where[e["step"]] for e in found],
            values,
            "o-",
            markersize=3,
            color=COLOURS["validation"],
            label="validation",
        )
        best = int(np.argmin(values))
        axis.annotate(
            f"{values[best]:.3f}",
            (where[found[best]["step"]], values[best]),
            textcoords="offset points",
            xytext=(0, -14),
            ha="center",
        )
        low = min(*values, *smooth(y, span))
        # The first steps fall from the loss of an untrained model: they would flatten everything that
        # follows.
        axis.set_ylim(low - 0.3, min(max(y), max(values[0], low) + 2.5) + 0.2)
    axis.set(title="loss, nats a note", xlabel="epoch")
    axis.legend(frameon=False)


def _draw_terms(axis: Any, train: list[dict], evals: list[dict], where: dict[int, float]) -> None:
    found = [e for e in evals if TERMS[0] in e]
    rows, style, title = (found, "o-", "validation") if found else (train, "-", "train")
    for term in TERMS:
        values = [e[term] for e in rows]
        axis.plot(
            [where[e["step"]] for e in rows],
            values,
            style,
            markersize=3,
            color=COLOURS[term],
            label=f"{term} {values[-1]:.3f}",
        )
    highest = max(e[term] for e in rows[len(rows) // 10 :] for term in TERMS)
    axis.set(title=f"the four terms ({title}), nats a note", xlabel="epoch", ylim=(0, 1.3 * highest))
    axis.legend(frameon=False, title="at the end", ncols=2)


def _draw_musical(axis: Any, evals: list[dict], where: dict[int, float]) -> None:
    axis.set(title="musical score", xlabel="epoch")
    found = [e for e in evals if "musical_score" in e]
    if not found:
        axis.text(
            0.5,
            0.5,
            "no musical evaluation\n(--musical_every 0)",
            ha="center",
            va="center",
            transform=axis.transAxes,
        )
        axis.set(xticks=[], yticks=[], xlabel="")
        return
    x = [where[e["step"]] for e in found]
    for place, e in zip(x, found, strict=True):
        axis.plot(
            [place] * len(e["scores"]), e["scores"], ".", color=COLOURS["TIME"], alpha=0.35, markersize=4
        )
    axis.plot(
        x,
        [e["musical_score"] for e in found],
        "o-",
        color=COLOURS["TIME"],
        label="musical score (dots: its pieces)",
    )
    both = [(place, e["combined"]) for place, e in zip(x, found, strict=True) if "combined" in e]
    if both:
        axis.plot(
            *zip(*both, strict=True),
            "s--",
            color=COLOURS["DUR"],
            markersize=4,
            label="combined with the loss",
        )
        best = max(both, key=lambda point: point[1])
        axis.annotate(
            "best", best, textcoords="offset points", xytext=(0, 8), ha="center", color=COLOURS["DUR"]
        )
    axis.set_ylim(0, 100)
    axis.legend(frameon=False)


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.plot", description="Draw the curves of a run.")
    parser.add_argument("run", help="folder of the run")
    parser.add_argument("--out", help="file to write (default: RUN/curves.png)")
    given = parser.parse_args(argv)
    print(draw(given.run, given.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
