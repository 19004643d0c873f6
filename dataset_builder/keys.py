"""The key of a piece where no catalogue gives it, or only the tonic of the key signature."""

from __future__ import annotations

import numpy as np

from tokenization.key import KEY_NAMES, Key
from tokenization.score import DURATION, ONSET, PITCH, Score

# Key profiles of Temperley, "What's key for key?" (Music Perception 17, 1999), table 1, from the tonic
# upwards.
_MAJOR = np.array((5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0))
_MINOR = np.array((5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0))
# What it adds to the fit (a correlation, -1 to 1) that the piece ends on the tonic in the bass, as Bach's
# pieces do in both modes.
FINAL_BASS = 0.3
# What it adds that the piece ends on the major triad of the dominant: slow movements in minor that lead into
# the next one do, and settings of chorales in the Phrygian mode, which count as minor.
FINAL_DOMINANT = 0.3


def spelled(pitch_class: int, mode: str) -> Key:
    """The key on a pitch class in the usual spelling."""
    return Key.parse(KEY_NAMES[pitch_class % 12 + (12 if mode == "minor" else 0)])


def _final_notes(score: Score) -> np.ndarray:
    """Pitches of the notes that end last, from the lowest up."""
    ends = score.array[:, ONSET] + score.array[:, DURATION]
    return np.sort(score.array[ends == ends.max(), PITCH])


def key_fits(score: Score) -> np.ndarray:
    """How well each key fits: correlation of its profile with the sounding time of the pitch classes, plus
    `FINAL_BASS` where the last bass note is its tonic, or `FINAL_DOMINANT` where it is its dominant and
    carries a major third.

    Returns:
        Shape `(24,)`, the 12 major keys from C, then the 12 minor ones.
    """
    weights = np.bincount(score.array[:, PITCH] % 12, weights=score.array[:, DURATION], minlength=12)
    weights = weights - weights.mean()
    profiles = np.stack(
        [np.roll(profile - profile.mean(), k) for profile in (_MAJOR, _MINOR) for k in range(12)]
    )  # (24, 12)
    fits = profiles @ weights / np.maximum(1e-12, np.linalg.norm(profiles, axis=1) * np.linalg.norm(weights))
    final = _final_notes(score)
    bass = int(final[0]) % 12
    fits[[bass, bass + 12]] += FINAL_BASS
    if 4 in (final - final[0]) % 12:
        tonic = (bass + 5) % 12
        fits[[tonic, tonic + 12]] += FINAL_DOMINANT
    return fits


def best_key(score: Score) -> Key:
    """The best-fitting of all 24 keys."""
    best = int(key_fits(score).argmax())
    return spelled(best % 12, "minor" if best >= 12 else "major")


def checked_key(score: Score, declared: Key) -> Key:
    """The declared key, unless it is a major one whose relative minor fits better.

    Notation programs write "major" into every signature unless they are told otherwise, so a declared minor
    is trusted and a declared major is not.
    """
    if declared.mode == "minor":
        return declared
    relative = spelled(declared.pitch_class + 9, "minor")
    fits = key_fits(score)
    return relative if fits[relative.pitch_class + 12] > fits[declared.pitch_class] else declared


def key_on_signature(score: Score, tonic: str) -> Key:
    """The best-fitting key of those that a catalogue may mean by a tonic without a mode.

    Encoders declare D minor as `D`, but also as `F`, the major key with its signature: so besides the two
    modes on the tonic the relative minor comes into question.

    Args:
        score: with at least one note.
        tonic: as the catalogue spells it.
    """
    pitch_class = Key.parse(f"{tonic} major").pitch_class
    candidates = [
        Key.parse(f"{tonic} major"),
        Key.parse(f"{tonic} minor"),
        spelled(pitch_class + 9, "minor"),
    ]
    fits = key_fits(score)
    return max(candidates, key=lambda key: fits[key.pitch_class + (12 if key.mode == "minor" else 0)])
