"""Which excerpts meet in which trial: drawn by a seed, never by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenization import MusicGPTError, Score
from tokenization.score import PITCH
from tokenization.vocabulary import TEMPO_QPM, TICKS_PER_QUARTER

BACH, OURS, SHUFFLED = "bach", "ours", "shuffled"
CATCHES = 3  # trials that whoever listens must get right
# Detection that a difference would have to reach to matter, and the power with which less than that is to be
# shown.
BOUND, POWER = 0.55, 0.8
# Quantiles of the normal distribution: 95 % one-sided, and the power.
_Z_LEVEL, _Z_POWER = 1.645, 0.842


@dataclass(frozen=True)
class Clip:
    """What is played: where it comes from, of which piece, which of its bars (from 1), and the notes,
    beginning at tick 0.
    """

    source: str
    piece: str
    bars: tuple[int, int]
    score: Score


@dataclass(frozen=True)
class Trial:
    """Two clips, one of which is by Bach, in the order in which half of the listeners hear them."""

    first: Clip
    second: Clip
    catch: bool = False


def read_folder(folder: str | Path) -> list[tuple[str, Score]]:
    """Every score of a folder by its file's name, in the order of the names.

    Raises:
        MusicGPTError: if it is no folder, a file cannot be read, or it holds no score.
    """
    from tokenization import read_score
    from tokenization.reading import SUFFIXES

    folder = Path(folder)
    if not folder.is_dir():
        raise MusicGPTError(f"{folder} is no folder; give one that holds scores.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    # One piece may lie there as MIDI and as MusicXML: it is one piece.
    unique = {path.stem: path for path in reversed(files)}
    if not unique:
        raise MusicGPTError(f"{folder} holds no score ({', '.join(sorted(SUFFIXES))}).")
    return [(unique[stem].name, read_score(unique[stem])) for stem in sorted(unique)]


def listeners_needed(trials: int, correlation: float = 0.05) -> tuple[int, int]:
    """Answers and listeners for `POWER` of an upper 95 % bound below `BOUND` when nobody hears a difference.

    Independent answers: (z_level + z_power)^2 p (1 - p) / (BOUND - p)^2 with p = 1/2; answers of one listener
    are alike, so the number grows by the design effect 1 + (trials - 1) * correlation (Kish, *Survey
    Sampling*, 1965).
    """
    answers = (_Z_LEVEL + _Z_POWER) ** 2 * 0.25 / (BOUND - 0.5) ** 2
    needed = answers * (1 + (trials - 1) * correlation)
    return round(answers), int(np.ceil(needed / trials))


def design(
    bach: Sequence[tuple[str, Score]],
    ours: Sequence[tuple[str, Score]],
    trials: int = 24,
    seconds: tuple[float, float] | None = (30.0, 60.0),
    seed: int = 0,
) -> list[Trial]:
    """The trials, catch trials among them, in a random order.

    Every piece is used before one is used again, and then with another excerpt. Bach comes first in half of
    the trials. In a catch trial Bach meets himself with the pitches of each voice in random order.

    Args:
        bach, ours: names and scores.
        trials: without the catch trials.
        seconds: least and greatest length of an excerpt; `None` plays whole pieces.
        seed: every draw follows from it.

    Raises:
        MusicGPTError: if there is nothing to choose from, or a number is out of range.
    """
    if not bach or not ours:
        raise MusicGPTError("A listening test needs at least one piece by Bach and one other.")
    if not 1 <= trials <= 200:
        raise MusicGPTError(f"--trials is {trials}; it must be at least 1 and at most 200.")
    if seconds is not None and not 1 <= seconds[0] <= seconds[1] <= 600:
        raise MusicGPTError(
            f"Excerpts of {seconds[0]:g} to {seconds[1]:g} seconds: give two rising numbers from 1 to 600."
        )
    rng = np.random.default_rng(seed)
    made: list[tuple[Clip, Clip, bool]]
    pairs = list(zip(_drawn(bach, trials, rng), _drawn(ours, trials, rng), strict=True))
    made = [
        (_clip(BACH, *one, seconds, rng), _clip(OURS, *other, seconds, rng), False) for one, other in pairs
    ]
    for name, score in _drawn(bach, CATCHES, rng):
        clip = _clip(BACH, name, score, seconds, rng)
        made.append((clip, Clip(SHUFFLED, name, clip.bars, _shuffled(clip.score, rng)), True))
    swapped = rng.permutation(len(made)) % 2 == 1  # Bach second in half of them
    order = rng.permutation(len(made))
    trials_made = []
    for i in order:
        first, second, catch = made[i]
        trials_made.append(Trial(second, first, catch) if swapped[i] else Trial(first, second, catch))
    return trials_made


def _drawn(
    pieces: Sequence[tuple[str, Score]], count: int, rng: np.random.Generator
) -> list[tuple[str, Score]]:
    """`count` pieces, each once before any comes again."""
    rounds = -(-count // len(pieces))
    order = np.concatenate([rng.permutation(len(pieces)) for _ in range(rounds)])[:count]
    return [pieces[i] for i in order]


def _clip(
    source: str, name: str, score: Score, seconds: tuple[float, float] | None, rng: np.random.Generator
) -> Clip:
    """An excerpt of whole bars, or the piece, at the tempo that its surface has: no source declares one that
    could tell it.
    """
    score = score.replace(tempo=None, tempo_class=None).with_tempo_class()
    score = score.replace(tempo=TEMPO_QPM[score.tempo_class or "moderate"], title="", info={})
    lines = score.bar_lines()
    first, last = 0, len(lines) - 1
    if seconds is not None:
        ticks = np.array(seconds) * (score.tempo or 0) / 60 * TICKS_PER_QUARTER
        # The bars from which the least length is still there; of those one, and as many bars as fit into the
        # greatest.
        possible = np.flatnonzero(lines[-1] - lines[:-1] >= ticks[0])
        first = int(rng.choice(possible)) if len(possible) else 0
        last = max(first + 1, int(np.searchsorted(lines, lines[first] + ticks[1], side="right")) - 1)
    return Clip(source, name, (first + 1, last), score.passage(int(lines[first]), int(lines[last])))


def _shuffled(score: Score, rng: np.random.Generator) -> Score:
    """The pitches in random order: whoever listens hears that."""
    array = score.array.copy()
    array[:, PITCH] = rng.permutation(array[:, PITCH])
    return score.replace(notes=array)
