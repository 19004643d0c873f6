"""Where voices lie: about where Bach's do."""

from __future__ import annotations

# Mean pitch of each voice, the highest first, by how many there are, in the preludes and fugues of the train
# split, which hardly differ (`python -m benchmarks.voices`), about so.
REGISTERS = {
    2: (70.0, 53.5),
    3: (72.0, 63.5, 52.0),
    4: (73.0, 67.0, 59.5, 51.0),
    5: (73.5, 68.5, 62.5, 56.0, 49.0),
}


def registers(voices: int | None, transposition: int = 0) -> tuple[float, ...]:
    """The mean pitch of each voice.

    Args:
        voices (`int` or `None`): how many there are.
        transposition (`int`): semitones from the tokens' pitches to those that sound.

    Returns:
        tuple of `float`: pitches of the tokens, of the highest voice first; none for a number of voices that
        the pieces do not have.
    """
    return tuple(pitch - transposition for pitch in REGISTERS.get(voices or 0, ()))
