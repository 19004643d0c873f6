"""Finding the key of a piece from its notes, after Krumhansl and Schmuckler."""

from __future__ import annotations

import numpy as np

from .errors import ScoreError
from .key import KEY_NAMES, Key
from .score import DURATION, PITCH, Score

# Probe-tone profiles of Krumhansl and Kessler (1982), from the tonic upwards.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def estimate_key(score: Score) -> tuple[Key, float]:
    """The key that fits the notes best.

    Args:
        score (`Score`): with at least one note; its declared key is not looked at.

    Returns:
        The key and a confidence from 0.0 to 1.0: the lead over the second-best key.

    Raises:
        ScoreError: without notes.
    """
    if not len(score):
        raise ScoreError("A score without notes has no key.")
    weights = np.bincount(score.array[:, PITCH] % 12, weights=score.array[:, DURATION], minlength=12)
    profiles = np.array([np.roll(p, k) for p in (_MAJOR, _MINOR) for k in range(12)])  # (24, 12), in the order of KEY_NAMES
    centred = profiles - profiles.mean(axis=1, keepdims=True)
    weights = weights - weights.mean()
    norms = np.linalg.norm(centred, axis=1) * max(1e-12, float(np.linalg.norm(weights)))
    fits = centred @ weights / norms
    first, second = np.argsort(-fits, kind="stable")[:2]
    return Key.parse(KEY_NAMES[first]), float(np.clip(fits[first] - fits[second], 0, 1))
