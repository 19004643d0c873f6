"""Finding the key of a piece from its notes, after Krumhansl and Schmuckler, with the profiles of Albrecht
and Shanahan.
"""

from __future__ import annotations

import numpy as np

from .errors import ScoreError
from .key import Key
from .probe_tones import key_correlations, key_profiles
from .score import DURATION, ONSET, PITCH, Score
from .vocabulary import TICKS_PER_QUARTER

# Albrecht and Shanahan, "The use of large corpora to train a new type of key-finding algorithm", Music
# Perception 31 (2013), from the tonic upwards. On the WTC, inventions and sinfonias they find more keys than
# the probe-tone profiles (docs/tokenizer.md).
_PROFILES = key_profiles(
    (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
    (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
)
# A piece begins and ends in its key: notes in its first and last two bars of 4/4 count this many times.
_EDGE_TICKS, _EDGE_WEIGHT = 8 * TICKS_PER_QUARTER, 5


def estimate_key(score: Score) -> tuple[Key, float]:
    """The key that fits the notes best.

    Args:
        score (`Score`): with at least one note; its declared key is not looked at.

    Returns:
        The key, in the spelling of `KEY_NAMES`, and a confidence: the lead of its correlation over that of
        the second-best key, 0.0 to 1.0. On Bach 0.1 is usual.

    Raises:
        ScoreError: without notes.
    """
    if not len(score):
        raise ScoreError("A score without notes has no key.")
    array = score.array
    edge = (array[:, ONSET] < array[0, ONSET] + _EDGE_TICKS) | (array[:, ONSET] >= score.end - _EDGE_TICKS)
    lengths = array[:, DURATION] * np.where(edge, _EDGE_WEIGHT, 1)
    weights = np.bincount(array[:, PITCH] % 12, weights=lengths, minlength=12)
    fits = key_correlations(_PROFILES, weights)
    first, second = np.argsort(-fits, kind="stable")[:2]
    return Key.of_number(int(first)), float(np.clip(fits[first] - fits[second], 0, 1))
