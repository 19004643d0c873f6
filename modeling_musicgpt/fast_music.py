# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""The musical state of one row of a fast decoding, moved on by one token at a time.

The same values as `MusicalStateTracker` derives from whole sequences, in constant time a token: a vector of integers a row, whose places are
named below. `tests/modeling_musicgpt/test_fast_decoding.py` holds both together.
"""

from __future__ import annotations

from .fast_compiler import Ints, kernel
from .musical_state_musicgpt import _DURATION_BASE as DURATION_BASE
from .musical_state_musicgpt import _GAP_MAX as GAP_MAX
from .musical_state_musicgpt import _INTERVAL_BASE as INTERVAL_BASE
from .musical_state_musicgpt import (
    DURATION_PENDING,
    ELAPSED_MAX,
    FIRST_OF_VOICE,
    INTERVAL_MAX,
    NO_VOICE_ELAPSED,
    NO_VOICE_REMAINING,
    NUM_BAR_POSITIONS,
    REMAINING_MAX,
    REMAINING_MIN,
    TICKS_PER_QUARTER,
    WISHES,
)

# Columns of the table of tokens.
STEP, PITCH, DURATION, BAR_LENGTH, VOICE, IS_TIME, WISH, WISH_KIND = range(8)
NUM_MEANINGS = 8
LONGEST = 256  # ticks in the tables of tokens by duration and by step
# Places in the state of a row.
TICKS, METER_AT, BAR_TICKS, BAR_POSITION, BAR, BAR_BEGAN = range(6)
BAR_SIZES, NUM_BAR_SIZES = 6, 4  # tokens in each of the last bars
STATE, PENDING, NOTE_PITCH, LATEST, MOTIF, INTERVAL, TOKEN, BAR_TICKS_BEFORE = range(10, 18)
NOTES, PIECE = 18, 19  # of the log of notes: how many there are, and the first of the piece; see `fast_imitation`
WISH_0, NUM_WISHES = 20, len(WISHES)  # what the prefix asked for, one place for each kind
# From here on one place for each voice: notes so far (4 = four or more); pitch, duration and onset of the last notes, the latest first;
# its pitch one and two tokens ago; and its last note in the log.
MAX_VOICES = 8
COUNT, PITCH_0, PITCH_1, PITCH_2, TICKS_0, TICKS_1, TICKS_2, TICKS_3, ONSET_0, ONSET_1, BEFORE_1, BEFORE_2, LAST_NOTE = range(
    24, 24 + 13 * MAX_VOICES, MAX_VOICES
)
STATE_SIZE = 24 + 13 * MAX_VOICES


@kernel
def begin(s: Ints, voices: int, bar_ticks: int):
    """A new piece begins with this token."""
    s[TICKS] = s[METER_AT] = s[PENDING] = s[LATEST] = 0
    s[BAR_TICKS] = bar_ticks
    for v in range(voices):
        s[COUNT + v] = 0
    for kind in range(NUM_WISHES):
        s[WISH_0 + kind] = 0


@kernel(whole=True)
def advance(
    s: Ints, token: int, column: int, table: Ints, vocab: int, next_state: Ints, silent: int, voices: int, num_motifs: int, bos: int,
    bar_ticks: int,
):  # fmt: skip
    """Moves the state `s` on by a token that stands in `column` of the ids. Tokens equal to `silent` leave the grammar where it is."""
    for v in range(voices):
        s[BEFORE_2 + v] = s[BEFORE_1 + v]
        s[BEFORE_1 + v] = s[PITCH_0 + v] if s[COUNT + v] > 0 else 0
    known = 0 <= token < vocab
    what = table + NUM_MEANINGS * (token if known else vocab)
    if s[PENDING] > 0:
        s[TICKS_0 + s[PENDING] - 1] = what[DURATION]
        s[PENDING] = 0
    if token == bos:
        begin(s, voices, bar_ticks)
    if what[WISH_KIND] > 0:
        s[WISH_0 + what[WISH_KIND] - 1] = what[WISH]
    s[TICKS] += what[STEP]
    _pass_time(s, what[BAR_LENGTH], column)
    s[INTERVAL] = s[MOTIF] = 0
    if 0 < what[VOICE] <= voices and s[NOTE_PITCH] > 0:
        _sound(s, what[VOICE] - 1, num_motifs)
    elif s[LATEST] > 0 and (what[DURATION] > 0 or what[IS_TIME] > 0):
        s[MOTIF] = _melody(s, s[LATEST] - 1) % num_motifs + 1 if num_motifs > 0 else 0
    s[NOTE_PITCH] = what[PITCH]
    s[TOKEN] = token
    if token != silent and known:
        s[STATE] = next_state[s[STATE] * vocab + token]


@kernel
def _pass_time(s: Ints, new_bar_ticks: int, column: int):
    if new_bar_ticks > 0:
        s[METER_AT] = s[TICKS]
    length = new_bar_ticks if new_bar_ticks > 0 else s[BAR_TICKS]
    since = s[TICKS] - s[METER_AT]
    bar = since // length
    if column > 0 and (bar != s[BAR] or length != s[BAR_TICKS_BEFORE]):
        for i in range(NUM_BAR_SIZES - 1, 0, -1):
            s[BAR_SIZES + i] = s[BAR_SIZES + i - 1]
        s[BAR_SIZES] = column - s[BAR_BEGAN]
        s[BAR_BEGAN] = column
    s[BAR], s[BAR_TICKS], s[BAR_TICKS_BEFORE] = bar, length, length
    s[BAR_POSITION] = min(since % length, NUM_BAR_POSITIONS - 1)


@kernel
def _sound(s: Ints, v: int, num_motifs: int):
    """A VOICE token: the note before it is now the voice's last one."""
    s[TICKS_3 + v], s[TICKS_2 + v], s[TICKS_1 + v], s[TICKS_0 + v] = s[TICKS_2 + v], s[TICKS_1 + v], s[TICKS_0 + v], 0
    s[PITCH_2 + v], s[PITCH_1 + v], s[PITCH_0 + v] = s[PITCH_1 + v], s[PITCH_0 + v], s[NOTE_PITCH]
    s[ONSET_1 + v], s[ONSET_0 + v] = s[ONSET_0 + v], s[TICKS]
    s[COUNT + v] = min(4, s[COUNT + v] + 1)
    s[PENDING] = s[LATEST] = v + 1
    before, now = s[BEFORE_2 + v], s[PITCH_0 + v]
    s[INTERVAL] = FIRST_OF_VOICE
    if before > 0 and now > 0:
        s[INTERVAL] = min(max(now - before, -INTERVAL_MAX), INTERVAL_MAX) + INTERVAL_MAX + 1
    if num_motifs > 0:
        count = s[COUNT + v]
        rhythm = (s[TICKS_1 + v] if count > 1 else 0) * DURATION_BASE + (s[TICKS_2 + v] if count > 2 else 0)
        rhythm = rhythm * DURATION_BASE + (s[TICKS_3 + v] if count > 3 else 0)
        gap = min(s[TICKS] - s[ONSET_1 + v], GAP_MAX) if count > 1 else 0
        rhythm = (rhythm * TICKS_PER_QUARTER + s[BAR_POSITION] % TICKS_PER_QUARTER) * (GAP_MAX + 1) + gap
        s[MOTIF] = 1 + (7 * rhythm + 3) % num_motifs


