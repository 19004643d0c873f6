"""The tonal plans of the train split: which local keys a movement goes through, for how many bars each.

    python -m benchmarks.tonal_plans [--source ../shared/data/wtc] [--show wtc1f02] [--write musicgpt/rules/tonal_plans.json]

The local key of every bar is the most likely path of a hidden Markov model: states are the 24 keys, a bar's
observation the sounding time of its twelve pitch classes, the first and the last bar are at home (C. Raphael
and J. Stoddard, "Functional harmonic analysis using probabilistic models", Computer Music Journal 28, 2004).
What is written are counts: no notes.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from musical_metrics.corpus import Movement, read_corpus
from musical_metrics.harmony import profiles_between
from musicgpt.rules.harmony import harmonic_unit
from musicgpt.rules.keys import TRIADS, mode_of
from tokenization.analysis.view import View, as_view
from tokenization.midi_writer import write_whole
from tokenization.score import DURATION, ONSET, PITCH

ROOT = Path(__file__).resolve().parent.parent
# J. Albrecht and D. Shanahan, "The use of large corpora to train a new type of key-finding algorithm", Music
# Perception 31 (2013): shares of the pitch classes from the tonic upwards. Minor's sixth and seventh, which
# stand there for all of minor, are those of the harmonic scale here: a bar in minor must not look like its
# relative major.
MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.045, 0.070)
# A bar stays in the key of the bar before with this probability; a quarter of sounding time counts as so many
# independent draws.
STAY, STRENGTH = 0.9, 0.6


def emission_table() -> np.ndarray:
    """Log of the shares of the pitch classes, twelve major keys from C, then minor ones: `(24, 12)`."""
    return np.log(np.array([np.roll(profile, k) for profile in (MAJOR, MINOR) for k in range(12)]))


def transition_table() -> np.ndarray:
    """Log probabilities from key to key, `(24, 24)`: by distance in the circle of fifths of their scales."""
    fifths = np.array([(7 * k) % 12 for k in range(12)] + [(7 * (k + 3)) % 12 for k in range(12)])
    apart = np.abs(fifths[:, None] - fifths[None])
    near = np.exp(-np.minimum(apart, 12 - apart).astype(float))
    near[np.arange(24), np.arange(24)] = 0
    table = (1 - STAY) * near / near.sum(axis=1, keepdims=True)
    return np.log(table + STAY * np.eye(24))


def bar_weights(view: View) -> np.ndarray:
    """Sounding quarters of the pitch classes in each bar, `(bars, 12)`."""
    return profiles_between(view.array, view.bar_lines)[0] / 24


def local_keys(weights: np.ndarray, home: int) -> np.ndarray:
    """The most likely key of every bar (Viterbi), `(bars,)`, 0-11 major from C, 12-23 minor."""
    emissions = STRENGTH * weights @ emission_table().T  # (bars, 24)
    emissions[0, np.arange(24) != home] = -np.inf
    return best_path(emissions, transition_table(), last=home)


def sections(movement: Movement) -> list[tuple[int, int]]:
    """Keys with how many bars each holds; a key is `2 * (semitones above home) + (1 if minor)`."""
    view = as_view(movement.score)
    assert movement.score.key is not None
    home = movement.score.key
    weights = bar_weights(view)
    keys = local_keys(weights, home.number)
    return [
        (2 * ((key % 12 - home.pitch_class) % 12) + key // 12, len(list(group)))
        for key, group in groupby(keys.tolist())
    ]


NAMES = ["I", "bII", "II", "bIII", "III", "IV", "#IV", "V", "bVI", "VI", "bVII", "VII"]


def named(key: int) -> str:
    """The degree of a key, in small letters if minor."""
    name = NAMES[key // 2]
    return name.lower() if key % 2 else name


def counts(movements: Sequence[Movement]) -> dict[str, object]:
    """What `musicgpt.rules.tonal_plan` draws from, by form and mode: how often a key follows another
    (`steps`), how many bars the first, the inner and the last sections hold, and, by form and meter, how many
    bars movements have.
    """
    steps: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    lengths: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    bars: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for movement in movements:
        score = movement.score
        assert score.key is not None and score.form is not None
        kind, plan = f"{score.form} {score.key.mode}", sections(movement)
        bars[score.form][f"{score.meters[0].numerator}/{score.meters[0].denominator}"].append(
            sum(length for _, length in plan)
        )
        for (key, _), (after, _) in zip(plan, plan[1:], strict=False):
            steps[kind][str(key)][str(after)] += 1
        places = ["first", *["inner"] * (len(plan) - 2), "last"] if len(plan) > 1 else []
        for place, (_, length) in zip(places, plan, strict=False):
            lengths[kind][place].append(length)
    return {
        "chords": chord_counts(movements),
        "steps": {
            kind: {key: dict(sorted(found.items())) for key, found in sorted(keys.items())}
            for kind, keys in sorted(steps.items())
        },
        "lengths": {
            kind: {place: sorted(found) for place, found in sorted(places.items())}
            for kind, places in sorted(lengths.items())
        },
        "bars": {
            form: {meter: sorted(found) for meter, found in sorted(meters.items())}
            for form, meters in sorted(bars.items())
        },
    }


# Share of a chord's sounding time that its own notes have; a chord lasts on with this probability.
INSIDE, LASTS = 0.8, 0.3
# Rounds of decoding and counting.
ROUNDS = 4


def chord_counts(movements: Sequence[Movement]) -> dict[str, list[list[float]]]:
    """How often one degree follows another within a key, from harmonic unit to harmonic unit, `(7, 7)` by mode:
    the most likely chords of a hidden Markov model, its steps counted again from them (Viterbi training)."""
    pieces = [(mode, scores) for movement in movements for mode, scores in chord_scores(movement)]
    found = {}
    for mode in TRIADS:
        table = np.full((7, 7), (1 - LASTS) / 6) + (LASTS - (1 - LASTS) / 6) * np.eye(7)
        for _ in range(ROUNDS):
            counts = np.ones((7, 7))
            for own, scores in pieces:
                if own == mode:
                    path = best_path(scores, np.log(table))
                    np.add.at(counts, (path[:-1], path[1:]), 1)
            table = counts / counts.sum(axis=1, keepdims=True)
        found[mode] = np.round(table, 4).tolist()
    return found


def chord_scores(movement: Movement) -> list[tuple[str, np.ndarray]]:
    """For each part in one key its mode and how well each degree explains each unit, `(units, 7)`."""
    view, home = as_view(movement.score), movement.score.key
    assert home is not None
    lines, array = view.bar_lines, view.array
    keys = local_keys(bar_weights(view), home.number)
    starts, ends = array[:, ONSET], array[:, ONSET] + array[:, DURATION]
    parts: list[tuple[str, np.ndarray]] = []
    for key, bars in groupby(range(len(keys)), key=lambda bar: int(keys[bar])):
        mode, rows = mode_of(key), []
        for bar in bars:
            unit = harmonic_unit(int(lines[bar + 1] - lines[bar]))
            for first in range(int(lines[bar]), int(lines[bar + 1]), unit):
                inside = np.clip(np.minimum(ends, first + unit) - np.maximum(starts, first), 0, None)
                weights = np.bincount((array[:, PITCH] - key) % 12, weights=inside, minlength=12) / 24
                rows.append([_fit(weights, chord) for chord in TRIADS[mode]])
        parts.append((mode, np.array(rows)))
    return parts


def _fit(weights: np.ndarray, chord: tuple[int, ...]) -> float:
    own = weights[list(chord)].sum()
    return float(own * np.log(INSIDE / 3) + (weights.sum() - own) * np.log((1 - INSIDE) / 9))


def best_path(scores: np.ndarray, steps: np.ndarray, last: int | None = None) -> np.ndarray:
    """The most likely states, `(units,)`, by how well each explains each unit, `(units, states)`, and by log
    probabilities of which follows which, `(states, states)`; the last one may be given (Viterbi).
    """
    best, back = scores[0], []
    for row in scores[1:]:
        ways = best[:, None] + steps
        back.append(ways.argmax(axis=0))
        best = ways.max(axis=0) + row
    path = [int(best.argmax()) if last is None else last]
    for row in back[::-1]:
        path.append(int(row[path[-1]]))
    return np.array(path[::-1])


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plans, or count and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, default=ROOT.parent / "shared/data/wtc")
    parser.add_argument("--show", help="print the plan of movements whose name holds this")
    parser.add_argument("--write", type=Path, help="write the counts here")
    given = parser.parse_args(argv)
    movements = [m for m in read_corpus(given.source) if m.split == "train"]
    for movement in movements:
        if given.show is not None and given.show in movement.id:
            print(movement.id, *(f"{named(key)}:{bars}" for key, bars in sections(movement)))
    if given.write:
        write_whole(given.write, (json.dumps(counts(movements), indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
