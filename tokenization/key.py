"""Keys: parsing, the nearest transposition to C major / A minor, and which pitch classes a key holds."""

from __future__ import annotations

from typing import NamedTuple

from .errors import ScoreError
from .vocabulary import MODES

# Semitones of the letters above C.
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {
    "": 0,
    **dict.fromkeys(("#", "♯", "s", "is", "sharp"), 1),
    **dict.fromkeys(("b", "-", "♭", "es", "flat"), -1),
}

# The 24 keys as a musician would ask for them: one spelling a pitch class, the one that the WTC uses.
KEY_NAMES = tuple(
    f"{tonic} {mode}"
    for mode, tonics in (
        ("major", ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")),
        ("minor", ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")),
    )
    for tonic in tonics
)


class Key(NamedTuple):
    """A key: spelled tonic (`"Eb"`, `"F#"`) and mode (`"major"` or `"minor"`)."""

    tonic: str
    mode: str

    @classmethod
    def parse(cls, text: str | Key) -> Key:
        """Read a key as people write it.

        Args:
            text (`str` or `Key`): `"d minor"`, `"Eb major"`, `"F# minor"`, `"c-sharp minor"`, `"Bbm"`, `"C"`.
                A lower-case tonic without a mode means minor, as in harmony textbooks.

        Raises:
            ScoreError: if the text names no key.
        """
        if isinstance(text, Key):
            return text
        words = str(text).strip().replace("_", " ").replace("-sharp", "#").replace("-flat", "b").split()
        if len(words) == 3:
            words = [words[0] + words[1], words[2]]
        tonic, mode = words[0] if words else "?", words[1].lower() if len(words) == 2 else None
        if mode is None and len(tonic) > 1 and tonic.endswith("m"):
            tonic, mode = tonic[:-1], "minor"
        if mode is None:
            mode = "minor" if tonic[0].islower() else "major"
        mode = {"maj": "major", "min": "minor", "m": "minor", "dur": "major", "moll": "minor"}.get(mode, mode)
        accidental = _ACCIDENTALS.get(tonic[1:].lower())
        if tonic.lower() in ("es", "as"):  # German E flat and A flat, not E and A with the "s" of a sharp
            accidental = -1
        if len(words) > 2 or tonic[0].upper() not in STEPS or accidental is None or mode not in MODES:
            raise ScoreError(
                f"Unknown key {text!r}: give a tonic and a mode, such as 'd minor' or 'Eb major'."
            )
        return cls(tonic[0].upper() + {0: "", 1: "#", -1: "b"}[accidental], mode)

    @classmethod
    def of_signature(cls, fifths: int, mode: str) -> Key:
        """The key of a signature.

        Args:
            fifths (`int`): its sharps, or flats as negative numbers; -7 to 7.
            mode (`str`): `"major"` or `"minor"`.
        """
        # on the line of fifths from F
        accidentals, letter = divmod(fifths + (4 if mode == "minor" else 1), 7)
        return cls("FCGDAEB"[letter] + {-1: "b", 0: "", 1: "#"}[accidentals], mode)

    @classmethod
    def of_number(cls, number: int) -> Key:
        """The key with this `number`, in the spelling of `KEY_NAMES`."""
        return cls.parse(KEY_NAMES[number])

    @property
    def pitch_class(self) -> int:
        """Pitch class of the tonic, C = 0."""
        return (STEPS[self.tonic[0]] + _ACCIDENTALS[self.tonic[1:]]) % 12

    @property
    def number(self) -> int:
        """0 to 11 for the major keys from C, 12 to 23 for the minor ones: its place in `KEY_NAMES`."""
        return self.pitch_class + 12 * (self.mode == "minor")

    @property
    def fifths(self) -> int:
        """Sharps (positive) or flats (negative) of the key signature."""
        sharps = "FCGDAEB".index(self.tonic[0]) - 1 + 7 * _ACCIDENTALS[self.tonic[1:]]
        return sharps - (3 if self.mode == "minor" else 0)

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"

    @property
    def name(self) -> str:
        """The key in words: `"E-flat major"`; `str(key)` is `"Eb major"`."""
        return f"{self.tonic[0]}{ {'': '', '#': '-sharp', 'b': '-flat'}[self.tonic[1:]] } {self.mode}"

    @property
    def written(self) -> Key:
        """The key itself, or the one that sounds alike where a signature has no place for it: A flat for G
        sharp major, which has eight sharps.
        """
        return self if abs(self.fifths) <= 7 else self.transposed(0)

    def transposition_to_normal(self) -> int:
        """Semitones, -6 to +5, that bring this key to C major or A minor by the nearest way."""
        target = 0 if self.mode == "major" else 9
        return (target - self.pitch_class + 6) % 12 - 6

    def transposed(self, semitones: int) -> Key:
        """The key `semitones` higher, in the spelling of `KEY_NAMES`."""
        return Key.of_number((self.pitch_class + semitones) % 12 + 12 * (self.mode == "minor"))


C_MAJOR, A_MINOR = Key("C", "major"), Key("A", "minor")


def normal_key(mode: str) -> Key:
    """C major or A minor, the keys in which the model thinks."""
    return C_MAJOR if mode == "major" else A_MINOR
