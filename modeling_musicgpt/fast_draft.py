# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Guesses at the next tokens, so that one pass over the weights can answer for several tokens at once.

Which voice a note belongs to, how long it lasts and when the next one comes are often clear from the voices alone. A guess costs nothing
when it is wrong but the work for one token; a token is only ever what the model's own logits give. What came after the same
circumstances before is remembered, as a processor predicts its branches, in tables of the last token and how often it held.
"""

from __future__ import annotations

from .fast_compiler import Ints, Ints32, kernel
from .fast_music import (
    BAR_POSITION,
    COUNT,
    DURATION,
    LATEST,
    LONGEST,
    NOTE_PITCH,
    NUM_MEANINGS,
    ONSET_0,
    PENDING,
    PITCH,
    PITCH_0,
    PITCH_1,
    STEP,
    TICKS,
    TICKS_0,
    TICKS_1,
    TICKS_2,
    TICKS_3,
    TOKEN,
    VOICE,
)

TABLE_SIZE = 4096
NUM_TABLES = 2  # circumstances in detail, and in outline
_MOST = 7


@kernel
def _key(a: int, b: int, c: int, d: int) -> int:
    x = ((a * 1000003 + b) * 1000003 + c) * 1000003 + d
    x ^= x >> 29
    return (x * 0x9E3779B1 >> 7) & (TABLE_SIZE - 1)


@kernel
def nearest_voice(s: Ints, voices: int) -> int:
    """The voice that most likely takes the NOTE just read: free, below the voice before it in the same chord, and near in pitch."""
    best, least = 0, 1 << 30
    for v in range(voices):
        if s[COUNT + v] == 0:
            distance = 40
        else:
            distance = abs(s[PITCH_0 + v] - s[NOTE_PITCH])
            if s[ONSET_0 + v] + s[TICKS_0 + v] > s[TICKS]:
                distance += 30  # still sounding
            if s[ONSET_0 + v] + s[TICKS_0 + v] + 96 < s[TICKS]:
                distance += 10  # silent for long
            if s[ONSET_0 + v] == s[TICKS] and v + 1 <= s[LATEST]:
                distance += 100
        if s[LATEST] > v + 1 and s[COUNT + s[LATEST] - 1] > 0 and s[ONSET_0 + s[LATEST] - 1] == s[TICKS]:
            distance += 100  # a higher voice after a lower one
        if distance < least:
            best, least = v, distance
    return best


@kernel
def ticks_to_next(s: Ints, voices: int) -> int:
    """Ticks until the next voice falls silent: 0 if one below the last note's voice is silent already."""
    soonest = 1 << 30
    for v in range(voices):
        if s[COUNT + v] > 0:
            left = s[ONSET_0 + v] + s[TICKS_0 + v] - s[TICKS]
            if left <= 0:
                if v + 1 > s[LATEST] and left > -12:
                    return 0
            elif left < soonest:
                soonest = left
    return soonest


@kernel(whole=True)
def circumstances(s: Ints, table: Ints, voices: int, outline: bool) -> int:
    """What the next token is guessed from, as the number of a table entry: in detail, or in outline."""
    kinds, place = table + NUM_MEANINGS * s[TOKEN], s[BAR_POSITION] % 48
    if kinds[PITCH] > 0:
        v = nearest_voice(s, voices)
        busy = s[ONSET_0 + v] + s[TICKS_0 + v] > s[TICKS]
        if outline:
            return _key(2, v, busy, 0)
        gap = min(max(s[NOTE_PITCH] - s[PITCH_0 + v], -8), 8) if s[COUNT + v] > 0 else 99
        return _key(1, v, gap * 2 + busy, s[LATEST])
    if kinds[VOICE] > 0:
        v = max(s[PENDING] - 1, 0)
        if outline:
            return _key(4, s[TICKS_1 + v], place % 24, 0)
        return _key(3, s[TICKS_1 + v] * 200 + s[TICKS_2 + v], place, s[TICKS_3 + v])
    if kinds[DURATION] > 0:
        soon = ticks_to_next(s, voices)
        return _key(6, soon, kinds[DURATION], 0) if outline else _key(5, soon, kinds[DURATION] * 200 + place, s[LATEST])
    v = 0
    while v + 1 < voices and (s[COUNT + v] == 0 or s[ONSET_0 + v] + s[TICKS_0 + v] > s[TICKS]):
        v += 1  # the highest voice that waits for a note
    if outline:
        return _key(8, v, s[PITCH_0 + v], s[TICKS_1 + v])
    return _key(7, v, s[PITCH_0 + v] * 100 + s[PITCH_1 + v], kinds[STEP])


@kernel(whole=True)
def learn(memory: Ints32, s: Ints, table: Ints, voices: int, token: int):
    """After the state `s` came `token`."""
    for i in range(NUM_TABLES):
        entry = i * TABLE_SIZE + circumstances(s, table, voices, i == 1)
        known = memory[entry]
        if known >> 3 == token:
            if known & 7 < _MOST:
                memory[entry] = known + 1
        elif known & 7 > 1:
            memory[entry] = (known >> 3 << 3) + (known & 7) // 2
        else:
            memory[entry] = token * 8 + 1


@kernel(whole=True)
def guess(memory: Ints32, s: Ints, table: Ints, voices: int, token_of: Ints) -> int:
    """The likely next token after the state `s`.

    `token_of`, three rows of `LONGEST`: the first VOICE and NOTE tokens; DUR tokens by ticks; TIME tokens by ticks.
    """
    kinds = table + NUM_MEANINGS * s[TOKEN]
    first = memory[circumstances(s, table, voices, False)]
    second = memory[TABLE_SIZE + circumstances(s, table, voices, True)]
    if first & 7 > 1 or (first & 7 > 0 and second & 7 == 0):
        return first >> 3
    if kinds[PITCH] > 0:
        return token_of[0] + nearest_voice(s, voices)
    if second & 7 > 0:
        return second >> 3
    if kinds[VOICE] > 0:
        return token_of[LONGEST + min(s[TICKS_1 + max(s[PENDING] - 1, 0)], LONGEST - 1)]
    if kinds[DURATION] > 0:
        return token_of[2 * LONGEST + min(ticks_to_next(s, voices), LONGEST - 1)]
    return token_of[1] + max(s[PITCH_0 + max(s[LATEST] - 1, 0)] - 1, 0)
