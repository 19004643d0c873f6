"""Plain figures of the notes, beside Bach's: what anyone would count first who knows neither rules nor metrics.

    python -m benchmarks.plain [--model DIR] [--pieces 40] [--first-seed 86000] [--source ../shared/data/wtc]

The pieces are those of `benchmarks.form` with other seeds. Of each figure the mean and the standard deviation
over pieces are printed, and how often a piece has more of it than a movement of Bach's (the area under the
curve: .5 where nothing tells them apart). Rules are not tuned on these seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tokenization import markdown
from tokenization.analysis.view import SILENT, View
from tokenization.score import DURATION, ONSET, PITCH, VOICE, Score
from tokenization.vocabulary import FORMS

from .result_pieces import compose

# Ticks of an eighth and a quarter: every eighth is looked at for what sounds, and rests are a sixteenth or
# more.
EIGHTH, QUARTER, REST = 12, 24, 6
OCTAVE, STEP = 12, 2  # semitones


def figures(score: Score) -> dict[str, float]:
    """The figures of a score by what they are called in the table; NaN for none."""
    view = View(score)
    return {
        **_of_all(view),
        **_of_lines(view),
        **_of_beats(view),
        **_of_what_sounds(view),
        **_of_bars(view),
    }


def _of_all(view: View) -> dict[str, float]:
    array, bar = view.array, view.bar_lines[1] - view.bar_lines[0]
    onsets, pitches, durations = array[:, ONSET], array[:, PITCH], array[:, DURATION]
    classes = np.bincount(pitches % OCTAVE, weights=durations, minlength=OCTAVE)
    return {
        "bits of the pitch classes": _bits(classes),
        "mean pitch": pitches.mean(),
        "lowest pitch": pitches.min(),
        "highest pitch": pitches.max(),
        "notes a quarter": len(array) * QUARTER / (onsets + durations).max(),
        "notes that begin together": len(array) / len(view.times),
        "notes on beats": np.mean(onsets % QUARTER == 0),
        "sixteenths": np.mean(durations == EIGHTH // 2),
        "last chord, bars": durations[onsets == onsets.max()].max() / bar,
    }


def _of_lines(view: View) -> dict[str, float]:
    """Of the voices, as lines of their notes in time."""
    lines = [view.array[view.array[:, VOICE] == voice] for voice in view.voices]
    lines = [line[np.lexsort((-line[:, PITCH], line[:, ONSET]))] for line in lines]
    steps = np.concatenate([np.diff(line[:, PITCH]) for line in lines])
    silent = [
        line[1:, ONSET] - np.maximum.accumulate(line[:, ONSET] + line[:, DURATION])[:-1] for line in lines
    ]
    back = np.concatenate([line[2:, PITCH] == line[:-2, PITCH] for line in lines])
    wide = [np.subtract(*np.percentile(line[:, PITCH], [95, 5])) for line in lines]
    gaps = np.concatenate(silent)
    spans = [(line[:, ONSET] + line[:, DURATION]).max() - line[0, ONSET] for line in lines]
    return {
        "semitone steps": np.mean(np.abs(steps) == 1),
        "thirds": np.mean(np.isin(np.abs(steps), (3, 4))),
        "back to the note before": back.mean(),
        "semitones of a voice, 5 to 95 %": float(np.mean(wide)),
        "rests a note": np.sum(gaps >= REST) / len(view.array),
        "longest rest, bars": gaps.max(initial=0) / (view.bar_lines[1] - view.bar_lines[0]),
        "time in which a voice rests": np.maximum(gaps, 0).sum() / np.sum(spans),
    }


def _of_beats(view: View) -> dict[str, float]:
    """Of the voices on the beats on which a note begins: where a voice goes that sounds on two running."""
    pitches = view.pitches(view.rows)[view.after_beat(view.times) == 0].astype(np.int64)
    moves = np.where((pitches[1:] != SILENT) & (pitches[:-1] != SILENT), np.diff(pitches, axis=0), 0)
    steps = np.abs(moves) <= STEP
    goes_on = steps[1:] & steps[:-1] & (moves[1:] * moves[:-1] > 0)
    return {
        "from beat to beat by step": np.mean(steps[moves != 0]),
        "from beat to beat upwards": np.mean(moves[moves != 0] > 0),
        "two steps from beat to beat in one direction": np.sum(goes_on) / np.sum(moves != 0),
    }


def _of_what_sounds(view: View) -> dict[str, float]:
    """Of the pitches that sound at each eighth, and of those above the lowest one on beats."""
    sounding = _sounding(view, range(0, int((view.array[:, ONSET] + view.array[:, DURATION]).max()), EIGHTH))
    chords = [chord for chord in sounding if len(chord) > 1]
    gaps = np.array([np.diff(chord).max() for chord in chords])
    above = np.concatenate([chord[1:] - chord[0] for chord in _sounding(view, view.beats) if len(chord) > 1])
    above = above[above > 0] % OCTAVE
    return {
        "voices that sound": float(np.mean([len(chord) for chord in sounding])),
        "with a unison": float(np.mean([len(set(chord.tolist())) < len(chord) for chord in chords])),
        "from the highest to the lowest": float(np.mean([chord[-1] - chord[0] for chord in chords])),
        "with more than two octaves between neighbours": np.mean(gaps > 2 * OCTAVE),
        "octaves above the bass on beats": np.mean(above == 0),
        "thirds above the bass on beats": np.mean(np.isin(above, (3, 4))),
        "fourths above the bass on beats": np.mean(above == 5),
    }


def _sounding(view: View, ticks: Iterable[int]) -> list[np.ndarray]:
    """The pitches that sound at each tick, rising."""
    onset, end = view.array[:, ONSET], view.array[:, ONSET] + view.array[:, DURATION]
    return [np.sort(view.array[(onset <= tick) & (end > tick), PITCH]) for tick in ticks]


def _of_bars(view: View) -> dict[str, float]:
    """Of the bars but for the last."""
    onsets, lines = view.array[:, ONSET], view.bar_lines
    notes = np.histogram(onsets, lines)[0][:-1]
    places = np.histogram(view.times, lines)[0][:-1]
    classes = [
        np.bincount(view.array[view.bar_of_note == bar, PITCH] % OCTAVE, minlength=OCTAVE)
        for bar in range(len(notes))
    ]
    return {
        "bits of a bar's pitch classes": float(np.mean([_bits(own) for own in classes if own.any()])),
        "change of notes from bar to bar": _change(notes),
        "change of places from bar to bar": _change(places),
    }


def _bits(weights: np.ndarray) -> float:
    """Entropy of what the weights have their shares of, in bits."""
    shares = weights[weights > 0] / weights.sum()
    return float(-(shares * np.log2(shares)).sum())


def _change(counts: np.ndarray) -> float:
    """How much neighbouring bars differ, as a share of what a bar has; NaN for a single one."""
    return float(np.abs(np.diff(counts)).mean() / counts.mean()) if len(counts) > 1 else np.nan


def table(bach: list[dict[str, float]], ours: list[dict[str, float]]) -> str:
    """The figures as Markdown, those that tell the pieces apart best first."""
    from musical_metrics.compare import auc

    rows = []
    for name in bach[0]:
        theirs, own = (np.array([found[name] for found in one]) for one in (bach, ours))
        apart = float(auc(own, theirs).value or 0.5)
        spread = [f"{values.mean():.3g} ({values.std():.2g})" for values in (theirs, own)]
        rows.append((abs(apart - 0.5), (name, *spread, f"{apart:.2f}")))
    rows.sort(key=lambda row: -row[0])
    return markdown.table(("what", "Bach", "ours", "AUC"), [row for _, row in rows])


def main() -> None:
    """The command line."""
    from musical_metrics.corpus import read_corpus
    from training.models import load_model

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="shipped", help="folder, Hub id, or `shipped` (default)")
    parser.add_argument("--pieces", type=int, default=40, help="of each form (default 40)")
    parser.add_argument("--first-seed", type=int, default=86000, help="seeds go up from here")
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data/wtc"), help="the folder of the scores"
    )
    given = parser.parse_args()
    movements, model = read_corpus(given.source), load_model(given.model)
    for form in FORMS:
        made = compose(model, movements, form, given.pieces, given.first_seed)
        theirs = [movement.score for movement in movements if movement.score.form == form]
        print(f"{form}s\n{table([*map(figures, theirs)], [*map(figures, made)])}\n", flush=True)


if __name__ == "__main__":
    main()
