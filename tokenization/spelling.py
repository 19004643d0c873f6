"""Naming pitches: C sharp or D flat, from the notes around and the key.

The algorithm is ps13s1 of Meredith, "The ps13 pitch spelling algorithm" (Journal of New Music Research 35, 2006): every pitch class
that sounds near a note is tried as the tonic, each votes for a letter of the note with as many voices as it sounds. The letters of
the whole piece are then turned so that its tonic is spelled as the key asks.
"""

from __future__ import annotations

import numpy as np

from .key import Key
from .score import ONSET, PITCH, Score

_BEFORE, _AFTER = 10, 42  # Meredith's best context, in notes
# Semitones above the tonic -> steps above it, as in his table: 0 1 1 2 2 3 3 4 5 5 6 6.
_STEPS_ABOVE = np.array((0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6))
_LETTERS = "CDEFGAB"
_NATURAL = np.array((0, 2, 4, 5, 7, 9, 11))


def spell(score: Score) -> list[tuple[str, int, int]]:
    """The letter, alteration (-2 to 2) and octave of every note, in the order of `score.array`.

    Args:
        score (`Score`): its key, where known, decides between enharmonic twins.
    """
    pitches = score.array[:, PITCH]
    if not len(pitches):
        return []
    order = np.lexsort((pitches, score.array[:, ONSET]))
    steps = np.empty(len(pitches), dtype=np.int64)
    steps[order] = _relative_steps(pitches[order] % 12)
    turn = _turn(pitches, steps, score.key)
    return [_name(int(pitch), int(step)) for pitch, step in zip(pitches, (steps + turn) % 7, strict=True)]


def _relative_steps(classes: np.ndarray) -> np.ndarray:
    """A letter (0-6) for each pitch class in time order, right but for one turn of all of them, shape `(notes,)`."""
    count = len(classes)
    one_hot = np.zeros((count + 1, 12))
    one_hot[np.arange(1, count + 1), classes] = 1
    sums = one_hot.cumsum(axis=0)  # (notes + 1, 12)
    place = np.arange(count)
    near = sums[np.minimum(place + _AFTER, count)] - sums[np.maximum(place - _BEFORE, 0)]  # (notes, 12): how often each sounds
    # The letter of each tonic is its own letter above the first note of the piece, so that all votes are counted alike.
    tonic = np.arange(12)
    from_first = (-_STEPS_ABOVE[(classes[0] - tonic) % 12]) % 7
    votes = np.zeros((count, 7))
    letters = (_STEPS_ABOVE[(classes[:, None] - tonic) % 12] + from_first) % 7  # (notes, 12)
    for t in range(12):
        votes[place, letters[:, t]] += near[:, t]
    return votes.argmax(axis=1)


def _turn(pitches: np.ndarray, steps: np.ndarray, key: Key | None) -> int:
    """How many letters all notes must be turned: so that the fewest accidentals against the key stand, and none beyond two."""
    best, best_cost = 0, np.inf
    signature = _signature(key.fifths if key is not None else 0)
    for turn in range(7):
        letters = (steps + turn) % 7
        alters = _alters(pitches % 12, letters)
        cost = np.abs(alters - signature[letters]).sum() + 1000 * (np.abs(alters) > 2).sum()
        if cost < best_cost:
            best, best_cost = turn, cost
    return best


def _signature(fifths: int) -> np.ndarray:
    """The alteration of each letter C D E F G A B in a key signature, shape `(7,)`."""
    line = np.array((1, 3, 5, 0, 2, 4, 6))  # place of each letter on the line of fifths, F = 0
    return (fifths - line + 6) // 7


def signature_of(fifths: int) -> dict[str, int]:
    """The alteration of each letter in a key signature with so many sharps (negative: flats)."""
    return dict(zip(_LETTERS, _signature(fifths).tolist(), strict=True))


def _alters(classes: np.ndarray, letters: np.ndarray) -> np.ndarray:
    """Semitones from the natural letter, -6 to 5."""
    return (classes - _NATURAL[letters] + 6) % 12 - 6


def _name(pitch: int, letter: int) -> tuple[str, int, int]:
    alter = int(_alters(np.array(pitch % 12), np.array(letter)))
    if abs(alter) > 2:  # the vote went astray: the plainest name
        letter, alter = next((i, a) for a in (0, 1, -1) for i in range(7) if (_NATURAL[i] + a) % 12 == pitch % 12)
    octave = (pitch - alter) // 12 - 1
    if octave < 0 and pitch >= 12:  # B sharp and B double sharp of 12 and 13, below the lowest octave that MusicXML knows
        return "C", pitch - 12, 0
    return _LETTERS[letter], alter, octave
