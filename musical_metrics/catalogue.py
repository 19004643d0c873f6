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
from .measure import NO_NOTES, Measure, nothing
from .verticals import DISSONANT_ABOVE, IMPERFECT


class Metric(NamedTuple):
    """One row of the catalogue.

    Attributes:
        name (`str`), title (`str`), unit (`str`): for machines, for people, of the value.
        function (callable): from a `View` to a `Measure`.
        family (`str`): what it looks at (`FAMILIES`).
        resolution (`float`): the smallest difference that matters, in the metric's unit: no band is narrower
            on either side.
        whole (`bool`): whether it is always compared with whole movements, because an opening has no end to
            compare.
    """

    name: str
    title: str
    unit: str
    function: Callable[..., Measure]
    family: str
    resolution: float
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


def _row(
    function: Callable[..., Measure],
    title: str,
    unit: str,
    resolution: float,
    name: str = "",
    family: str = "",
    whole: bool = False,
    **given: Any,
) -> Metric:
    """A row. Name and family are those of the function and of its module where no others are given; `given`
    are further arguments of the function.
    """
    module = function.__module__.rpartition(".")[2]
    family = family or {"seeds": "original"}.get(module, module)
    bound = partial(function, **given) if given else function
    return Metric(name or function.__name__, title, unit, bound, family, resolution, whole)


