"""Plain figures, on notes of which they can be read off."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.plain import figures, table
from tokenization.score import Meter, Score

# Two bars of 4/4: C and E in quarters to and fro over C, held and silent by turns; then a chord in the middle
# of its bar, under a unison.
UPPER = [(24 * k, 24, 72 + 4 * (k % 2), 0) for k in range(4)]
LOWER = [(0, 48, 48, 1), (96, 48, 60, 1)]
LAST = [(144, 48, 60, 0), (144, 48, 60, 1)]
FOUND = figures(Score([*UPPER, *LOWER, *LAST], meters=[Meter(0, 4, 4)], key="C major"))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("mean pitch", np.mean([72, 76, 72, 76, 48, 60, 60, 60])),
        ("lowest pitch", 48),
        ("notes a quarter", 8 / 8),
        ("notes that begin together", 8 / 6),
        ("notes on beats", 1),
        ("last chord, bars", 0.5),
        # C E C E, where the other voice holds; later both stay.
        ("from beat to beat by step", 0),
        ("from beat to beat upwards", 2 / 3),
        ("two steps from beat to beat in one direction", 0),
        ("thirds", 3 / 6),  # of the steps of both voices
        ("back to the note before", 2 / 4),
        ("rests a note", 2 / 8),
        ("longest rest, bars", 0.5),
        ("time in which a voice rests", (48 + 48) / (2 * 192)),
        # On beats the upper voice has C and E over C; E over what is held; later both have the same note.
        ("octaves above the bass on beats", 1 / 2),
        ("thirds above the bass on beats", 1 / 2),
        ("fourths above the bass on beats", 0),
        ("with a unison", 4 / 8),  # of the eighths at which two notes sound
        ("with more than two octaves between neighbours", 2 / 8),
        ("voices that sound", (4 * 2 + 4 * 1 + 4 * 1 + 4 * 2) / 16),
        ("bits of the pitch classes", -(5 / 6 * np.log2(5 / 6) + 1 / 6 * np.log2(1 / 6))),
    ],
)
def test_figures(name, wanted):
    assert FOUND[name] == pytest.approx(wanted, abs=1e-3)


def test_lines_from_beat_to_beat():
    """C D E F E D on beats, with a note between two of them, is three steps up and two down."""
    tune = [(24 * k, 24, pitch, 0) for k, pitch in enumerate((60, 62, 64, 65, 64, 62))]
    tune[1:2] = [(24, 12, 62, 0), (36, 12, 72, 0)]
    found = figures(Score([*tune, (0, 144, 48, 1)], meters=[Meter(0, 4, 4)], key="C major"))
    assert found["from beat to beat by step"] == 1 and found["from beat to beat upwards"] == 3 / 5
    assert found["two steps from beat to beat in one direction"] == 3 / 5  # after two, three; and one down


def test_what_tells_pieces_apart_best_stands_first():
    rows = table([{"same": 1.0, "more": 1.0}] * 3, [{"same": 1.0, "more": 2.0}] * 3).splitlines()
    assert rows[2].startswith("| more | 1 (0) | 2 (0) | 1.00") and rows[3].endswith("0.50 |")
