"""`Settings`: what a piece is asked to be and how it is sampled, checked before any model is loaded."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

from tokenization.errors import MusicGPTError
from tokenization.key import Key, normal_key
from tokenization.vocabulary import FORMS, METERS, TEMPO_CLASSES

from .defaults import (
    BARS,
    MAX_NEW_TOKENS,
    MAX_PARTICLES,
    MIN_P,
    RHYTHM_TEMPERATURE_SCALE,
    RHYTHM_TOP_P,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    least,
    most_tokens,
)
from .moods import find_mood

MAX_SEED = 2**63 - 1


class SettingsError(MusicGPTError):
    """A setting has a value that cannot be used; the text names it, its limits and what to do."""


@dataclass(frozen=True)
class Settings:
    """What a piece is asked to be. `None` always means: the default.

    Args:
        key (`str`, *optional*): `"d minor"`, `"Eb major"`, ...; C major, or A minor where the mood is a minor
            one. With a prompt: the key that the prompt is in, for files that do not say it or say it wrongly.
        form (`str`, *optional*): `"prelude"` or `"fugue"`; not asked for by default.
        meter (`str`, *optional*): one of the 12 meters of the vocabulary, such as `"3/4"`; 4/4 by default.
        voices (`int`, *optional*): 2 to 5; not asked for by default.
        tempo (`str`, *optional*): `"slow"`, `"moderate"` or `"fast"`; not asked for by default.
        mood (`str`, *optional*): a name from `musicgpt.moods.MOODS`; what is given beside it wins.
        temperature (`float`, *optional*): above 0, at most 5; 0.83 by default.
        rhythm_temperature (`float`, *optional*): that in place of `temperature` for durations and steps in
            time; 1.05 times it by default: a little warmer, as a model that goes on as it began has too few
            kinds of rhythm.
        top_k (`int`, *optional*): sample among the k likeliest tokens; 0 (default): among all.
        top_p (`float`, *optional*): sample among the likeliest tokens that hold this much probability, above
            0 and at most 1; 0.95.
        rhythm_top_p (`float`, *optional*): that in place of `top_p` for durations and steps in time; 1.0 by
            default: a cut leaves out the rare ones first, and the rhythm becomes monotonous.
        min_p (`float`, *optional*): leave out tokens less likely than this share of the likeliest, 0 to below
            1; 0.0 by default.
        max_new_tokens (`int`, *optional*): how many there can be, four a note; the piece closes before they
            are used up. When not given, it has as many bars as Bach's movements do
            (`musicgpt.rules.tonal_plan`), but no more than 5,400 tokens hold, and ends with a cadence.
        bars (`int`, *optional*): how many the piece is to have, a prompt's counted, 4 to 200; met within one
            bar where the tokens are enough for them.
        min_bars (`int`, *optional*): the piece does not end before it has so many bars, nor before
            `min_notes` notes, unless `max_new_tokens` are used up; 16 bars and 200 notes by default, a
            prompt's counted.
        min_notes (`int`, *optional*): see `min_bars`.
        particles (`int`, *optional*): rows that compose the piece together, 1 to 32, weighed by how likely
            what is given is in each, or, where nothing is, by how far the model goes with the rules
            (`musicgpt.particles`); 8 for what is composed between given notes, else 1.
        seed (`int`, *optional*): 0 or more; drawn at random when not given. The same settings and seed give
            the same piece.

    Raises:
        SettingsError: (a `MusicGPTError`) naming the value that cannot be used.
    """

    key: str | None = None
    form: str | None = None
    meter: str | None = None
    voices: int | None = None
    tempo: str | None = None
    mood: str | None = None
    temperature: float | None = None
    rhythm_temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    rhythm_top_p: float | None = None
    min_p: float | None = None
    max_new_tokens: int | None = None
    bars: int | None = None
    min_bars: int | None = None
    min_notes: int | None = None
    particles: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))
        if self.key is not None:
            object.__setattr__(self, "key", str(Key.parse(self.key)))
        if self.mood is not None:
            find_mood(self.mood)
        _check_choice("form", self.form, FORMS)
        _check_choice("meter", self.meter, METERS)
        _check_choice("voices", self.voices, (2, 3, 4, 5))
        _check_choice("tempo", self.tempo, TEMPO_CLASSES)
        _check_range("temperature", self.temperature, 0, 5, low_open=True)
        _check_range("rhythm_temperature", self.rhythm_temperature, 0, 5, low_open=True)
        _check_range("top_k", self.top_k, 0, 150, whole=True)
        _check_range("top_p", self.top_p, 0, 1, low_open=True)
        _check_range("rhythm_top_p", self.rhythm_top_p, 0, 1, low_open=True)
        _check_range("min_p", self.min_p, 0, 1, high_open=True)
        _check_range("max_new_tokens", self.max_new_tokens, 8, MAX_NEW_TOKENS, whole=True)
        _check_range("bars", self.bars, *BARS, whole=True)
        _check_range("min_bars", self.min_bars, 0, 1000, whole=True)
        _check_range("min_notes", self.min_notes, 0, 1000, whole=True)
        _check_range("particles", self.particles, 1, MAX_PARTICLES, whole=True)
        _check_range("seed", self.seed, 0, MAX_SEED, whole=True)

    def resolved(self) -> Resolved:
        """The settings with mood and defaults filled in."""
        mood = find_mood(self.mood) if self.mood else None
        key = Key.parse(self.key) if self.key else normal_key(mood.mode if mood else "major")
        temperature = _first(self.temperature, mood and mood.temperature, TEMPERATURE)
        min_bars, min_notes = least(self.bars, self.min_bars, self.min_notes)
        return Resolved(
            key=key,
            form=self.form,
            meter=self.meter or "4/4",
            voices=self.voices,
            tempo=self.tempo or (mood.tempo if mood else None),
            temperature=temperature,
            rhythm_temperature=_first(self.rhythm_temperature, RHYTHM_TEMPERATURE_SCALE * temperature),
            top_k=_first(self.top_k, TOP_K),
            top_p=_first(self.top_p, mood and mood.top_p, TOP_P),
            rhythm_top_p=_first(self.rhythm_top_p, RHYTHM_TOP_P),
            min_p=_first(self.min_p, MIN_P),
            max_new_tokens=_first(self.max_new_tokens, most_tokens(self.bars, self.min_bars, self.min_notes)),
            ends_when_long_enough=self.max_new_tokens is None or self.bars is not None,
            bars=self.bars,
            min_bars=min_bars,
            min_notes=min_notes,
        )

    def with_seed(self, seed: int) -> Settings:
        """A copy with another seed."""
        return replace(self, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """What was asked for, without what was left to the defaults."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """Read what `to_dict` wrote.

        Raises:
            SettingsError: if there is a name that is no setting, or a value that cannot be used.
        """
        known = [f.name for f in fields(cls)]
        for name in data:
            if name not in known:
                raise SettingsError(f"Unknown setting {name!r}: the settings are {', '.join(known)}.")
        return cls(**data)


@dataclass(frozen=True)
class Resolved:
    """Settings as they are used: mood and defaults filled in. What is `None` is left out of the prefix."""

    key: Key
    form: str | None
    meter: str
    voices: int | None
    tempo: str | None
    temperature: float
    rhythm_temperature: float
    top_k: int
    top_p: float
    rhythm_top_p: float
    min_p: float
    max_new_tokens: int
    ends_when_long_enough: bool
    bars: int | None
    min_bars: int
    min_notes: int


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _plain(value: Any) -> Any:
    """A number of another library, such as numpy's, as Python's own; anything else as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def _check_choice(name: str, value: Any, choices: tuple) -> None:
    if value is not None and not (isinstance(value, type(choices[0])) and value in choices):
        raise SettingsError(f"Unknown {name} {value!r}: it must be one of {', '.join(map(str, choices))}.")


def _check_range(
    name: str,
    value: Any,
    low: float,
    high: float,
    low_open: bool = False,
    high_open: bool = False,
    whole: bool = False,
) -> None:
    if value is None:
        return
    kind = "a whole number" if whole else "a number"
    right_type = isinstance(value, int) if whole else isinstance(value, int | float)
    if not right_type or isinstance(value, bool) or (isinstance(value, float) and math.isnan(value)):
        raise SettingsError(f"{name} must be {kind}, not {value!r}.")
    if value < low or value > high or (low_open and value == low) or (high_open and value == high):
        edges = (
            f"{'above' if low_open else 'at least'} {low:g} and {'below' if high_open else 'at most'}"
            f" {high:g}"
        )
        shown = f"{value:g}" if isinstance(value, float) else str(value) if abs(value) < 1e30 else "too large"
        raise SettingsError(f"{name} is {shown}; it must be {edges}.")
