"""Types of Bach's preludes: what `musicgpt/rules/prelude_type.py` draws from.

    python -m benchmarks.prelude_types [--source ../shared/data/wtc] [--show]

Of the train split's preludes how many are of each type, by voices, and what their openings are. A prelude is an
invention where another voice has the opening of the first one within two bars, at the octave or the fifth; a
figuration where nearly all onsets are equally far apart and the durations of its first two bars vary little;
else it is cantabile: a melody over what accompanies it. What is printed are counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from musical_metrics.corpus import Movement, read_corpus
from musical_metrics.recurrence import figure_kept
from musical_metrics.seeds import entropy, rhythmic_variety
from musicgpt.rules.prelude_type import CANTABILE, FIGURATION, INVENTION
from musicgpt.rules.tonal_plan import tables
from tokenization.analysis.view import View
from tokenization.score import DURATION, ONSET, PITCH, Score

from .tonal_plans import best_path, chord_scores

ROOT = Path(__file__).resolve().parent.parent
# Notes of an opening that are looked for in another voice, at least and at most, and how many of their steps
# in time and pitch, give or take a semitone, have to be there.
LEAST, MOST, RHYTHM, STEPS = 5, 10, 0.9, 0.7
# Bars within which it comes, and intervals modulo the octave at which it does.
WITHIN, INTERVALS = 2, (0, 5, 7)
# Share of onsets at the commonest distance, and bits of the durations of the opening, of a figuration.
EVEN, PLAIN = 0.9, 1.25
BARS = 2


def imitates(score: Score) -> bool:
    """Whether another voice has the opening of a voice that begins."""
    lines, bar = View(score).lines, int(np.diff(View(score).bar_lines)[-2])
    voices = {v: lines[lines[:, 3] == v] for v in np.unique(lines[:, 3])}
    begin = lines[:, ONSET].min()
    for voice, line in voices.items():
        opening = line[line[:, ONSET] < line[0, ONSET] + bar * (1 if bar >= 60 else 2)][:MOST]
        if line[0, ONSET] - begin >= bar / 2 or len(opening) < LEAST or np.ptp(opening[:, PITCH]) < 3:
            continue
        if any(_has(other, opening, bar) for v, other in voices.items() if v != voice):
            return True
    return False


def _has(line: np.ndarray, opening: np.ndarray, bar: int) -> bool:
    """Whether a voice has an opening later, and had not at once."""
    found = []
    for k in range(len(line) - len(opening) + 1):
        there = line[k : k + len(opening)]
        later, up = there[0, ONSET] - opening[0, ONSET], there[0, PITCH] - opening[0, PITCH]
        if later > WITHIN * bar:
            break
        rhythm = np.mean(np.diff(there[:, ONSET]) == np.diff(opening[:, ONSET]))
        steps = np.mean(np.abs(np.diff(there[:, PITCH]) - np.diff(opening[:, PITCH])) <= 1)
        if rhythm >= RHYTHM and steps >= STEPS and up % 12 in INTERVALS and abs(up) >= 5:
            found.append(later)
    return bool(found) and min(found) >= bar / 2


def opening_bits(score: Score) -> float:
    """Entropy of the durations of the first two bars."""
    lines, array = View(score).bar_lines, score.array
    return entropy(
        array[array[:, ONSET] < lines[BARS + (lines[1] - lines[0] < lines[2] - lines[1])], DURATION]
    )


def type_of(score: Score) -> str:
    """The type of a prelude."""
    if imitates(score):
        return INVENTION
    steps = np.diff(np.unique(score.array[:, ONSET]))
    is_even = np.unique(steps, return_counts=True)[1].max() >= EVEN * len(steps)
    return FIGURATION if is_even and opening_bits(score) <= PLAIN else CANTABILE


def chords_kept(movement: Movement) -> float:
    """Share of the harmonic units in which the chord of the one before goes on."""
    same = total = 0
    for mode, scores in chord_scores(movement):
        path = best_path(scores, np.log(np.array(tables()["chords"][mode])))
        same, total = same + int((path[1:] == path[:-1]).sum()), total + len(path) - 1
    return same / max(1, total)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, default=ROOT.parent / "shared/data/wtc")
    parser.add_argument("--show", action="store_true", help="also print the type of each movement")
    given = parser.parse_args(argv)
    movements = [m for m in read_corpus(given.source) if m.split == "train" and m.score.form == "prelude"]
    kinds = {m.id: type_of(m.score) for m in movements}
    if given.show:
        for m in movements:
            print(
                m.id, m.score.num_voices, m.score.meters[0].name, kinds[m.id], f"{opening_bits(m.score):.2f}"
            )
    for kind in (INVENTION, FIGURATION, CANTABILE):
        own = [m for m in movements if kinds[m.id] == kind]
        scores = [m.score for m in own]
        two = sum(score.num_voices == 2 for score in scores)
        bits, variety = (np.mean([f(score) for score in scores]) for f in (opening_bits, _variety))
        kept = np.mean([figure_kept(score).value for score in scores])
        chords = np.mean([chords_kept(m) for m in own])
        print(
            f"{kind}: {two} of two voices, {len(own) - two} of more; bits of the opening {bits:.2f}, of the whole"
            f" {variety:.2f}; figure kept {kept:.2f}, chord kept {chords:.2f}"
        )


def _variety(score: Score) -> float:
    return rhythmic_variety(score).value or 0.0


if __name__ == "__main__":
    main()
