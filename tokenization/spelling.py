"""Naming pitches: C sharp or D flat, from the key, the notes around and the line.

The names of a piece are those of ps13s1, the first stage of Meredith, "The ps13 pitch spelling algorithm"
(Journal of New Music Research 35(2), 2006; it names 99.44 % of the notes of his corpus right): every pitch
class that sounds near a note is tried as a tonic, and votes as often as it sounds for the letter that the
note has above it. Two things are changed, since the key is known here (or found, `key_finding`): a tonic is
named by its degree in the key of the piece, where Meredith names it by the first note; and a note that moves
by a semitone in its voice gets votes for the next letter, so that raised notes rise and flattened ones fall,
as in his second stage. What this gives on Bach stands in docs/tokenizer.md.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from .key import Key
from .key_finding import estimate_key
from .score import DURATION, ONSET, PITCH, VOICE, Score
from .vocabulary import TICKS_PER_QUARTER

_BEFORE, _AFTER = 10, 42  # Meredith's best context, in notes
# Shares of all votes for the letter beside the next note's and beside the last one's, a semitone away; chosen
# on Book I of the WTC (docs/LOG.md).
_INTO_NEXT, _FROM_LAST = 0.3, 0.1
_LONGEST_REST = TICKS_PER_QUARTER  # a longer silence ends a line
# Semitones above the tonic -> steps above it, as in his table.
_STEPS_ABOVE = np.array((0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6))
_LETTERS = "CDEFGAB"
_NATURAL = np.array((0, 2, 4, 5, 7, 9, 11))

# A name: letter, alteration (-2 to 2), octave.
Name = tuple[str, int, int]


def spell(score: Score) -> list[Name]:
    """The letter, alteration (-2 to 2) and octave of every note, in the order of `score.array`.

    Args:
        score (`Score`): its key names the degrees; where it has none the key is estimated.
    """
    if not len(score):
        return []
    key = score.key.written if score.key is not None else estimate_key(score)[0]
    classes = score.array[:, PITCH] % 12
    alters = _alters(classes[:, None], np.arange(7))  # (notes, 7)
    votes = np.where(np.abs(alters) <= 2, _votes(score.array, key), -1.0)
    letters = _along_the_lines(votes, score.array)
    chosen = alters[np.arange(len(letters)), letters]
    return list(map(_name, score.array[:, PITCH].tolist(), letters.tolist(), chosen.tolist()))


def step_of(name: Name) -> int:
    """The place of a name on the staves, in diatonic steps above C0."""
    letter, _, octave = name
    return 7 * octave + _LETTERS.index(letter)


def name_text(name: Name) -> str:
    """A name as people read it: `"F♯4"`."""
    letter, alter, octave = name
    return f"{letter}{'♯' * alter}{'♭' * -alter}{octave}"


def signature_of(fifths: int) -> dict[str, int]:
    """The alteration of each letter in a key signature with so many sharps (negative: flats)."""
    line = np.array((1, 3, 5, 0, 2, 4, 6))  # place of each letter on the line of fifths, F = 0
    return dict(zip(_LETTERS, ((fifths - line + 6) // 7).tolist(), strict=True))


def _votes(array: np.ndarray, key: Key) -> np.ndarray:
    """The share of the votes that each letter has for each note, `(notes, 7)`; rows sum to 1."""
    count = len(array)
    order = np.lexsort((array[:, PITCH], array[:, ONSET]))
    classes = array[order, PITCH] % 12
    one_hot = np.zeros((count + 1, 12))
    one_hot[np.arange(1, count + 1), classes] = 1
    sums = one_hot.cumsum(axis=0)  # (notes + 1, 12)
    place = np.arange(count)
    # (notes, 12): how often each sounds
    near = sums[np.minimum(place + _AFTER, count)] - sums[np.maximum(place - _BEFORE, 0)]
    tonics = np.arange(12)
    tonic_letters = _LETTERS.index(key.tonic[0]) + _STEPS_ABOVE[(tonics - key.pitch_class) % 12]
    letters = (_STEPS_ABOVE[(classes[:, None] - tonics) % 12] + tonic_letters) % 7  # (notes, 12)
    votes = np.zeros((count, 7))
    for tonic in range(12):
        votes[place, letters[:, tonic]] += near[:, tonic]
    given = np.empty_like(votes)
    given[order] = votes / votes.sum(axis=1, keepdims=True)
    return given


def _along_the_lines(votes: np.ndarray, array: np.ndarray) -> np.ndarray:
    """The letter (0-6) of each note: that of most votes, with those of its neighbours a semitone away,
    `(notes,)`."""
    first, second = _neighbours(array)
    step = array[second, PITCH] - array[first, PITCH]  # 1 or -1
    letters = votes.argmax(axis=1)
    for _ in range(2):  # the second time with the neighbours' new letters
        more = votes.copy()
        np.add.at(more, (first, (letters[second] - step) % 7), _INTO_NEXT)
        np.add.at(more, (second, (letters[first] + step) % 7), _FROM_LAST)
        letters = more.argmax(axis=1)
    return letters


def _neighbours(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of notes a semitone apart that follow each other in a voice, as two arrays of row numbers. Of a
    chord the nearest counts."""
    pairs: list[tuple[int, int]] = []
    last: dict[int, list[tuple[int, int, int]]] = {}  # voice -> its latest notes: row, pitch, end
    rows = enumerate(array.tolist())
    for (_, voice), group in groupby(rows, key=lambda row: (row[1][ONSET], row[1][VOICE])):
        now = [(i, row[PITCH], row[ONSET] + row[DURATION], row[ONSET]) for i, row in group]
        for i, pitch, end in last.get(voice, ()):
            nearest = min(now, key=lambda note: abs(note[1] - pitch))
            if abs(nearest[1] - pitch) == 1 and nearest[3] - end <= _LONGEST_REST:
                pairs.append((i, nearest[0]))
        last[voice] = [note[:3] for note in now]
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return first, second


def _alters(classes: np.ndarray, letters: np.ndarray) -> np.ndarray:
    """Semitones from the natural letter, -6 to 5."""
    return (classes - _NATURAL[letters] + 6) % 12 - 6


def _name(pitch: int, letter: int, alter: int) -> Name:
    octave = (pitch - alter) // 12 - 1
    if octave < 0 and pitch >= 12:  # of 12 and 13: B sharp and B double sharp have no octave in MusicXML
        return "C", pitch - 12, 0
    return _LETTERS[letter], alter, octave
