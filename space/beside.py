"""Bach's own bars beside ours: the passage of the operator's folder of scores that shares the longest run
with a piece.

The page has hashes of the corpus and no scores (`musical_metrics.originality`). Whoever has scores, of Bach
or of anybody, names their folder (`musicgpt demo --corpus FOLDER`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from musical_metrics.cli import score_files
from musical_metrics.originality import all_windows, shared_run
from tokenization import MusicGPTError, Score
from tokenization.analysis.view import View
from tokenization.analysis.windows import STEPS
from tokenization.score import NOMINAL_QPM, ONSET, notes_between

# More files are not read, and of a longer run the first bars are shown.
MAX_FILES, MAX_BARS = 1000, 8


class Excerpt(NamedTuple):
    """Some bars of a piece in which a run of notes stands.

    Attributes:
        score (`Score`): all voices of these bars, from onset 0 on.
        run (integer array of shape `(notes, 4)`): the notes of the run in them.
        bar (`int`): number of the first bar in print.
    """

    score: Score
    run: np.ndarray
    bar: int


class Beside(NamedTuple):
    """A run that two pieces share: its notes, the name of the other piece, and the bars of both."""

    notes: int
    name: str
    ours: Excerpt
    theirs: Excerpt


class Corpus:
    """Scores and the windows of nine notes in them.

    Args:
        scores (sequence of `Score`): at least one; what each is called is its title, else its `source`.
    """

    def __init__(self, scores: Sequence[Score]):
        self._views = [View(score) for score in scores]
        values = [all_windows(view)[0] for view in self._views]
        order = np.argsort(np.concatenate(values), kind="stable")
        self._values = np.concatenate(values)[order]
        self._pieces = np.repeat(np.arange(len(values)), [len(own) for own in values])[order]

    @classmethod
    def read(cls, folder: str | Path, read: Callable[[str], Score]) -> Corpus:
        """Read a folder; files that cannot be read are named in the log and left out.

        Args:
            folder (`str` or `Path`): with MIDI, MusicXML or note tables, folders in it too.
            read (callable): from a path to a score.

        Raises:
            MusicGPTError: if none of its files can be read, or there are more than `MAX_FILES`.
        """
        files = corpus_files(folder)
        scores = []
        for file in files:
            try:
                scores.append(read(str(file)))
            except MusicGPTError as error:
                logging.getLogger(__name__).warning("%s is left out of the corpus: %s", file.name, error)
        scores = [score for score in scores if len(score)]
        if not scores:
            raise MusicGPTError(f"None of the {len(files)} scores in {folder} can be read: see the log.")
        return cls(scores)

    def beside(self, score: Score) -> Beside | None:
        """The longest run of nine notes or more that a voice shares with a voice here, at any pitch and
        speed; `None` without one.
        """
        view = View(score)
        runs = [(shared_run(view, self._views[piece]), self._views[piece]) for piece in self._sharing(view)]
        runs = [run for run in runs if len(run[0][0]) > STEPS]  # two windows may be alike by chance
        if not runs:
            return None
        (ours, theirs), other = max(runs, key=lambda run: len(run[0][0]))
        name = other.score.title or other.score.source or "?"
        return (
            Beside(len(ours), name, excerpt(view, ours), excerpt(other, theirs))
            if len(ours) > STEPS
            else None
        )

    def _sharing(self, view: View) -> list[int]:
        """The pieces that have a window of this one, by number."""
        asked = np.unique(all_windows(view)[0])
        first, end = (np.searchsorted(self._values, asked, side) for side in ("left", "right"))
        return sorted({int(piece) for a, b in zip(first, end, strict=True) for piece in self._pieces[a:b]})


def corpus_files(folder: str | Path) -> list[Path]:
    """The scores in a folder.

    Raises:
        MusicGPTError: if it is no folder, or holds no score or more than `MAX_FILES`.
    """
    if not Path(folder).is_dir():
        raise MusicGPTError(f"{folder} is no folder: --corpus names one with scores to set beside ours.")
    files = score_files([Path(folder)])
    if len(files) > MAX_FILES:
        raise MusicGPTError(
            f"{folder} holds {len(files):,} scores; at most {MAX_FILES:,} are read: name a smaller folder."
        )
    return files


def excerpt(view: View, run: np.ndarray) -> Excerpt:
    """The bars in which a run stands, at most `MAX_BARS`."""
    score, lines = view.score, view.bar_lines
    first, last = np.searchsorted(lines, run[[0, -1], ONSET], side="right") - 1
    last = min(int(last), int(first) + MAX_BARS - 1)
    start = int(lines[first])
    stop = int(lines[last + 1]) if last + 1 < len(lines) else score.end
    part = score.replace(notes=view.array).passage(start, stop)
    bars = Score(part.array, part.meters, key=score.key, tempo=score.tempo or NOMINAL_QPM)
    return Excerpt(bars, notes_between(run, start, stop), int(first) + (0 if score.pickup else 1))


def plain(found: Beside | None, engrave: Callable[[Excerpt, int], str]) -> dict[str, Any] | None:
    """What is found as plain data for the report.

    Args:
        found (`Beside`, *optional*): the run.
        engrave (callable): from an excerpt and its number on the page to SVG.

    Returns:
        `dict` with `notes`, `name`, and `ours` and `theirs`: `svg`, `bar`, `rows` (notes to play) and `qpm`.
    """
    if found is None:
        return None
    sides = {
        name: {
            "svg": engrave(part, number),
            "bar": part.bar,
            "rows": part.score.array.tolist(),
            "qpm": part.score.tempo,
        }
        for number, (name, part) in enumerate((("ours", found.ours), ("theirs", found.theirs)), 1)
    }
    return {"notes": found.notes, "name": found.name, **sides}
