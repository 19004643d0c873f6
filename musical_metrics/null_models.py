"""What a metric must tell from Bach: shuffled and first-order Markov versions of a piece, rhythm and voices
kept.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import PITCH, VOICE, Score


def _by_voice(score: Score) -> list[np.ndarray]:
    """Rows of `score.array` of each voice in the order of time."""
    return [np.flatnonzero(score.array[:, VOICE] == voice) for voice in np.unique(score.array[:, VOICE])]


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
        pitches = array[rows, PITCH]
        after = {int(p): pitches[1:][pitches[:-1] == p] for p in np.unique(pitches)}
        now = int(pitches[0])
        for row in rows[1:]:
            choices = after[now]
            now = int(rng.choice(choices)) if len(choices) else int(rng.choice(pitches))
            array[row, PITCH] = now
    return score.replace(notes=array)


__all__ = ["markov", "shuffled"]
