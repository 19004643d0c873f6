"""What holds where nothing is asked for."""

# Below 1: the model's probabilities are calibrated (`logit_scale`), and at 1 its fugues had half as many
# struck dissonances more (docs/LOG.md). `musical_generation_config` has the same for a plain `generate()`.
TEMPERATURE, TOP_P, MIN_P, TOP_K = 0.83, 0.95, 0.0, 0
# Temperature of durations and steps in time as a multiple of the other one, and their own `top_p`.
RHYTHM_TEMPERATURE_SCALE, RHYTHM_TOP_P = 1.05, 1.0
# A piece does not end before it has so many.
MIN_BARS, MIN_NOTES = 16, 200
# The most new tokens that can be asked for, some 200 bars; and those within which a piece of no asked length
# closes, some 65 bars: more would take longer than one waits for.
MAX_NEW_TOKENS, USUAL_NEW_TOKENS = 16_384, 5400
# The fewest and the most bars that can be asked for.
BARS = (4, 200)
# Rows that compose between given notes (docs/given.md has the table), and the most that can be asked for.
PARTICLES, MAX_PARTICLES = 8, 32


def most_tokens(*asked: int | None) -> int:
    """The most new tokens of a piece for which no number of tokens was asked.

    Args:
        asked (`int`, *optional*): lengths that were asked for otherwise, in bars or in notes.
    """
    return USUAL_NEW_TOKENS if all(length is None for length in asked) else MAX_NEW_TOKENS


def least(bars: int | None, min_bars: int | None, min_notes: int | None) -> tuple[int, int]:
    """How many bars and notes a piece has at least, where so many were asked for: a piece of so many `bars`
    has no other bound, unless it is named.
    """
    return (
        (0 if bars else MIN_BARS) if min_bars is None else min_bars,
        (0 if bars else MIN_NOTES) if min_notes is None else min_notes,
    )
