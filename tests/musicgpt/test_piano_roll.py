from __future__ import annotations

import numpy as np
import pytest

from musicgpt.piano_roll import VOICE_COLOURS, draw, write_png
from tokenization import Meter, Score


@pytest.fixture
def score() -> Score:
    return Score(
        [(24 * i, 24, 60 + i % 12, i % 3) for i in range(200)], key="C major", meters=[Meter(0, 4, 4)]
    )


def test_every_note_is_drawn_in_its_voices_colour_once_a_system(score):
    from matplotlib.colors import to_rgb

    drawn = dict.fromkeys(VOICE_COLOURS, 0)
    for axes in draw(score).axes:
        for collection in axes.collections:
            colour = collection.get_facecolor()[0][:3]
            for name in VOICE_COLOURS:
                if np.allclose(colour, to_rgb(name)) and collection.get_zorder() == 5:
                    drawn[name] += len(collection.get_paths())
    voices = np.bincount(score.array[:, 3], minlength=5)
    # every onset and end here lies on a beat, so no note crosses a system
    assert list(drawn.values()) == voices.tolist()


def test_the_prompt_is_paler(score):
    alphas = {c.get_alpha() for axes in draw(score, 50).axes for c in axes.collections if c.get_zorder() == 5}
    assert len(alphas) == 2


def test_the_file_is_a_picture_and_the_same_every_time(score, tmp_path):
    first = write_png(score, tmp_path / "a.png", 10).read_bytes()
    assert first.startswith(b"\x89PNG") and len(first) > 10_000
    assert write_png(score, tmp_path / "b.png", 10).read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_very_long_piece_stays_a_picture_of_bearable_height():
    long = Score([(96 * i, 96, 60, 0) for i in range(1500)])
    assert len(draw(long).axes) <= 26
