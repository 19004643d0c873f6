from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.cleaning import settle_key
from dataset_builder.keys import best_key, checked_key, key_on_signature
from dataset_builder.pieces import Piece
from tokenization.key import Key


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
