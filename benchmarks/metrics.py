"""Speed of the musical score: pieces of 1,000 notes a second on one core, and what each metric takes of it.

python benchmarks/metrics.py [--notes 1000] [--pieces 20]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parent.parent)


def random_walks(seed: int, notes: int, voices: int = 4):
    """A piece of random walks in C major."""
    from tokenization.score import Score

    rng = np.random.default_rng(seed)
    scale = np.array([p for p in range(36, 85) if p % 12 in (0, 2, 4, 5, 7, 9, 11)])
    rows = []
    for voice in range(voices):
        count = notes // voices + (voice < notes % voices)
        durations = rng.choice([6, 6, 12, 12, 24], count)
        onsets = np.cumsum(durations) - durations
        places = np.clip(22 - 5 * voice + np.cumsum(rng.integers(-2, 3, count)), 0, len(scale) - 1)
        rows.append(np.stack([onsets, durations, scale[places], np.full(count, voice)], axis=1))
    return Score(np.concatenate(rows), key="C major", form="fugue")


def main() -> None:
    """Measure and print one JSON object; seconds are those of the processor, so that a busy machine does not
    count.
    """
    from musical_metrics.catalogue import METRICS
    from musical_metrics.score import musical_score
    from tokenization.analysis.view import View

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=1000)
    parser.add_argument("--pieces", type=int, default=20)
    arguments = parser.parse_args()
    pieces = [random_walks(seed, arguments.notes) for seed in range(arguments.pieces)]
    start = time.process_time()
    musical_score(pieces[0])
    first = time.process_time() - start
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for piece in pieces:
            musical_score(piece)
        rounds.append((time.process_time() - start) / len(pieces))
    each = {}
    for metric in METRICS:
        views = [View(piece) for piece in pieces]
        start = time.process_time()
        for view in views:
            metric.function(view)
        each[metric.name] = round(1000 * (time.process_time() - start) / len(pieces), 3)
    result = {
        "notes": arguments.notes,
        "pieces": arguments.pieces,
        "seconds_to_load_and_score_the_first": round(first, 4),
        "pieces_a_second": {
            "median": round(1 / float(np.median(rounds)), 1),
            "worst": round(1 / max(rounds), 1),
            "best": round(1 / min(rounds), 1),
        },
        "milliseconds_of_each_metric_alone": dict(sorted(each.items(), key=lambda item: -item[1])),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
