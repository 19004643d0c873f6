"""A score as a picture: time to the right, pitch upwards, one colour a voice, wrapped into systems like a
printed page.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokenization.heading import COMPOSER, facts, subtitle_of, title_of
from tokenization.midi_writer import write_whole
from tokenization.score import DURATION, ONSET, PITCH, VOICE, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One colour a voice from the highest down; told apart by people with any of the common colour-vision
# deficiencies.
VOICE_COLOURS = ("#c8452f", "#2f6fb0", "#2e8b57", "#8a5bb5", "#b07d17")
VOICE_NAMES = ("voice 1 (highest)", "voice 2", "voice 3", "voice 4", "voice 5")
_PAPER, _BLACK_KEY, _LINE, _BAR, _INK = "#fdfcf9", "#f3f0e8", "#e4dfd3", "#b9b2a3", "#2b2a27"
_BLACK_KEYS = (1, 3, 6, 8, 10)
_SYSTEM_TICKS = 24 * 4 * 8  # about eight bars of 4/4 a system
_MAX_SYSTEMS = 24


def write_png(score: Score, path: str | os.PathLike, given: int | np.ndarray = 0) -> Path:
    """Draw a score as a piano roll, wrapped into systems of about eight bars.

    Args:
        score (`Score`): the piece; needs at least one note.
        path (`str` or path): where the PNG goes; written whole or not at all.
        given (`int`, or bool array of shape `(notes,)`): this many of the first notes (in the score's order),
            or these, are drawn paler; with a line where they end, if they are the first.

    Returns:
        `Path`: the path written.
    """
    picture = io.BytesIO()
    # Without the entry Software the file holds no version number, so equal pictures are equal files.
    draw(score, given).savefig(picture, format="png", dpi=110, metadata={"Software": None, **_texts(score)})
    write_whole(path, picture.getvalue())
    return Path(path)


def _texts(score: Score) -> dict[str, str]:
    """What the PNG says of its piece, under the names that the format has for it."""
    told = facts(score)
    author = told.pop(COMPOSER, "")
    found = {
        "Title": title_of(score),
        "Author": author,
        "Description": "; ".join(f"{name}: {value}" for name, value in told.items()),
    }
    return {name: text for name, text in found.items() if text}


def draw(score: Score, given: int | np.ndarray = 0) -> Figure:
    """The picture that `write_png` writes, as a matplotlib figure."""
    given = np.arange(len(score)) < given if isinstance(given, int) else given  # (notes,)
    from matplotlib.figure import Figure

    systems = _systems(score)
    low, high = int(score.array[:, PITCH].min()) - 2, int(score.array[:, PITCH].max()) + 2
    system_height = 0.6 + 0.048 * (high - low)
    height = 1.0 + len(systems) * (system_height + 0.35)
    figure = Figure(figsize=(13, height), facecolor="white")
    grid = figure.add_gridspec(
        len(systems),
        1,
        left=0.045,
        right=0.985,
        top=1 - 0.82 / height,
        bottom=0.4 / height,
        hspace=0.35 / system_height,
    )
    width = max(stop - start for start, stop in systems)
    for row, (start, stop) in enumerate(systems):
        axes = figure.add_subplot(grid[row])
        _draw_system(axes, score, start, stop, width, (low, high), given)
    _draw_heading(figure, score, int(given.sum()), height)
    return figure


def _systems(score: Score) -> list[tuple[int, int]]:
    """First and last tick of each system: whole bars, wider ones when the piece is very long."""
    lines = score.bar_lines()
    aim = max(_SYSTEM_TICKS, int(lines[-1]) // _MAX_SYSTEMS + 1)
    systems, start = [], 0
    for line, following in zip(lines[1:], [*lines[2:], None], strict=True):
        if following is None or following - start > aim:
            systems.append((int(start), int(line)))
            start = line
    return systems


def _draw_system(
    axes: Axes,
    score: Score,
    start: int,
    stop: int,
    width: int,
    pitches: tuple[int, int],
    given: np.ndarray,
) -> None:
    low, high = pitches
    axes.set_xlim(start, start + width)
    axes.set_ylim(low - 0.5, high + 0.5)
    axes.set_facecolor("white")
    axes.axvspan(start, stop, color=_PAPER, zorder=0)
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK_KEYS:
            axes.fill_between(
                [start, stop], pitch - 0.5, pitch + 0.5, color=_BLACK_KEY, linewidth=0, zorder=1
            )
        if pitch % 12 == 0:
            axes.plot([start, stop], [pitch - 0.5] * 2, color=_LINE, linewidth=0.8, zorder=2)
    lines = score.bar_lines()
    for number, line in enumerate(lines.tolist()):
        if start <= line <= stop:
            axes.plot([line, line], [low - 0.5, high + 0.5], color=_BAR, linewidth=0.8, zorder=3)
        if start <= line < stop:
            axes.text(
                line + 3, high + 0.8, str(number + 1), fontsize=7.5, color=_INK, alpha=0.65, va="bottom"
            )
    _draw_notes(axes, score, start, stop, given)
    octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves], fontsize=7.5, color=_INK)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_notes(axes: Axes, score: Score, start: int, stop: int, given: np.ndarray) -> None:
    """The bars of the notes that sound in `start <= tick < stop`; a note over the edge is drawn in both
    systems.
    """
    from matplotlib.collections import PolyCollection

    array = score.array
    sounding = (array[:, ONSET] < stop) & (array[:, ONSET] + array[:, DURATION] > start)
    # From the lowest voice to the highest, so that the highest lies on top where two share a pitch.
    for voice in reversed(range(len(VOICE_COLOURS))):
        for is_given in (True, False):
            rows = array[sounding & (array[:, VOICE] == voice) & (given == is_given)]
            if not len(rows):
                continue
            left = np.maximum(rows[:, ONSET], start) + 0.6
            right = np.maximum(np.minimum(rows[:, ONSET] + rows[:, DURATION], stop) - 0.6, left + 0.8)
            bottom, top = rows[:, PITCH] - 0.42, rows[:, PITCH] + 0.42
            corners = np.stack([[left, bottom], [left, top], [right, top], [right, bottom]])  # (4, 2, notes)
            axes.add_collection(
                PolyCollection(
                    corners.transpose(2, 0, 1).tolist(),
                    facecolors=VOICE_COLOURS[voice],
                    edgecolors="white",
                    linewidths=0.4,
                    alpha=0.38 if is_given else 0.95,
                    zorder=5,
                )
            )
    number = int(given.sum())
    if 0 < number < len(array) and given[:number].all():
        end = int(array[number, ONSET])
        if start <= end < stop:
            axes.axvline(end, color=_INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=6)


def _draw_heading(figure: Figure, score: Score, number: int, height: float) -> None:
    from matplotlib.patches import Patch

    words = [
        score.key.name if score.key else None,
        score.meters[0].name,
        f"{len(score)} notes",
        f"{score.num_bars} bars",
        subtitle_of(score),
    ]
    if number:
        words.append(f"paler: the {number} given notes")
    figure.text(
        0.045,
        1 - 0.3 / height,
        title_of(score),
        parse_math=False,
        fontsize=14,
        color=_INK,
        fontweight="bold",
        va="center",
    )
    figure.text(
        0.045,
        1 - 0.55 / height,
        "  ·  ".join(word for word in words if word),
        fontsize=9,
        color=_INK,
        va="center",
    )
    voices = np.unique(score.array[:, VOICE]).tolist()
    figure.legend(
        handles=[Patch(color=VOICE_COLOURS[v], label=VOICE_NAMES[v]) for v in voices],
        loc="upper right",
        bbox_to_anchor=(0.985, 1 - 0.16 / height),
        ncols=len(voices),
        fontsize=8,
        frameon=False,
        handlelength=1.1,
        columnspacing=1.2,
    )
