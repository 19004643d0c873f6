"""What voices of the train split do, for two tables of the rules: `python -m benchmarks.voices [--source ../shared/data/wtc]`

prints the paces of its fugues (`musicgpt/rules/motion.py`), and by form and number of voices the mean pitch of
each voice (`musicgpt/rules/registers.py`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from musical_metrics.corpus import read_corpus
from tokenization.score import DURATION, ONSET, PITCH, VOICE, Score

QUARTER = 24  # ticks


def pace(score: Score) -> tuple[float, float]:
    """Onsets a quarter of the first voice of a fugue alone, and of all voices from the answer on."""
    array = score.array[np.argsort(score.array[:, ONSET], kind="stable")]
    answer = array[array[:, VOICE] != array[0, VOICE], ONSET].min()
    subject = array[array[:, ONSET] < answer, ONSET]
    later = np.unique(array[array[:, ONSET] >= answer, ONSET])
    own = QUARTER * (len(subject) - 1) / (subject[-1] - subject[0])
    return round(float(own), 2), round(float(QUARTER * len(later) / (later[-1] - answer)), 2)


def mean_pitches(score: Score) -> list[float]:
    """Of each voice, by how long its notes last."""
    lines = [score.array[score.array[:, VOICE] == voice] for voice in np.unique(score.array[:, VOICE])]
    return [float(np.average(line[:, PITCH], weights=line[:, DURATION])) for line in lines]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=Path("../shared/data/wtc"))
    movements = [one for one in read_corpus(parser.parse_args().source) if one.split == "train"]
    print(sorted(pace(movement.score) for movement in movements if movement.score.form == "fugue"))
    by_voices: dict[tuple[str, int], list[list[float]]] = {}
    for movement in movements:
        found = mean_pitches(movement.score)
        by_voices.setdefault((str(movement.score.form), len(found)), []).append(found)
    for (form, voices), rows in sorted(by_voices.items()):
        print(f"{len(rows)} {form}s of {voices} voices: {np.round(np.mean(rows, axis=0), 1).tolist()}")


if __name__ == "__main__":
    main()
