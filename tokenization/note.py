"""A note, and the columns of an array of notes."""

from __future__ import annotations

from typing import NamedTuple

ONSET, DURATION, PITCH, VOICE = range(4)  # columns of `Score.array`


class Note(NamedTuple):
    """One note: onset and duration in ticks (24 a quarter), MIDI pitch, voice (0 = the highest part)."""

    onset: int
    duration: int
    pitch: int
    voice: int