@kernel
def _melody(s: Ints, v: int) -> int:
    """Number of the last two intervals and durations of a voice."""
    count = s[COUNT + v]
    first = _step_name(s[PITCH_0 + v] - s[PITCH_1 + v]) if count > 1 else 0
    second = _step_name(s[PITCH_1 + v] - s[PITCH_2 + v]) if count > 2 else 0
    name = (first * INTERVAL_BASE + second) * DURATION_BASE + s[TICKS_0 + v]
    return name * DURATION_BASE + (s[TICKS_1 + v] if count > 1 else 0)


@kernel
def _step_name(interval: int) -> int:
    return min(max(interval, -INTERVAL_MAX), INTERVAL_MAX) + INTERVAL_MAX + 1


@kernel
def remaining(s: Ints, v: int) -> int:
    """Ticks until the last note of voice `v` ends, as an embedding index."""
    if s[COUNT + v] == 0:
        return NO_VOICE_REMAINING
    if s[PENDING] == v + 1:
        return DURATION_PENDING
    left = s[ONSET_0 + v] + s[TICKS_0 + v] - s[TICKS]
    return min(max(left, REMAINING_MIN), REMAINING_MAX) - REMAINING_MIN


@kernel
def elapsed(s: Ints, v: int) -> int:
    """Ticks since the last note of voice `v` began, as an embedding index."""
    if s[COUNT + v] == 0:
        return NO_VOICE_ELAPSED
    return min(max(s[TICKS] - s[ONSET_0 + v], 0), ELAPSED_MAX)
