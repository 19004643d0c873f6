# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""What imitation leads one to expect of one row of a fast decoding: the values of `musical_state_musicgpt._expectation`, token by token.

Each row has a log of its notes, which is written in place while the state of the row is copied: the state says how many notes of the log
count, so that a note that was guessed wrong is written over. `tests/modeling_musicgpt/test_fast_imitation.py` holds both together.
"""

from __future__ import annotations

from .fast_compiler import Ints, kernel
from .fast_music import (
    BAR_LENGTH,
    COUNT,
    DURATION,
    IS_TIME,
    LAST_NOTE,
    LATEST,
    LONGEST,
    NOTES,
    NUM_MEANINGS,
    ONSET_1,
    PENDING,
    PIECE,
    PITCH_0,
    STEP,
    TICKS,
    TICKS_1,
    TOKEN,
)
from .imitation_musicgpt import (
    DEGREES,
    ENTRY,
    ENTRY_TOO,
    GAP_MAX,
    HASH_BASE,
    HASH_MODULUS,
    MATCHES,
    NATURALS,
    REST,
    STEP_MAX,
)
from .musical_state_musicgpt import NO_MATCH

# Fields of the log, each a row of `room` notes: onset, MIDI pitch, place of the DUR token plus 1 (0 = none), the voice's note before (-1 = none),
# the step from it as a number (`ENTRY` where the voice enters). Then how the voice is expected to go on: kind of the agreement (0 = nothing is expected), the
# note that went on so before, onset and MIDI pitch. At last the number of the last steps for each length in `MATCHES` (0 = fewer steps; an even number where they reach the entry of the voice), and
# the same of the note before.
NOTE_ONSET, NOTE_MIDI, NOTE_DURATION, NOTE_BEFORE, NOTE_STEP, NEXT_MATCH, NEXT_SOURCE, NEXT_ONSET, NEXT_MIDI, KEYS = range(10)
NUM_KEYS = len(MATCHES)
KEYS_BEFORE, NUM_FIELDS = KEYS + NUM_KEYS, KEYS + 2 * NUM_KEYS

_MOST_STEPS = max(MATCHES)
# Tables of small numbers, four bits for each: number of the agreement plus 1 by steps; degrees of pitch classes; and pitch classes of degrees.
_NUMBERS = sum(number + 1 << 4 * steps for number, steps in enumerate(MATCHES))
_DEGREES = sum(degree << 4 * i for i, degree in enumerate(DEGREES))
_NATURALS = sum(pitch << 4 * i for i, pitch in enumerate(NATURALS))
# `//` and `%` are for numbers that are not negative: pitches are read so many octaves higher.
_OCTAVES = 100


@kernel
def _degree(midi: int) -> int:
    """The diatonic number of a pitch, counted from `_OCTAVES` below."""
    p = midi + 12 * _OCTAVES
    return p // 12 * 7 + (_DEGREES >> p % 12 * 4 & 15)


@kernel
def _natural(degree: int) -> int:
    """The pitch of such a number without accidental."""
    return degree // 7 * 12 + (_NATURALS >> degree % 7 * 4 & 15) - 12 * _OCTAVES


@kernel(whole=True)
def hear(before: Ints, s: Ints, notes: Ints, room: int, token: int, bos: int, first_duration: int, num_durations: int, lowest: int):
    """Into the log and the state what `token` adds to it, where `advance` has moved the state from `before` to `s`."""
    if token == bos:
        s[PIECE] = s[NOTES]
    if before[PENDING] > 0:
        place = token - first_duration + 1
        notes[NOTE_DURATION * room + s[NOTES] - 1] = place if 0 < place <= num_durations else 0
    if s[PENDING] > 0:
        v = s[PENDING] - 1
        _append(s, notes, room, v, max(s[PITCH_0 + v] - 1 + lowest, 0))
        _expect_after(notes, room, s[NOTES] - 1, s[PIECE])


@kernel
def _append(s: Ints, notes: Ints, room: int, v: int, midi: int):
    """The note that voice `v` has just struck."""
    n, before = s[NOTES], s[LAST_NOTE + v] if s[COUNT + v] > 1 else -1
    notes[NOTE_ONSET * room + n], notes[NOTE_MIDI * room + n], notes[NOTE_DURATION * room + n] = s[TICKS], midi, 0
    notes[NOTE_BEFORE * room + n], notes[NOTE_STEP * room + n] = before, ENTRY
    for number in range(NUM_KEYS):
        notes[(KEYS + number) * room + n] = 0
        notes[(KEYS_BEFORE + number) * room + n] = notes[(KEYS + number) * room + before] if before >= 0 else 0
    s[LAST_NOTE + v], s[NOTES] = n, n + 1
    if before >= 0 and s[TICKS] - s[ONSET_1 + v] - s[TICKS_1 + v] < REST:
        interval = _degree(midi) - _degree(notes[NOTE_MIDI * room + before])
        gap = min(s[TICKS] - notes[NOTE_ONSET * room + before], GAP_MAX)
        notes[NOTE_STEP * room + n] = (min(max(interval, -STEP_MAX), STEP_MAX) + STEP_MAX + 1) * (GAP_MAX + 1) + gap
    key, at, entered = 0, n, False
    for steps in range(1, _MOST_STEPS + 1):
        step = ENTRY_TOO if entered else notes[NOTE_STEP * room + at]
        key = (key * HASH_BASE + step) % HASH_MODULUS
        number = _NUMBERS >> steps * 4 & 15
        if number > 0:
            notes[(KEYS + number - 1) * room + n] = 2 * key + (1 if entered or step == ENTRY else 2) + 1
        if entered:
            break  # what was before the entry is not looked at
        entered, at = step == ENTRY, notes[NOTE_BEFORE * room + at]


@kernel
def _expect_after(notes: Ints, room: int, n: int, first: int):
    """How the voice of note `n` is expected to go on, by the notes from `first` on."""
    notes[NEXT_MATCH * room + n] = 0
    source = _latest_agreement(notes, room, n, first)
    if source < 0:
        return
    midi, onset, old = notes + NOTE_MIDI * room, notes + NOTE_ONSET * room, notes[NOTE_BEFORE * room + source]
    moved, degree = midi[n] + midi[source] - midi[old], _degree(midi[n]) + _degree(midi[source]) - _degree(midi[old])
    notes[NEXT_SOURCE * room + n] = source
    notes[NEXT_MIDI * room + n] = moved if _degree(moved) == degree else _natural(degree)
    notes[NEXT_ONSET * room + n] = onset[n] + onset[source] - onset[old]


@kernel(whole=True)
def _latest_agreement(notes: Ints, room: int, n: int, first: int) -> int:
    """The latest note whose voice had made the steps that lead to `n`, most steps first, -1 if none; the number of steps into the log."""
    for number in range(NUM_KEYS):
        key, before = notes[(KEYS + number) * room + n], notes + (KEYS_BEFORE + number) * room
        if key > 0:
            for m in range(n, first - 1, -1):
                if before[m] == key:
                    notes[NEXT_MATCH * room + n] = 2 * number + 1 + key % 2
                    return m
    return -1


@kernel(whole=True)
def expect(
    s: Ints, table: Ints, token_of: Ints, notes: Ints, room: int, voices: int, lowest: int, num_pitches: int, first_time: int, out: Ints
) -> bool:
    """`Expectation.packed` after the state `s` into `out`; whether anything is expected."""
    for i in range(2 * voices + 4):
        out[i] = 0
    what, single = table + NUM_MEANINGS * s[TOKEN], out + 2 * voices
    if what[IS_TIME] > 0 or what[BAR_LENGTH] > 0:
        return _expect_pitches(s, notes, room, voices, lowest, num_pitches, out)
    if s[PENDING] > 0:
        return _expect_duration(s, notes, room, single)
    if what[DURATION] > 0 and s[LATEST] > 0:
        return _expect_step(s, table, token_of, notes, room, voices, first_time, single + 2)
    return False


@kernel
def _expect_pitches(s: Ints, notes: Ints, room: int, voices: int, lowest: int, num_pitches: int, out: Ints) -> bool:
    """What each voice is expected to strike now."""
    found = False
    for v in range(voices):
        n = s[LAST_NOTE + v]
        if s[COUNT + v] > 0 and notes[NEXT_MATCH * room + n] > 0 and notes[NEXT_ONSET * room + n] == s[TICKS]:
            pitch = notes[NEXT_MIDI * room + n] - lowest + 1
            if 0 < pitch <= num_pitches:
                out[v], out[voices + v] = pitch, notes[NEXT_MATCH * room + n]
                found = True
    return found


@kernel
def _expect_duration(s: Ints, notes: Ints, room: int, out: Ints) -> bool:
    """At a VOICE token: the duration of the note that this one imitates, if it came when it was expected."""
    n = s[NOTES] - 1
    before = notes[NOTE_BEFORE * room + n]
    if before < 0 or notes[NEXT_MATCH * room + before] == 0 or notes[NEXT_ONSET * room + before] != s[TICKS]:
        return False
    duration = notes[NOTE_DURATION * room + notes[NEXT_SOURCE * room + before]]
    if duration > 0:
        hit = notes[NEXT_MIDI * room + before] == notes[NOTE_MIDI * room + n]
        out[0], out[1] = duration, 2 * (notes[NEXT_MATCH * room + before] - 1) + hit + 1
    return duration > 0


@kernel
def _expect_step(s: Ints, table: Ints, token_of: Ints, notes: Ints, room: int, voices: int, first_time: int, out: Ints) -> bool:
    """At a DUR token: the time until the first note that is expected of a voice, and the longest agreement behind it."""
    soonest, longest = LONGEST, NO_MATCH
    for v in range(voices):
        n = s[LAST_NOTE + v]
        if s[COUNT + v] > 0 and notes[NEXT_MATCH * room + n] > 0:
            match, step = notes[NEXT_MATCH * room + n], notes[NEXT_ONSET * room + n] - s[TICKS]
            # At the same time only voices below the one that was struck last may follow.
            if step > 0 or (step == 0 and v + 1 > s[LATEST]):
                if step < soonest:
                    soonest, longest = step, match
                elif step == soonest:
                    longest = min(longest, match)
    if soonest == LONGEST:
        return False
    token = token_of[2 * LONGEST + soonest]  # the nearest there is
    if table[NUM_MEANINGS * token + STEP] != soonest:
        return False
    out[0], out[1] = token - first_time + 1, longest
    return True
