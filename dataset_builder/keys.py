"""The key of a piece where no catalogue gives it, or only the tonic of the key signature."""

from __future__ import annotations

import numpy as np

from tokenization.key import Key
from tokenization.probe_tones import key_correlations, key_profiles
from tokenization.score import DURATION, ONSET, PITCH, Score

# Key profiles of Temperley, "What's key for key?" (Music Perception 17, 1999), table 1, from the tonic
# upwards.
_PROFILES = key_profiles(
    (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
    (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
)
# What it adds to the fit (a correlation, -1 to 1) that the piece ends on the tonic in the bass, as Bach's
# pieces do in both modes.
FINAL_BASS = 0.3
# What it adds that the piece ends on the major triad of the dominant: slow movements in minor that lead into
# the next one do, and settings of chorales in the Phrygian mode, which count as minor.
FINAL_DOMINANT = 0.3


def key_fits(score: Score) -> np.ndarray:
    """How well each key fits: correlation of its profile with the sounding time of the pitch classes, plus
    `FINAL_BASS` where the last bass note is its tonic, or `FINAL_DOMINANT` where it is its dominant and
    carries a major third.

    Returns:
        Shape `(24,)`, by `Key.number`.
    """
    weights = np.bincount(score.array[:, PITCH] % 12, weights=score.array[:, DURATION], minlength=12)
    fits = key_correlations(_PROFILES, weights)
    ends = score.array[:, ONSET] + score.array[:, DURATION]
    final = score.array[ends == ends.max(), PITCH]  # of the notes that end last
    lowest = int(final.min())
    bass = lowest % 12
    fits[[bass, bass + 12]] += FINAL_BASS
    if 4 in (final - lowest) % 12:
        tonic = (bass + 5) % 12
        fits[[tonic, tonic + 12]] += FINAL_DOMINANT
    return fits


def best_key(score: Score) -> Key:
    """The best-fitting of all 24 keys."""
    return Key.of_number(int(key_fits(score).argmax()))


def _relative_minor(key: Key) -> Key:
    return Key.of_number(12 + (key.pitch_class + 9) % 12)


def checked_key(score: Score, declared: Key) -> Key:
    """The declared key, unless it is a major one whose relative minor fits better.

    Notation programs write "major" into every signature unless they are told otherwise, so a declared minor
    is trusted and a declared major is not.
    """
    if declared.mode == "minor":
        return declared
    fits, relative = key_fits(score), _relative_minor(declared)
    return relative if fits[relative.number] > fits[declared.number] else declared


def key_on_signature(score: Score, tonic: str) -> Key:
    """The best-fitting key of those that a catalogue may mean by a tonic without a mode.

    Encoders declare D minor as `D`, but also as `F`, the major key with its signature: so besides the two
    modes on the tonic the relative minor comes into question.

    Args:
        score: with at least one note.
        tonic: as the catalogue spells it.
    """
    major = Key.parse(f"{tonic} major")
    candidates = [major, Key.parse(f"{tonic} minor"), _relative_minor(major)]
    fits = key_fits(score)
    return max(candidates, key=lambda key: fits[key.number])
