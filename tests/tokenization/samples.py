"""Scores that the tests make themselves, from a seed: one draw of hypothesis a score keeps the tests fast."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from tokenization.key import KEY_NAMES
from tokenization.score import Meter, Score
from tokenization.vocabulary import DURATIONS, METERS, parse_meter


def random_score(seed: int, legal: bool = False) -> Score:
    """Any score; with `legal`, one whose notes the tokens hold as they are."""
    rng = random.Random(seed)
    onset, rows = rng.randrange(96), []
    for _ in range(rng.randint(1, 40)):
        duration = (
            rng.choice(DURATIONS) if legal else rng.choice((rng.randint(1, 500), rng.choice(DURATIONS)))
        )
        pitch = rng.randint(36, 84) if legal else rng.randint(12, 115)
        rows.append((onset, duration, pitch, rng.randrange(rng.choice((1, 3, 5)))))
        onset += rng.choice((0, 0, 0, 6, 8, 12, 24, 24, 96, rng.randrange(700)))
    meters = [Meter(0, *parse_meter(rng.choice(METERS)))]
    if rng.random() < 0.4:
        top, bottom = (
            parse_meter(rng.choice(METERS)) if legal else (rng.randint(1, 13), rng.choice((2, 4, 8, 16)))
        )
        meters.append(Meter(rng.randint(1, 2000), top, bottom))
    return Score(
        rows,
        meters=meters,
        key=rng.choice((None, *KEY_NAMES)),
        tempo=rng.choice((None, 55.0, 80.0, 120.0)),
        form=rng.choice((None, "prelude", "fugue")),
    )


SEEDS = st.integers(0, 2**32 - 1)
SCORES = SEEDS.map(random_score)
LEGAL_SCORES = SEEDS.map(lambda seed: random_score(seed, legal=True))
