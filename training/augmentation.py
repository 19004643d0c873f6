"""Staged augmentation of `Score`s: what may be changed about a piece so that it is still a piece.

Everything acts on quantised scores in C major / A minor and gives one back. A draw depends on the seed, the
epoch and the piece alone, so a run that was interrupted draws the same again.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tokenization import rescaling as note_values
from tokenization.score import NOMINAL_QPM, PACE_LIMITS, PITCH, VOICE, Score
from tokenization.vocabulary import PITCH_MAX, PITCH_MIN, TEMPO_CLASSES, TEMPO_QPM

from .crops import Piece
from .errors import ArgumentsError


@dataclass(frozen=True)
class Stage:
    """What is allowed until a share of the run is over."""

    until: float = 1.0
    """Share of the run (0-1) at which the stage ends."""
    share: float = 1.0
    """Probability that a piece is changed at all; the other fields say what may then happen to it."""
    transpose: int = 0
    """Largest transposition in semitones, up or down. It breaks the normalised key; see `mode_of_transposed`
    for what the prefix then says.
    """
    transpose_share: float = 0.5
    """Probability that a piece is transposed at all."""
    octave: float = 0.0
    """Probability that a piece moves by an octave, if it stays within the NOTE range."""
    tempo: float = 0.0
    """Largest change of tempo, as a share: the piece is played up to so much faster or slower. The tokens
    know tempo as the class slow, moderate or fast alone, so a piece near a limit of `PACE_LIMITS` changes its
    TEMPO token, and no other token moves.
    """
    rescale: float = 0.0
    """Probability that all note values are doubled or halved, where the tokens have a meter for it and nearly
    every value.
    """
    drop_voice: float = 0.0
    """Probability that one voice of at least three is left out; VOICES then says so."""


_LIMITS = {"until": (0, 1), "transpose": (0, 6), "tempo": (0, 0.9)}


def read_stages(values: Sequence[Mapping[str, float]]) -> tuple[Stage, ...]:
    """Stages from a recipe.

    Raises:
        ArgumentsError: naming the stage and the field that is unknown or out of range; `until` must rise, the
            last one to 1.
    """
    names = [item.name for item in dataclasses.fields(Stage)]
    stages = []
    for place, fields in enumerate(values, start=1):
        for name, value in fields.items():
            if name not in names:
                raise ArgumentsError(
                    f"Stage {place} of --stages has an unknown field {name!r}; there are {', '.join(names)}."
                )
            low, high = _LIMITS.get(name, (0, 1))
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise ArgumentsError(
                    f"Stage {place} of --stages has {name} {value!r}; it must be between {low} and {high}."
                )
        kinds = typing.get_type_hints(Stage)
        stages.append(Stage(**{name: kinds[name](value) for name, value in fields.items()}))
    ends = [stage.until for stage in stages]
    if stages and (ends[-1] != 1 or any(a >= b for a, b in zip(ends, ends[1:], strict=False))):
        raise ArgumentsError(
            f"The stages of --stages end at {ends}: `until` must rise and the last must be 1."
        )
    return tuple(stages)


def stage_at(stages: Sequence[Stage], progress: float) -> Stage:
    """The stage at a share of the run; one that changes nothing when there are no stages."""
    return next((stage for stage in stages if progress < stage.until), stages[-1] if stages else Stage())


def augment(piece: Piece, stage: Stage, rng: np.random.Generator) -> tuple[Score, int]:
    """The piece as this epoch sees it, and by how many semitones it was transposed out of C major / A minor
    (octaves do not count).

    The same number of draws is made whatever the stage allows.
    """
    draws = rng.random(9)
    score, semitones = piece.score, 0
    if draws[8] >= stage.share:
        return score, semitones
    factor = 1.0 + stage.tempo * (2 * draws[0] - 1)
    if draws[1] < stage.drop_voice:
        score = without_voice(score, int(draws[2] * score.num_voices))
    if draws[3] < stage.rescale:
        score = rescaled(score, double=draws[4] < 0.5)
    if draws[5] < stage.transpose_share and stage.transpose:
        semitones = int(draws[6] * (2 * stage.transpose + 1)) - stage.transpose
        score = with_pitches(score, semitones)
    if draws[7] < stage.octave:
        score = with_octave(score, up=draws[7] < stage.octave / 2)
    if stage.tempo or score is not piece.score:
        score = with_pace(score, (piece.tempo or NOMINAL_QPM) * factor)
    return score, semitones


def with_pitches(score: Score, semitones: int) -> Score:
    """Transposed without its key token; single notes that leave the NOTE range fold back by an octave."""
    array = score.array.copy()
    array[:, PITCH] += semitones
    array[:, PITCH] += 12 * (array[:, PITCH] < PITCH_MIN) - 12 * (array[:, PITCH] > PITCH_MAX)
    return score.replace(notes=array)


def with_octave(score: Score, up: bool) -> Score:
    """An octave higher or lower; as it is if a note would leave the NOTE range."""
    array = score.array.copy()
    array[:, PITCH] += 12 if up else -12
    inside = (array[:, PITCH] >= PITCH_MIN) & (array[:, PITCH] <= PITCH_MAX)
    return score.replace(notes=array) if inside.all() else score


def without_voice(score: Score, place: int) -> Score:
    """Without the voice at this place from the top, the others numbered through; as it is with fewer than
    three voices.
    """
    voices = np.unique(score.array[:, VOICE])
    if len(voices) < 3:
        return score
    kept = np.delete(voices, place)
    array = score.array[np.isin(score.array[:, VOICE], kept)].copy()
    array[:, VOICE] = np.searchsorted(kept, array[:, VOICE])
    # Silences may have grown longer than the tokens reach, and changes of meter may have lost their note.
    return score.replace(notes=array).quantised()


# Share of the durations that may have no token after the change; they are rounded.
_MOST_ROUNDED = 0.005


def rescaled(score: Score, double: bool) -> Score:
    """All note values doubled or halved, in the meter that then fits (`tokenization.rescaling`).

    As it is where no meter fits, where a time is not a whole number of ticks, or where more than one duration
    in 200 would have no token.
    """
    changed = note_values.rescaled(score.array, score.meters, double)
    if changed is None or note_values.inexact(changed[0]) > _MOST_ROUNDED * len(score):
        return score
    return score.replace(notes=changed[0], meters=changed[1], note_scale=1).quantised()


def with_pace(score: Score, tempo: float) -> Score:
    """With the tempo class that its surface has at `tempo` quarter notes a minute."""
    pace = score.replace(tempo=tempo).pace()
    name = TEMPO_CLASSES[int(np.searchsorted(PACE_LIMITS, pace))]
    return score.replace(tempo_class=name, tempo=TEMPO_QPM[name])
