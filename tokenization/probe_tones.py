"""How well the notes of each pitch class fit into each key."""

from __future__ import annotations

import numpy as np

# Ratings of Krumhansl and Kessler (Psychological Review 89, 1982), major and minor, from the tonic upwards.
PROBE_TONES = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)


def probe_tone_profiles() -> np.ndarray:
    """`PROBE_TONES` centred and of length 1: the major keys from C, then the minor ones, `(24, 12)`."""
    rows = np.array([np.roll(np.subtract(p, np.mean(p)), k) for p in PROBE_TONES for k in range(12)])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


__all__ = ["PROBE_TONES", "probe_tone_profiles"]
