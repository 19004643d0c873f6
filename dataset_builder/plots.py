"""Plots of a built dataset: pitches and durations before and after normalising, tokens per piece, the
splits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenization.vocabulary import DURATIONS, NEAREST_DURATION, PITCH_MAX, PITCH_MIN, TICKS_PER_QUARTER

from .splits import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE, AFTER, LINE = "#b9b4a7", "#2f5d8a", "#b0413e"
SPLIT_COLOURS = {"train": "#2f5d8a", "validation": "#d9a441", "test": "#b0413e"}
SIZE, DPI = (7.5, 3.6), 90
_COLUMNS = ["id", "kind", "work", "transposition", "notes", "num_notes", "num_tokens"]


def read_rows(folder: Path, config: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of a built config by split, only the columns that the plots need."""
    import pyarrow.parquet as parquet

    paths = {split: sorted((folder / config).glob(f"{split}[-.]*parquet")) for split in SPLITS}
    return {
        split: [row for file in files for row in parquet.read_table(file, columns=_COLUMNS).to_pylist()]
        for split, files in paths.items()
        if files
    }


def write_plots(folder: Path, configs: Sequence[str], out: Path) -> list[Path]:
    """Draw the four plots of the first config.

    Args:
        folder: the built dataset.
        configs: its configs.
        out: folder for the PNGs; made if it is not there.

    Returns:
        The files written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_rows(folder, configs[0])
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in (
        ("pitches", _pitches),
        ("durations", _durations),
        ("tokens", _tokens),
        ("splits", _splits),
    ):
        figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots(), rows)
        path = out / f"{name}.png"
        # No software version in the file: the same data give the same bytes.
        figure.savefig(path, metadata={"Software": None})
        written.append(path)
    return written


def _style(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e3dc", linewidth=0.7)
    axes.set_axisbelow(True)


def _all(rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for split in rows.values() for row in split]


def _pitches(axes: Axes, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Share of the notes on each pitch, as written and in C major / A minor."""
    pieces = _all(rows)
    after = np.concatenate([row["notes"]["pitch"] for row in pieces])
    before = np.concatenate([np.array(row["notes"]["pitch"]) - row["transposition"] for row in pieces])
    low, high = min(before.min(), after.min(), PITCH_MIN) - 1, max(before.max(), after.max(), PITCH_MAX) + 1
    places = np.arange(low, high + 1)
    for pitches, colour, label, width in (
        (before, BEFORE, "as written", 0.95),
        (after, AFTER, "in C major / A minor", 0.5),
    ):
        share = 100 * np.bincount(pitches - low, minlength=len(places))[: len(places)] / len(pitches)
        axes.bar(places, share, width=width, color=colour, label=label)
    for edge in (PITCH_MIN - 0.5, PITCH_MAX + 0.5):
        axes.axvline(edge, color=LINE, linewidth=1, linestyle="--")
    axes.text(PITCH_MIN, axes.get_ylim()[1] * 1.07, " 64 NOTE tokens", color=LINE, fontsize=8)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.15)
    octaves = [pitch for pitch in places if pitch % 12 == 0]
    axes.set_xticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.legend(frameon=False, ncols=2, loc="upper center")
    _style(axes, f"Pitches of {len(after):,} notes", "MIDI pitch", "% of the notes")


def _durations(axes: Axes, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Share of the notes of each duration, in the notes and as DUR tokens, on a logarithmic axis."""
    before = np.concatenate([row["notes"]["duration"] for row in _all(rows)])
    after = np.array(DURATIONS)[NEAREST_DURATION[np.minimum(before, DURATIONS[-1])]]
    values = sorted(set(before.tolist()) | set(DURATIONS))
    place = {value: i for i, value in enumerate(values)}
    for durations, colour, label, width in (
        (before, BEFORE, "on the grid of 24 ticks", 0.95),
        (after, AFTER, "as one of 32 DUR tokens", 0.5),
    ):
        counts = Counter(durations.tolist())
        axes.bar(
            [place[v] for v in counts],
            [100 * n / len(durations) for n in counts.values()],
            width=width,
            color=colour,
            label=label,
        )
    axes.set_yscale("log")
    axes.set_xlim(-1, len(values))
    shown = [value for value in (6, 12, 24, 48, 96, 192) if value in place]
    names = {6: "1/16", 12: "1/8", 24: "1/4", 48: "1/2", 96: "1", 192: "2"}
    axes.set_xticks([place[value] for value in shown], [names[value] for value in shown], fontsize=8)
    axes.legend(frameon=False)
    changed = 100 * float((before != after).mean())
    _style(
        axes,
        f"Durations: {changed:.2f} % of the notes are rounded by the tokens",
        f"note values in rising order (1/4 = {TICKS_PER_QUARTER} ticks)",
        "% of the notes (log)",
    )


def _tokens(axes: Axes, rows: dict[str, list[dict[str, Any]]]) -> None:
    """How long the pieces are, by kind, against the model's context."""
    groups = {"preludes": "prelude", "fugues": "fugue", "other pieces": None}
    lengths = {
        name: [row["num_tokens"] for row in _all(rows) if row["kind"] == kind]
        for name, kind in groups.items()
    }
    lengths = {name: values for name, values in lengths.items() if values}
    top = max(max(values) for values in lengths.values())
    bins = list(range(0, top + 512, 512))
    axes.hist(
        list(lengths.values()),
        bins=bins,
        stacked=True,
        color=[AFTER, "#d9a441", BEFORE][: len(lengths)],
        label=[f"{n} ({len(v)})" for n, v in lengths.items()],
    )
    if top > 4096:
        axes.axvline(4096, color=LINE, linewidth=1, linestyle="--")
        axes.text(4150, axes.get_ylim()[1] * 0.92, "context 4,096", color=LINE, fontsize=8)
    axes.legend(frameon=False)
    _style(axes, f"Tokens per piece, {sum(map(sum, lengths.values())):,} in all", "tokens", "pieces")


def _splits(axes: Axes, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Notes of each split, the Well-Tempered Clavier and further pieces apart."""
    bars = [("WTC", lambda row: row["work"] == "WTC"), ("further pieces", lambda row: row["work"] != "WTC")]
    labels = []
    for y, (name, belongs) in enumerate(bars):
        left, words = 0, []
        for split, members in rows.items():
            chosen = [row for row in members if belongs(row)]
            notes = sum(row["num_notes"] for row in chosen)
            if not notes:
                continue
            axes.barh(y, notes, left=left, color=SPLIT_COLOURS[split], height=0.55)
            words.append(f"{split} {len(chosen)} pieces, {notes:,} notes")
            left += notes
        labels.append(name)
        axes.text(0, y + 0.42, "; ".join(words), va="center", fontsize=8)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.3, -0.75)
    handles = [axes.barh(0, 0, color=SPLIT_COLOURS[split]) for split in rows]
    axes.legend(handles, list(rows), frameon=False, loc="upper right", ncols=3)
    _style(axes, "Notes in each split", "notes", "")
