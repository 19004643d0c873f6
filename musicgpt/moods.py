"""Moods: words for a mode, a tempo and a way of sampling.

A mood is a shorthand, not something that the model was trained on: each name stands for settings that could
be given one by one, and any setting that is given beside it wins. The table below is the whole of it.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenization.errors import MusicGPTError


class Mood(NamedTuple):
    """What a mood stands for: mode, tempo class, temperature and top-p, and a few words for people."""

    mode: str
    tempo: str
    temperature: float
    top_p: float
    description: str


# Slow and calm moods sample more narrowly (fewer surprises), lively and dark ones more widely.
MOODS: dict[str, Mood] = {
    "serene": Mood("major", "slow", 0.7, 0.92, "calm and bright"),
    "playful": Mood("major", "fast", 0.83, 0.97, "light and quick"),
    "majestic": Mood("major", "moderate", 0.75, 0.95, "broad and bright"),
    "melancholy": Mood("minor", "slow", 0.7, 0.92, "calm and dark"),
    "dramatic": Mood("minor", "fast", 0.83, 0.97, "dark and driving"),
    "contemplative": Mood("minor", "moderate", 0.75, 0.95, "dark and measured"),
}


def find_mood(name: str) -> Mood:
    """The mood of that name.

    Raises:
        MusicGPTError: naming the moods that there are.
    """
    if name not in MOODS:
        raise MusicGPTError(f"Unknown mood {name!r}: it must be one of {', '.join(MOODS)}.")
    return MOODS[name]
