"""The catalogue: every metric with its function, unit, and family."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tokenization.analysis.view import as_view

from . import (
    counterpoint,
    fugue,
    harmony,
    keys,
    melody,
    ngram,
    originality,
    playability,
    recurrence,
    rhythm,
    seeds,
    structure,
    texture,
    verticals,
)
from .measure import Measure, nothing


class Metric(NamedTuple):
    """One row of the catalogue.

    Attributes:
        name (`str`), title (`str`), unit (`str`): for machines, for people, of the value.
        function (callable): from a `View` to a `Measure`.
        family (`str`): what it looks at (`FAMILIES`).
        resolution (`float`): the smallest difference that matters, in the metric's unit: no band is narrower
            on either side.
        voices (`bool`): whether it needs voices that are lines.
        whole (`bool`): whether it is always compared with whole movements, because an opening has no end to
            compare.
    """

    name: str
    title: str
    unit: str
    function: Callable[..., Measure]
    family: str
    resolution: float
    voices: bool = True
    whole: bool = False

    @property
    def scored(self) -> bool:
        """Whether it enters the musical score."""
        return FAMILIES[self.family]


# What the families hear, and whether they enter the musical score. The original's six do not (five of them
# cannot tell Bach from a Markov chain, and they are never used to choose); nor does what the composer's
# rules make by themselves (cadence at the end, entries of the subject), nor what only asks whether a piece
# copies.
FAMILIES = {
    "rhythm": True,
    "melody": True,
    "texture": True,
    "counterpoint": True,
    "verticals": True,
    "harmony": True,
    "keys": True,
    "expectation": True,
    "structure": True,
    "recurrence": True,
    "fugue": True,
    "playability": True,
    "form": False,
    "originality": False,
    "original": False,
}

_P = partial
METRICS: tuple[Metric, ...] = (
    Metric(
        "out_of_key_ratio",
        "out-of-key ratio",
        "share of notes",
        seeds.out_of_key_ratio,
        "original",
        0.02,
        voices=False,
    ),
    Metric(
        "out_of_key_time",
        "out-of-key ratio by duration",
        "share of time",
        _P(seeds.out_of_key_ratio, by_duration=True),
        "original",
        0.02,
        voices=False,
    ),
    Metric("interval_entropy", "interval entropy", "bits", seeds.interval_entropy, "original", 0.1),
    Metric(
        "large_leap_ratio_7",
        "leaps beyond a fifth",
        "share of intervals",
        _P(seeds.large_leap_ratio, threshold=7),
        "original",
        0.01,
    ),
    Metric(
        "large_leap_ratio_12",
        "leaps beyond an octave",
        "share of intervals",
        _P(seeds.large_leap_ratio, threshold=12),
        "original",
        0.01,
    ),
    Metric(
        "rhythmic_variety", "rhythmic variety", "bits", seeds.rhythmic_variety, "original", 0.1, voices=False
    ),
    Metric(
        "rhythmic_variety_normalised",
        "rhythmic variety, normalised",
        "0 to 1",
        _P(seeds.rhythmic_variety, normalised=True),
        "original",
        0.05,
        voices=False,
    ),
    Metric("rhythm_nll", "surprise of the rhythm", "nats a note", ngram.rhythm_nll, "rhythm", 0.1),
    Metric(
        "phrase_length_mean",
        "average phrase length",
        "quarters",
        seeds.phrase_length,
        "original",
        1.0,
    ),
    Metric(
        "phrase_length_median",
        "median phrase length",
        "quarters",
        _P(seeds.phrase_length, kind="median"),
        "original",
        1.0,
    ),
    Metric(
        "phrase_count",
        "phrases",
        "count",
        _P(seeds.phrase_length, kind="count"),
        "original",
        1.0,
    ),
    Metric(
        "parallel_fifths",
        "parallel fifths",
        "per 1,000 chances",
        _P(seeds.parallels, interval=7),
        "original",
        5.0,
    ),
    Metric(
        "parallel_octaves",
        "parallel octaves",
        "per 1,000 chances",
        _P(seeds.parallels, interval=0),
        "original",
        5.0,
    ),
    Metric(
        "parallel_fifths_beat",
        "fifths from beat to beat",
        "per 1,000 chances",
        _P(seeds.parallels, interval=7, sampled=True),
        "original",
        5.0,
    ),
    Metric(
        "parallel_octaves_beat",
        "octaves from beat to beat",
        "per 1,000 chances",
        _P(seeds.parallels, interval=0, sampled=True),
        "original",
        5.0,
    ),
    Metric(
        "voice_crossing",
        "voice crossing",
        "share of pairs",
        counterpoint.voice_crossing,
        "counterpoint",
        0.01,
    ),
    Metric(
        "voice_overlap", "voice overlap", "share of steps", counterpoint.voice_overlap, "counterpoint", 0.005
    ),
    Metric(
        "strong_dissonance",
        "dissonant strong beats",
        "share of strong beats",
        counterpoint.strong_dissonance,
        "counterpoint",
        0.05,
    ),
    Metric(
        "dissonance_treated",
        "treated dissonances",
        "share of dissonances",
        counterpoint.dissonance_treated,
        "counterpoint",
        0.05,
    ),
    Metric(
        "chord_fit",
        "share of each eighth that a chord explains",
        "0 to 1",
        harmony.chord_fit,
        "harmony",
        0.01,
        voices=False,
    ),
    Metric("pitch_nll", "surprise of the pitches", "nats a note", ngram.pitch_nll, "expectation", 0.1),
    Metric(
        "repeated_bars",
        "repeated bars",
        "share of bars",
        structure.repeated_bars,
        "structure",
        0.05,
        voices=False,
    ),
    Metric("longest_loop", "longest loop", "bars", structure.longest_loop, "structure", 1.0, voices=False),
    *(
        Metric(
            f"self_similarity_{lag}",
            f"likeness of bars {lag} apart",
            "0 to 1",
            _P(structure.self_similarity, lag=lag),
            "structure",
            0.02,
            voices=False,
        )
        for lag in (1, 2, 4, 8)
    ),
    Metric(
        "final_cadence",
        "full close at the end",
        "0 to 1",
        counterpoint.final_cadence,
        "form",
        1 / 3,
        voices=False,
        whole=True,
    ),
    Metric(
        "subject_entries",
        "voices that enter with the subject",
        "share of voices",
        fugue.subject_entries,
        "form",
        0.25,
    ),
    Metric(
        "subject_recurrence", "statements of the subject", "per voice", fugue.subject_recurrence, "form", 0.5
    ),
    Metric(
        "longest_run",
        "longest run shared with the train split",
        "notes",
        originality.longest_run,
        "originality",
        4.0,
    ),
    Metric(
        "passage_similarity",
        "likeness to passages of the train split",
        "0 to 1",
        originality.passage_similarity,
        "originality",
        0.02,
    ),
    Metric(
        "struck_dissonance",
        "struck dissonances",
        "share of pairs",
        verticals.struck_dissonance,
        "verticals",
        0.01,
    ),
    Metric(
        "struck_semitones",
        "struck minor seconds and major sevenths",
        "share of pairs",
        _P(verticals.struck_dissonance, classes=verticals.SEMITONES),
        "verticals",
        0.005,
    ),
    Metric(
        "foreign_notes",
        "notes foreign to the scale around them",
        "share of notes",
        keys.foreign_notes,
        "keys",
        0.01,
        voices=False,
    ),
    Metric(
        "opening_in_key",
        "first four bars heard in the key",
        "0 or 1",
        keys.opening_in_key,
        "keys",
        0.1,
        voices=False,
    ),
    Metric(
        "opening_degree",
        "first note is degree 1 or 5",
        "0 or 1",
        keys.opening_degree,
        "keys",
        0.1,
        voices=False,
    ),
    Metric(
        "inner_cadences",
        "cadences inside",
        "per 16 bars",
        keys.inner_cadences,
        "keys",
        0.2,
        voices=False,
        whole=True,
    ),
    Metric(
        "final_triad",
        "ends on the tonic triad",
        "0 or 1",
        keys.final_triad,
        "keys",
        0.05,
        voices=False,
        whole=True,
    ),
    Metric(
        "recurring_patterns",
        "patterns that return far apart",
        "share of patterns",
        recurrence.recurring_patterns,
        "recurrence",
        0.02,
        whole=True,
    ),
    Metric(
        "bars_in_sequence",
        "bars in sequence",
        "share of bars",
        recurrence.bars_in_sequence,
        "recurrence",
        0.01,
    ),
    Metric(
        "figure_kept",
        "figure kept from bar to bar",
        "0 to 1",
        recurrence.figure_kept,
        "recurrence",
        0.02,
    ),
    Metric(
        "static_bars",
        "bars in which nothing moves",
        "share of bars",
        recurrence.static_bars,
        "recurrence",
        0.01,
    ),
    Metric(
        "entry_density",
        "statements of the subject",
        "per 16 bars",
        fugue.entry_density,
        "fugue",
        0.5,
        whole=True,
    ),
    Metric("stretti", "stretti", "count", fugue.stretti, "fugue", 0.5, whole=True),
    Metric("tonal_answer", "answers that are tonal", "0 or 1", fugue.tonal_answer, "fugue", 0.1),
    Metric(
        "countersubject_returns",
        "countersubject returns",
        "share of statements",
        fugue.countersubject_returns,
        "fugue",
        0.05,
        whole=True,
    ),
    Metric(
        "wide_hands",
        "a hand strikes more than a tenth",
        "share of moments",
        playability.wide_hands,
        "playability",
        0.02,
        voices=False,
    ),
    Metric(
        "wide_hands_held",
        "a hand holds more than a tenth",
        "share of moments",
        _P(playability.wide_hands, held=True),
        "playability",
        0.02,
        voices=False,
    ),
    Metric(
        "beyond_keyboard",
        "notes outside C2 to C6",
        "share of notes",
        playability.beyond_keyboard,
        "playability",
        0.02,
        voices=False,
    ),
    Metric(
        "widest_voice",
        "widest voice",
        "semitones",
        playability.widest_voice,
        "playability",
        3.0,
    ),
    Metric(
        "beats_struck",
        "beats that are struck",
        "share of beats",
        rhythm.beats_struck,
        "rhythm",
        0.02,
        voices=False,
    ),
    Metric(
        "syncopation",
        "notes between beats that last over the next",
        "share of notes",
        rhythm.syncopation,
        "rhythm",
        0.01,
        voices=False,
    ),
    Metric(
        "values_kept", "steps as long as the one before", "share of steps", rhythm.values_kept, "rhythm", 0.05
    ),
    Metric(
        "steps_by_second", "melodic seconds", "share of intervals", melody.steps_by_second, "melody", 0.05
    ),
    Metric(
        "repeated_pitches", "repeated pitches", "share of intervals", melody.repeated_pitches, "melody", 0.02
    ),
    Metric(
        "leaps_recovered",
        "leaps that a step takes back",
        "share of leaps",
        melody.leaps_recovered,
        "melody",
        0.05,
    ),
    Metric("turns", "changes of direction", "share of pairs of intervals", melody.turns, "melody", 0.05),
    Metric(
        "voices_sounding", "voices that sound", "share of voices", texture.voices_sounding, "texture", 0.05
    ),
    Metric(
        "changing_texture",
        "change of the number of voices from bar to bar",
        "voices",
        texture.changing_texture,
        "texture",
        0.1,
    ),
    Metric(
        "struck_together",
        "onsets at which voices strike together",
        "share of onsets",
        texture.struck_together,
        "texture",
        0.05,
    ),
    Metric(
        "outer_distance", "distance of the outer voices", "semitones", texture.outer_distance, "texture", 1.0
    ),
    Metric(
        "bass_imperfect_on_beat",
        "thirds and sixths above the bass on beats",
        "share of intervals",
        _P(verticals.above_bass, classes=verticals.IMPERFECT, on_beat=True),
        "verticals",
        0.02,
    ),
    Metric(
        "bass_imperfect_off_beat",
        "thirds and sixths above the bass between beats",
        "share of intervals",
        _P(verticals.above_bass, classes=verticals.IMPERFECT, on_beat=False),
        "verticals",
        0.02,
    ),
    Metric(
        "bass_dissonant_on_beat",
        "dissonances above the bass on beats",
        "share of intervals",
        _P(verticals.above_bass, classes=verticals.DISSONANT_ABOVE, on_beat=True),
        "verticals",
        0.02,
    ),
    Metric(
        "bass_dissonant_off_beat",
        "dissonances above the bass between beats",
        "share of intervals",
        _P(verticals.above_bass, classes=verticals.DISSONANT_ABOVE, on_beat=False),
        "verticals",
        0.02,
    ),
    Metric(
        "dissonance_prepared",
        "prepared dissonances",
        "share of dissonances",
        counterpoint.dissonance_prepared,
        "counterpoint",
        0.05,
    ),
    Metric(
        "root_falls_fifth",
        "roots that fall a fifth",
        "share of changes of root",
        _P(harmony.root_motion, classes=(5,)),
        "harmony",
        0.02,
        voices=False,
    ),
    Metric(
        "root_steps",
        "roots that move by a second",
        "share of changes of root",
        _P(harmony.root_motion, classes=(1, 2, 10, 11)),
        "harmony",
        0.02,
        voices=False,
    ),
    Metric(
        "root_changes",
        "beats with a new root",
        "share of beats",
        harmony.root_changes,
        "harmony",
        0.05,
        voices=False,
    ),
    Metric(
        "away_from_home",
        "four bars heard in another key",
        "share of windows",
        keys.away_from_home,
        "keys",
        0.05,
        voices=False,
    ),
    Metric(
        "near_keys",
        "four bars heard in the key or one near it",
        "share of windows",
        keys.near_keys,
        "keys",
        0.05,
        voices=False,
    ),
    Metric("key_changes", "changes of key", "per 16 bars", keys.key_changes, "keys", 0.5, voices=False),
    Metric(
        "returns_on_beats",
        "patterns that return a whole number of beats away",
        "share of patterns",
        recurrence.returns_on_beats,
        "recurrence",
        0.02,
    ),
)
NAMES = tuple(metric.name for metric in METRICS)
BY_NAME = {metric.name: metric for metric in METRICS}


def measure_all(
    score, models: ngram.Models | None = None, index: originality.Index | None = None
) -> dict[str, Measure]:
    """All metrics of one piece, by name.

    Args:
        score (`Score` or `View`): any, empty ones included.
        models (`ngram.Models`, *optional*), index (`originality.Index`, *optional*): others than the shipped
            ones, for held-out values.
    """
    view = as_view(score)
    given: dict[str, dict[str, Any]] = {
        "pitch_nll": {"models": models},
        "rhythm_nll": {"models": models},
        "longest_run": {"index": index},
        "passage_similarity": {"index": index},
    }
    measures = {}
    for metric in METRICS:
        if not len(view.array):
            measures[metric.name] = nothing(seeds.NO_NOTES)
        else:
            measures[metric.name] = metric.function(view, **given.get(metric.name, {}))
    return measures


__all__ = ["BY_NAME", "FAMILIES", "METRICS", "NAMES", "Metric", "measure_all"]
