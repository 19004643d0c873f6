"""What a metric must tell from Bach: versions of a piece whose voices are shuffled or drawn from first-order
Markov chains of their own, with the piece's rhythm or with one that is drawn as well.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import DURATION, ONSET, PITCH, VOICE, Score


def _by_voice(score: Score) -> list[np.ndarray]:
    """Rows of `score.array` of each voice in the order of time."""
    return [np.flatnonzero(score.array[:, VOICE] == voice) for voice in np.unique(score.array[:, VOICE])]


def _chain(states: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """States drawn from the first-order Markov chain of a sequence, from its own first one on; after a state
    that only ends the sequence any.

    Args:
        states (integer array `(n,)`): at least one.
        length (`int`): how many to draw.
    """
    after = {int(state): states[1:][states[:-1] == state] for state in np.unique(states)}
    drawn = [int(states[0])]
    while len(drawn) < length:
        choices = after[drawn[-1]]
        drawn.append(int(rng.choice(choices if len(choices) else states)))
    return np.array(drawn[:length], dtype=np.int64)


def shuffled(score: Score, seed: int) -> Score:
    """The pitches of each voice in random order."""
    rng = np.random.default_rng(seed)
    array = score.array.copy()
    for rows in _by_voice(score):
        array[rows, PITCH] = rng.permutation(array[rows, PITCH])
    return score.replace(notes=array)


def markov(score: Score, seed: int) -> Score:
    """The pitches of each voice drawn from the voice's own first-order Markov chain, from its own first
    pitch.
    """
    rng = np.random.default_rng(seed)
    array = score.array.copy()
    for rows in _by_voice(score):
        array[rows, PITCH] = _chain(array[rows, PITCH], len(rows), rng)
    return score.replace(notes=array)


def markov_with_rhythm(score: Score, seed: int) -> Score:
    """As `markov`, and the rhythm of each voice drawn from its own chain of (duration, time to the next
    onset), from its first onset to the end of the piece.
    """
    rng = np.random.default_rng(seed)
    found = []
    for rows in _by_voice(score):
        voice = score.array[rows]
        gaps = np.append(np.diff(voice[:, ONSET]), voice[-1, DURATION])
        kinds, place = np.unique(np.column_stack([voice[:, DURATION], gaps]), axis=0, return_inverse=True)
        room = score.end - int(voice[0, ONSET])
        shortest = max(1, int(gaps[gaps > 0].min(initial=room)))
        drawn = kinds[_chain(place.reshape(-1), min(4 * len(rows), room // shortest + len(rows)), rng)]
        onsets = int(voice[0, ONSET]) + np.append(0, np.cumsum(drawn[:, 1]))[:-1]
        kept = onsets + drawn[:, 0] <= score.end
        pitches = _chain(voice[:, PITCH], int(kept.sum()), rng)
        found.append(
            np.column_stack([onsets[kept], drawn[kept, 0], pitches, np.full(len(pitches), voice[0, VOICE])])
        )
    return score.replace(notes=np.concatenate(found))
