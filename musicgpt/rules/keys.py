"""Keys, chords and beats, as the rules name them. Pitch classes are those of the tokens: C major, A minor.

A key is a number: 0 to 11 major from C, 12 to 23 minor from C.
"""

from __future__ import annotations

HOME = {"major": 0, "minor": 21}
TONIC = {mode: key % 12 for mode, key in HOME.items()}
# The triads of a scale by their degrees, semitones above the tonic; minor has its leading note in V and vii.
TRIADS = {
    "major": ((0, 4, 7), (2, 5, 9), (4, 7, 11), (5, 9, 0), (7, 11, 2), (9, 0, 4), (11, 2, 5)),
    "minor": ((0, 3, 7), (2, 5, 8), (3, 7, 10), (5, 8, 0), (7, 11, 2), (8, 0, 3), (11, 2, 5)),
}
# Degree of the dominant, and semitones from a tonic to the seventh of its dominant chord.
DOMINANT, SEVENTH = 4, 5


def mode_of(key: int) -> str:
    """Its mode."""
    return "minor" if key >= 12 else "major"


def triad(key: int, degree: int = 0) -> tuple[int, ...]:
    """Root, third and fifth of the chord on a degree (0 to 6) of a key."""
    return tuple((key + step) % 12 for step in TRIADS[mode_of(key)][degree])


def dominant_seventh(key: int) -> tuple[int, ...]:
    """Root, leading note, fifth and seventh of the chord that leads to the tonic of a key."""
    return (*triad(key, DOMINANT), (key + SEVENTH) % 12)


def last_beat(bar: int) -> int:
    """Ticks that a dominant takes before a bar line, of a bar's ticks."""
    return 24 if bar >= 72 else 12
