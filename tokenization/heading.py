"""What a piece says of itself, in one place for every kind of file: title, subtitle, composer's line and
facts by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from .errors import ScoreError
from .key import Key
from .score import FACT_NAME, Score
from .vocabulary import FORMS, TEMPO_CLASSES

# Facts that a score holds as fields of its own; every other one stands in `Score.info`.
_OF_THE_SCORE = ("form", "key", "meter", "tempo", "tempo-class")
COMPOSER = "composer"  # the fact that MusicXML and PNG have a place of their own for
# What a reader takes over from a file at most.
_MOST_FACTS, _LONGEST = 32, 1000


class Told(NamedTuple):
    """What a file told of the piece in it; `None` where it is silent or tells nonsense."""

    form: str | None = None
    key: Key | None = None
    tempo_class: str | None = None
    info: Mapping[str, str] = MappingProxyType({})


def describe(score: Score) -> str:
    """Form, key and voices in words: `"Fugue in E-flat major, 3 voices"`."""
    words = (score.form or "piece").capitalize() + (f" in {score.key.name}" if score.key else "")
    voices = score.num_voices
    return words + (f", {voices} voice{'s' if voices > 1 else ''}" if voices else "")


def title_of(score: Score) -> str:
    """The score's title; its description where it has none."""
    return score.title or describe(score)


def subtitle_of(score: Score) -> str:
    """What was given, the seed and the program with its version, as far as `Score.info` has them; `""` if it
    has none.
    """
    info = score.info
    words = [given] if (given := given_of(score)) else []
    if "seed" in info:
        words.append(f"seed {info['seed']}")
    if "program" in info:
        words.append(info["program"])
    return " · ".join(words)


def given_of(score: Score) -> str:
    """What was given of a piece, in words: `"continues 42 given notes"`; `""` where nothing was."""
    info = score.info
    if "given-notes" not in info:
        return ""
    return f"{'keeps' if 'given-as' in info else 'continues'} {info['given-notes']} given notes"


def facts(score: Score) -> dict[str, str]:
    """Everything that files hold beside notes and title, by name: form, key, meter, tempo, and
    `Score.info`.
    """
    found = {
        "form": score.form,
        "key": str(score.key) if score.key else None,
        "meter": score.meters[0].name,
        "tempo": f"{score.tempo:g}" if score.tempo else None,
        "tempo-class": score.tempo_class,
    }
    return {**score.info, **{name: value for name, value in found.items() if value}}


def read_facts(told: Mapping[str, str], declared: Key | None) -> Told:
    """Facts that a file holds, checked: a file may come from anybody.

    Args:
        told (mapping of `str` to `str`): as `facts` wrote them, or anything.
        declared (`Key`, *optional*): the key of the file's notation. A fact that contradicts it is older than
            the notes, and gives way.
    """
    form, tempo_class = told.get("form"), told.get("tempo-class")
    try:
        key = Key.parse(told["key"][:20]) if "key" in told else None
    except ScoreError:
        key = None
    if key and declared and (key.pitch_class, key.mode) != (declared.pitch_class, declared.mode):
        key = None
    info = {
        name: value[:_LONGEST]
        for name, value in told.items()
        if value and FACT_NAME.fullmatch(name) and name not in _OF_THE_SCORE
    }
    return Told(
        form if form in FORMS else None,
        key,
        tempo_class if tempo_class in TEMPO_CLASSES else None,
        dict(list(info.items())[:_MOST_FACTS]),
    )
