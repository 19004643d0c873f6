"""Names of notes, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tokenization.samples import random_score
from tokenization import Score, midi_bytes, read_score_bytes
from tokenization.spelling import name_text, signature_of, spell

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def line(key: str | None, pitches: tuple[int, ...], voice: int = 0) -> Score:
    """Quarters one after the other."""
    return Score([(24 * i, 24, pitch, voice) for i, pitch in enumerate(pitches)], key=key)


def names(score: Score) -> str:
    return " ".join(
        letter + {0: "", 1: "#", -1: "b", 2: "##", -2: "bb"}[alter] for letter, alter, _ in spell(score)
    )


@pytest.mark.parametrize(
    ("key", "pitches", "expected"),
    [
        ("C minor", (60, 62, 63, 65, 67, 68, 71, 72, 66, 67, 61, 60), "C D Eb F G Ab B C F# G Db C"),
        ("A minor", (57, 59, 60, 62, 64, 66, 68, 69, 61, 62, 70, 69), "A B C D E F# G# A C# D Bb A"),
        ("C# major", (61, 63, 65, 66, 68, 70, 72, 73), "C# D# E# F# G# A# B# C#"),
        ("Eb minor", (63, 65, 66, 68, 70, 71, 74, 75), "Eb F Gb Ab Bb Cb D Eb"),
        ("D# minor", (63, 65, 66, 68, 70, 71, 74, 75), "D# E# F# G# A# B C## D#"),
        # C minor: the leading tone, the third of the applied dominant, the raised fourth, and never G flat, C
        # flat, F flat.
        ("C minor", (72, 71, 72, 67, 66, 67, 65, 64, 65, 63, 62, 60), "C B C G F# G F E F Eb D C"),
        (
            "C minor",
            (67, 69, 71, 72, 70, 68, 67, 60, 64, 65, 66, 67, 71, 72),
            "G A B C Bb Ab G C E F F# G B C",
        ),
        ("Bb minor", (70, 69, 70, 66, 65, 64, 65, 67, 69, 70), "Bb A Bb Gb F E F G A Bb"),
        ("F minor", (65, 64, 65, 67, 66, 67, 72, 71, 72, 61, 60, 65), "F E F G F# G C B C Db C F"),
        # The chromatic scale as Bach writes it: the raised fourth is a sharp even where it falls.
        ("C major", (60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72), "C C# D Eb E F F# G Ab A Bb B C"),
        ("C major", (72, 71, 70, 69, 68, 67, 66, 65, 64, 63, 62, 61, 60), "C B Bb A Ab G F# F E Eb D Db C"),
    ],
)
def test_spelling_follows_the_key_and_the_line(key: str, pitches: tuple[int, ...], expected: str):
    assert names(line(key, pitches)) == expected


def test_raised_notes_rise_and_flattened_ones_fall_in_their_own_voice():
    ground = [(24 * i, 24, pitch, 1) for i, pitch in enumerate((48, 52, 57, 53) * 3)]

    def name_of_68(*line: tuple[int, int]) -> str:
        score = Score(
            [*ground, *((96 + 24 * i, 24, pitch, voice) for i, (pitch, voice) in enumerate(line))],
            key="C major",
        )
        return dict(zip(score.array[:, 2].tolist(), names(score).split(), strict=True))[68]

    assert name_of_68((67, 0), (68, 0), (69, 0)) == "G#"
    assert name_of_68((69, 0), (68, 0), (67, 0)) == "Ab"
    assert name_of_68((67, 0), (68, 2), (69, 0)) == "Ab"  # no line of one voice: the harmony alone


def test_every_name_sounds_its_pitch_and_has_two_accidentals_at_most():
    scores = [random_score(seed) for seed in range(40)]
    for score in [
        *scores,
        *(score.replace(key="A# minor") for score in scores),
        *(score.replace(key="Fb major") for score in scores),
    ]:
        for (letter, alter, octave), pitch in zip(spell(score), score.array[:, 2].tolist(), strict=True):
            assert 12 * (octave + 1) + STEPS[letter] + alter == pitch and abs(alter) <= 2 and octave >= 0


def test_without_a_key_it_is_found_and_the_key_signature_says_the_same():
    pitches = (66, 68, 69, 71, 73, 74, 77, 78, 77, 78, 73, 66)
    assert (
        names(line(None, pitches)) == names(line("F# minor", pitches)) == "F# G# A B C# D E# F# E# F# C# F#"
    )
    again = read_score_bytes(midi_bytes(line("F# minor", pitches)), ".mid")
    assert str(again.key) == "F# minor" and spell(again) == spell(line("F# minor", pitches))
    assert {name for name, alter in signature_of(again.key.fifths).items() if alter == 1} == {"F", "C", "G"}


def test_transposed_music_has_transposed_names():
    score = random_score(3).replace(key="D minor")
    pitches = np.clip(score.array[:, 2], 30, 100)
    score = score.replace(notes=np.column_stack([score.array[:, :2], pitches, score.array[:, 3]]))
    up = spell(score.transposed(2))  # E minor: one letter higher, every one
    assert [(ord(a[0]) - ord(b[0])) % 7 for a, b in zip(up, spell(score), strict=True)] == [1] * len(score)


def test_names_for_people():
    assert [name_text(name) for name in (("F", 1, 4), ("B", -2, 3), ("C", 0, 5))] == ["F♯4", "B♭♭3", "C5"]
