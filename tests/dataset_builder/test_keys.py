from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.cleaning import settle_key
from dataset_builder.keys import best_key, checked_key, key_on_signature
from dataset_builder.pieces import Piece
from tokenization.key import Key
from tokenization.score import Meter, Note, Score


def closing_on(*final: int) -> Score:
    """Six bars in C major and four in A minor, then a bar of the given pitches."""
    major, minor = (
        ((48, 64, 67), (53, 65, 69), (48, 60, 67)),
        ((57, 60, 64), (50, 57, 65), (57, 60, 64), (57, 60, 64)),
    )
    chords = (*major, *major, *minor, final)
    notes = [
        Note(bar * 96, 96, pitch, voice)
        for bar, chord in enumerate(chords)
        for voice, pitch in enumerate(reversed(chord))
    ]
    return Score(notes, meters=[Meter(0, 4, 4)])


@pytest.mark.parametrize("minor", [False, True])
def test_the_notes_tell_the_key(new_score, minor):
    for tonic in range(-5, 7):
        for seed in range(4):
            found = best_key(new_score(seed, tonic, minor))
            assert (found.pitch_class, found.mode) == (tonic % 12, "minor" if minor else "major"), seed


def test_a_tonic_of_the_signature_may_mean_three_keys(new_score):
    assert key_on_signature(new_score(1, 2, True), "D") == Key("D", "minor")
    assert key_on_signature(new_score(1, 2, True), "F") == Key("D", "minor")
    assert key_on_signature(new_score(1, 5, False), "F") == Key("F", "major")


def test_a_declared_major_is_checked_and_a_declared_minor_is_not(new_score):
    minor = new_score(1, 2, True)
    assert checked_key(minor, Key("F", "major")) == Key("D", "minor")
    assert checked_key(minor, Key("G", "minor")) == Key("G", "minor")
    assert checked_key(new_score(1, 5), Key("F", "major")) == Key("F", "major")


def test_where_the_key_comes_from(new_score):
    minor = new_score(1, 2, True)
    path = Path("x.mid")
    assert settle_key(minor, Piece(id="x", path=path, tonic="D", mode="major"))[0].key == Key("D", "major")
    by_file, decided = settle_key(minor.replace(key=Key("F", "major")), Piece(id="x", path=path))
    assert (by_file.key, decided) == (Key("D", "minor"), 1)
    assert by_file.notices == ("the notes say D minor, the file declares F major",)


def test_a_half_cadence_tells_a_minor_key():
    """The notes alone say C major; the last chord, the dominant of A minor with its major third, says A
    minor.
    """
    for found in (best_key(closing_on(40, 56, 59)), key_on_signature(closing_on(40, 56, 59), "C")):
        assert found == Key("A", "minor")
    assert best_key(closing_on(48, 55, 64)) == Key("C", "major")
    # The same bass under the triad of C, or with a minor third, is no dominant of A.
    assert key_on_signature(closing_on(40, 55, 60), "C") == Key("C", "major")
    assert key_on_signature(closing_on(40, 55, 59), "C") == Key("C", "major")
    # Nor is a major piece that closes on its dominant taken for one on that bass.
    assert best_key(closing_on(43, 55, 59)) == Key("C", "major")
