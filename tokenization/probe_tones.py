"""How well the notes of each pitch class fit into each key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Ratings of Krumhansl and Kessler (Psychological Review 89, 1982), major and minor, from the tonic upwards.
PROBE_TONES = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)


def key_profiles(major: Sequence[float], minor: Sequence[float]) -> np.ndarray:
    """Two profiles on each tonic, centred and of length 1: the major keys from C, then the minor ones,
    `(24, 12)`.
    """
    rows = np.array([np.roll(np.subtract(p, np.mean(p)), k) for p in (major, minor) for k in range(12)])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def probe_tone_profiles() -> np.ndarray:
    """`key_profiles` of `PROBE_TONES`."""
    return key_profiles(*PROBE_TONES)


def key_correlations(profiles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The correlation of each of the `key_profiles` with the weights of the twelve pitch classes, `(24,)`; 0
    where all weigh the same.
    """
    weights = weights - weights.mean()
    return profiles @ weights / max(1e-12, float(np.linalg.norm(weights)))
