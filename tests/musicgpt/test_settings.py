from __future__ import annotations

import numpy as np
import pytest

from musicgpt import MOODS, Settings, SettingsError
from musicgpt.defaults import MAX_NEW_TOKENS, USUAL_NEW_TOKENS
from tokenization.errors import MusicGPTError
from tokenization.key import Key


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"top_p": 2}, "top_p is 2"),
        ({"top_p": 0}, "above 0"),
        ({"temperature": 0}, "above 0"),
        ({"temperature": float("nan")}, "must be a number"),
        ({"min_p": 1}, "below 1"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_k": 1.5}, "whole number"),
        ({"max_new_tokens": 7}, "at least 8"),
        ({"max_new_tokens": 100_000}, "at most"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 10**400}, "seed is too large"),
        ({"temperature": 10**400}, "at most 5"),
        ({"key": "h minor"}, "'h minor'"),
        ({"form": "sonata"}, "prelude, fugue"),
        ({"meter": "5/4"}, "12/8"),
        ({"voices": 6}, "2, 3, 4, 5"),
        ({"voices": 3.0}, "2, 3, 4, 5"),
        ({"voices": np.int64(6)}, "Unknown voices 6"),
        ({"seed": True}, "whole number"),
        ({"seed": np.True_}, "whole number"),
        ({"top_k": np.float64(3)}, "whole number"),
        ({"temperature": np.float32("nan")}, "must be a number"),
        ({"tempo": "presto"}, "slow"),
        ({"mood": "hungry"}, "serene"),
    ],
)
def test_a_bad_setting_is_refused_with_its_value_and_limits(bad, words):
    with pytest.raises(MusicGPTError, match=words):
        Settings(**bad)


def test_what_is_given_beats_the_mood_and_the_mood_beats_the_default():
    assert Settings().resolved().key == Key("C", "major")
    sad = Settings(mood="melancholy").resolved()
    assert (sad.key, sad.tempo) == (Key("A", "minor"), "slow")
    assert sad.temperature == MOODS["melancholy"].temperature
    mixed = Settings(mood="melancholy", key="Eb major", tempo="fast", temperature=1.2).resolved()
    assert (str(mixed.key), mixed.tempo, mixed.temperature) == ("Eb major", "fast", 1.2)
    assert mixed.top_p == MOODS["melancholy"].top_p
    assert Settings(top_k=0, temperature=0.5, mood="dramatic").resolved().top_k == 0


def test_settings_go_through_plain_data():
    settings = Settings(key="f# minor", voices=3, seed=0, top_p=1.0)
    assert settings.to_dict() == {"key": "F# minor", "voices": 3, "seed": 0, "top_p": 1.0}
    assert Settings.from_dict(settings.to_dict()) == settings
    with pytest.raises(SettingsError, match="vioces"):
        Settings.from_dict({"vioces": 3})


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint32])
def test_numbers_of_numpy_are_taken_as_pythons_own(kind):
    whole = dict.fromkeys(("voices", "top_k", "min_bars", "min_notes", "particles", "seed"), 3)
    whole |= {"max_new_tokens": 100, "bars": 20}
    found = Settings(
        **{name: kind(value) for name, value in whole.items()}, temperature=np.float32(0.5), top_p=kind(1)
    )
    assert found == Settings(**whole, temperature=0.5, top_p=1)
    assert {type(getattr(found, name)) for name in whole} == {int} and type(found.temperature) is float
    assert found.with_seed(kind(5)).to_dict()["seed"] == 5


@pytest.mark.parametrize(
    "asked, most",
    [
        ({}, USUAL_NEW_TOKENS),
        ({"max_new_tokens": 6000}, 6000),
        ({"bars": 90}, MAX_NEW_TOKENS),
        ({"min_bars": 90}, MAX_NEW_TOKENS),
        ({"min_notes": 900}, MAX_NEW_TOKENS),
    ],
)
def test_a_piece_of_no_asked_length_does_not_take_longer_than_one_waits(asked, most):
    assert Settings(**asked).resolved().max_new_tokens == most