METRICS: tuple[Metric, ...] = (
    _row(seeds.out_of_key_ratio, "out-of-key ratio", "share of notes", 0.02),
    _row(
        seeds.out_of_key_ratio,
        "out-of-key ratio by duration",
        "share of time",
        0.02,
        "out_of_key_time",
        by_duration=True,
    ),
    _row(seeds.interval_entropy, "interval entropy", "bits", 0.1),
    *(
        _row(seeds.large_leap_ratio, title, "share of intervals", 0.01, name, threshold=semitones)
        for title, name, semitones in (
            ("leaps beyond a fifth", "large_leap_ratio_7", 7),
            ("leaps beyond an octave", "large_leap_ratio_12", 12),
        )
    ),
    _row(seeds.rhythmic_variety, "rhythmic variety", "bits", 0.1),
    _row(
        seeds.rhythmic_variety,
        "rhythmic variety, normalised",
        "0 to 1",
        0.05,
        "rhythmic_variety_normalised",
        normalised=True,
    ),
    _row(ngram.rhythm_nll, "surprise of the rhythm", "nats a note", 0.1, family="rhythm"),
    _row(seeds.phrase_length, "average phrase length", "quarters", 1.0, "phrase_length_mean"),
    _row(seeds.phrase_length, "median phrase length", "quarters", 1.0, "phrase_length_median", kind="median"),
    _row(seeds.phrase_length, "phrases", "count", 1.0, "phrase_count", kind="count"),
    *(
        _row(seeds.parallels, title, "per 1,000 chances", 5.0, name, interval=interval, sampled=sampled)
        for title, name, interval, sampled in (
            ("parallel fifths", "parallel_fifths", 7, False),
            ("parallel octaves", "parallel_octaves", 0, False),
            ("fifths from beat to beat", "parallel_fifths_beat", 7, True),
            ("octaves from beat to beat", "parallel_octaves_beat", 0, True),
        )
    ),
    _row(counterpoint.voice_crossing, "voice crossing", "share of pairs", 0.01),
    _row(counterpoint.voice_overlap, "voice overlap", "share of steps", 0.005),
    _row(counterpoint.strong_dissonance, "dissonant strong beats", "share of strong beats", 0.05),
    _row(counterpoint.dissonance_treated, "treated dissonances", "share of dissonances", 0.05),
    _row(harmony.chord_fit, "share of each eighth that a chord explains", "0 to 1", 0.01),
    _row(ngram.pitch_nll, "surprise of the pitches", "nats a note", 0.1, family="expectation"),
    _row(structure.repeated_bars, "repeated bars", "share of bars", 0.05),
    _row(structure.longest_loop, "longest loop", "bars", 1.0),
    *(
        _row(
            structure.self_similarity,
            f"likeness of bars {lag} apart",
            "0 to 1",
            0.02,
            f"self_similarity_{lag}",
            lag=lag,
        )
        for lag in (1, 2, 4, 8)
    ),
    _row(counterpoint.final_cadence, "full close at the end", "0 to 1", 1 / 3, family="form", whole=True),
    _row(fugue.subject_entries, "voices that enter with the subject", "share of voices", 0.25, family="form"),
    _row(fugue.subject_recurrence, "statements of the subject", "per voice", 0.5, family="form"),
    _row(originality.longest_run, "longest run shared with the train split", "notes", 4.0),
    _row(originality.passage_similarity, "likeness to passages of the train split", "0 to 1", 0.02),
    _row(verticals.struck_dissonance, "struck dissonances", "share of pairs", 0.01),
    _row(
        verticals.struck_dissonance,
        "struck minor seconds and major sevenths",
        "share of pairs",
        0.005,
        "struck_semitones",
        classes=verticals.SEMITONES,
    ),
    _row(keys.foreign_notes, "notes foreign to the scale around them", "share of notes", 0.01),
    _row(keys.opening_in_key, "first four bars heard in the key", "0 or 1", 0.1),
    _row(keys.opening_degree, "first note is degree 1 or 5", "0 or 1", 0.1),
    _row(keys.inner_cadences, "cadences inside", "per 16 bars", 0.2, whole=True),
    _row(keys.final_triad, "ends on the tonic triad", "0 or 1", 0.05, whole=True),
    _row(
        recurrence.recurring_patterns, "patterns that return far apart", "share of patterns", 0.02, whole=True
    ),
    _row(recurrence.bars_in_sequence, "bars in sequence", "share of bars", 0.01),
    _row(recurrence.figure_kept, "figure kept from bar to bar", "0 to 1", 0.02),
    _row(recurrence.static_bars, "bars in which nothing moves", "share of bars", 0.01),
    _row(fugue.entry_density, "statements of the subject", "per 16 bars", 0.5, whole=True),
    _row(fugue.stretti, "stretti", "count", 0.5, whole=True),
    _row(fugue.tonal_answer, "answers that are tonal", "0 or 1", 0.1),
    _row(fugue.countersubject_returns, "countersubject returns", "share of statements", 0.05, whole=True),
    _row(playability.wide_hands, "a hand strikes more than a tenth", "share of moments", 0.02),
    _row(
        playability.wide_hands,
        "a hand holds more than a tenth",
        "share of moments",
        0.02,
        "wide_hands_held",
        held=True,
    ),
    _row(playability.beyond_keyboard, "notes outside C2 to C6", "share of notes", 0.02),
    _row(playability.widest_voice, "widest voice", "semitones", 3.0),
    _row(rhythm.beats_struck, "beats that are struck", "share of beats", 0.02),
    _row(rhythm.syncopation, "notes between beats that last over the next", "share of notes", 0.01),
    _row(rhythm.values_kept, "steps as long as the one before", "share of steps", 0.05),
    _row(melody.steps_by_second, "melodic seconds", "share of intervals", 0.05),
    _row(melody.repeated_pitches, "repeated pitches", "share of intervals", 0.02),
    _row(melody.leaps_recovered, "leaps that a step takes back", "share of leaps", 0.05),
    _row(melody.turns, "changes of direction", "share of pairs of intervals", 0.05),
    _row(texture.voices_sounding, "voices that sound", "share of voices", 0.05),
    _row(texture.changing_texture, "change of the number of voices from bar to bar", "voices", 0.1),
    _row(texture.struck_together, "onsets at which voices strike together", "share of onsets", 0.05),
    _row(texture.outer_distance, "distance of the outer voices", "semitones", 1.0),
    *(
        _row(verticals.above_bass, title, "share of intervals", 0.02, name, classes=classes, on_beat=on_beat)
        for title, name, classes, on_beat in (
            ("thirds and sixths above the bass on beats", "bass_imperfect_on_beat", IMPERFECT, True),
            ("thirds and sixths above the bass between beats", "bass_imperfect_off_beat", IMPERFECT, False),
            ("dissonances above the bass on beats", "bass_dissonant_on_beat", DISSONANT_ABOVE, True),
            ("dissonances above the bass between beats", "bass_dissonant_off_beat", DISSONANT_ABOVE, False),
        )
    ),
    _row(counterpoint.dissonance_prepared, "prepared dissonances", "share of dissonances", 0.05),
    *(
        _row(harmony.root_motion, title, "share of changes of root", 0.02, name, classes=classes)
        for title, name, classes in (
            ("roots that fall a fifth", "root_falls_fifth", (5,)),
            ("roots that move by a second", "root_steps", (1, 2, 10, 11)),
        )
    ),
    _row(harmony.root_changes, "beats with a new root", "share of beats", 0.05),
    _row(keys.away_from_home, "four bars heard in another key", "share of windows", 0.05),
    _row(keys.near_keys, "four bars heard in the key or one near it", "share of windows", 0.05),
    _row(keys.key_changes, "changes of key", "per 16 bars", 0.5),
    _row(
        recurrence.returns_on_beats,
        "patterns that return a whole number of beats away",
        "share of patterns",
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
    return {
        metric.name: metric.function(view, **given.get(metric.name, {}))
        if len(view.array)
        else nothing(NO_NOTES)
        for metric in METRICS
    }
