# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""From logits to a token: what transformers' logits processors and `torch.multinomial` do, for one row.

The order is that of `generate()`: repetition penalty, least length, grammar, end at a bar line, no pitch too often, temperature, top-k, top-p, min-p, and the choice.
"""

from __future__ import annotations

import numpy as np

from .bar_end_musicgpt import CLOSING, LOOK_AHEAD, SHORTEST_BAR
from .fast_compiler import Bools, Doubles, Floats, Ints, exp, f32, f64, kernel, struct
from .fast_music import BAR_BEGAN, BAR_POSITION, BAR_SIZES, BAR_TICKS, NUM_BAR_SIZES, STATE
from .grammar_musicgpt import MAX_TIME_TOKENS
from .grammar_musicgpt import STATE as STATES
from .repetition_musicgpt import WINDOWS

# Places in `how`: the arguments of the choice, as float64; 0 switches a step off.
SAMPLE, TEMPERATURE, TOP_K, TOP_P, MIN_P, PENALTY, GRAMMAR, BAR_END, MAX_LENGTH, EOS, ENDS, MIN_LENGTH, REPETITION = range(13)
NUM_HOW = 13
(_SHORT, _SHORT_LIMIT), (_LONG, _LONG_LIMIT) = WINDOWS
# What a choice gives instead of a token when the scores are not numbers.
NOT_A_NUMBER = -1
_NOTE, _END = STATES["NOTE"], STATES["END"]
_TIME_1, _TIME_LAST = STATES["TIME_1"], STATES[f"TIME_{MAX_TIME_TOKENS}"]
_NEG_INF, _INF = np.float32(-np.inf), np.float32(np.inf)


@struct
class Rules:
    """How a token is chosen; tables in rows of the vocabulary."""

    how: Doubles  # see the places above
    legal: Bools  # (states, vocab)
    next_state: Ints  # (states, vocab)
    steps: Ints  # (vocab,), ticks; more than any bar for METER tokens
    meters: Ints  # (vocab,), place of a token's bar length among the lengths, or -1
    bar_lengths: Ints  # numbers of lengths, states and ticks in `costs`, then the lengths
    costs: Ints  # (2, lengths, states, ticks), of `ClosingCosts`
    is_eos: Bools  # (vocab,)


@kernel(whole=True)
def keep_possible(scores: Floats, legal: Bools, count: int):
    """-inf where a token is not legal, unless nothing would be left."""
    possible = False
    for i in range(count):
        if legal[i] and scores[i] > _NEG_INF:
            possible = True
            break
    if possible:
        for i in range(count):
            if not legal[i]:
                scores[i] = _NEG_INF


@kernel
def allow_grammar(scores: Floats, s: Ints, legal: Bools, how: Doubles, allowed: Bools, count: int):
    """The mask of `GrammarLogitsProcessor`."""
    for i in range(count):
        allowed[i] = legal[s[STATE] * count + i]
    if how[ENDS] == 0 and how[EOS] >= 0:
        allowed[int(how[EOS])] = False
    keep_possible(scores, allowed, count)


@kernel(whole=True)
def allow_bar_end(scores: Floats, s: Ints, rules: Rules, length: int, allowed: Bools, count: int):
    """The mask of `BarEndLogitsProcessor` for a row of `length` tokens."""
    how, steps = rules.how, rules.steps
    left = int(how[MAX_LENGTH]) - length
    if left > LOOK_AHEAD or left < 1:
        return
    state, tick, eos = s[STATE], s[BAR_POSITION], int(how[EOS])
    begun = length - s[BAR_BEGAN]
    longest = max(begun, SHORTEST_BAR)
    for i in range(NUM_BAR_SIZES):
        longest = max(longest, s[BAR_SIZES + i])
    last = left + begun < 2 * longest and _NOTE <= state < _END
    ends = left < longest and tick == 0 and _TIME_1 <= state <= _TIME_LAST
    for i in range(count):
        allowed[i] = i == eos if ends else not (last and tick + steps[i] > s[BAR_TICKS])
    keep_possible(scores, allowed, count)
    if left <= CLOSING:
        _closable(s, rules, left, allowed, count)
        keep_possible(scores, allowed, count)


@kernel
def _closable(s: Ints, rules: Rules, left: int, allowed: Bools, count: int):
    """Tokens after which the piece can still be closed: at a bar line, else between two notes, else whatever is legal."""
    state, tick, eos = s[STATE], s[BAR_POSITION], int(rules.how[EOS])
    legal, meters, lengths = rules.legal + state * count, rules.meters, rules.bar_lengths
    # The tables of costs are `(2, lengths, states, ticks)`.
    num_lengths, num_states, num_ticks = lengths[0], lengths[1], lengths[2]
    now = 0
    while now + 1 < num_lengths and lengths[3 + now] < s[BAR_TICKS]:
        now += 1
    for where in range(2):
        some = False
        for i in range(count):
            length = meters[i] if meters[i] >= 0 else now
            at = 0 if meters[i] >= 0 else (tick + rules.steps[i]) % lengths[3 + now]
            after = rules.next_state[state * count + i]
            ok = rules.costs[((where * num_lengths + length) * num_states + after) * num_ticks + at] <= left - 1
            if i == eos:
                ok = where == 1 or rules.costs[(now * num_states + state) * num_ticks + tick] == 1
            allowed[i] = ok and legal[i]
            some = some or (ok and legal[i])
        if some:
            return
    for i in range(count):
        allowed[i] = legal[i]


@kernel
def allow_new_pitches(
    scores: Floats, ids: Ints, length: int, first_note: int, num_notes: int, counts: Ints, allowed: Bools, count: int
):  # fmt: skip
    """The mask of `RepetitionLogitsProcessor`, where a NOTE may come; `counts` has room for two numbers for each NOTE."""
    for i in range(2 * num_notes):
        counts[i] = 0
    notes, column = 1, length - 1
    while column >= 0 and notes < _LONG:
        note = ids[column] - first_note
        if 0 <= note < num_notes:
            counts[num_notes + note] += 1
            if notes < _SHORT:
                counts[note] += 1
            notes += 1
        column -= 1
    for i in range(count):
        note = i - first_note
        allowed[i] = True
        if 0 <= note < num_notes:
            allowed[i] = counts[note] < _SHORT_LIMIT and counts[num_notes + note] < _LONG_LIMIT
    keep_possible(scores, allowed, count)


@kernel
def penalise(scores: Floats, seen: Bools, penalty: f64, count: int):
    """`RepetitionPenaltyLogitsProcessor`."""
    p = f32(penalty)
    for i in range(count):
        if seen[i]:
            scores[i] = scores[i] * p if scores[i] < 0 else scores[i] / p


@kernel
def forbid_end(scores: Floats, is_eos: Bools, count: int):
    """`MinLengthLogitsProcessor` and `MinNewTokensLengthLogitsProcessor` while the row is too short."""
    for i in range(count):
        if is_eos[i]:
            scores[i] = _NEG_INF


@kernel
def _sorted_scores(scores: Floats, count: int, values: Floats, places: Ints) -> int:
    """The finite scores with their places, the largest first; how many there are."""
    n = 0
    for i in range(count):
        if scores[i] > _NEG_INF:
            j = n
            while j > 0 and values[j - 1] < scores[i]:
                values[j], places[j] = values[j - 1], places[j - 1]
                j -= 1
            values[j], places[j] = scores[i], i
            n += 1
    return n


@kernel
def _kept(values: Floats, n: int, how: Doubles) -> int:
    """How many of `n` sorted scores top-k, top-p and min-p leave. Equal scores stay or go together, but for top-p."""
    if 0 < how[TOP_K] < n:
        least, n_all = values[int(how[TOP_K]) - 1], n
        n = int(how[TOP_K])
        while n < n_all and values[n] == least:
            n += 1
    if how[TOP_P] < 1:
        total = _sum_of_exp(values, n)
        rest, limit = f64(0), f32(1.0 - how[TOP_P])
        while n > 1:
            rest += f32(exp(values[n - 1] - values[0])) / total
            if f32(rest) > limit:
                break
            n -= 1
    if how[MIN_P] > 0:
        total = _sum_of_exp(values, n)
        limit = f32(how[MIN_P]) * (1 / total)
        while n > 1 and f32(exp(values[n - 1] - values[0])) / total < limit:
            n -= 1
    return n


@kernel
def _sum_of_exp(values: Floats, n: int) -> f32:
    total = f32(0)
    for i in range(n - 1, -1, -1):
        total += f32(exp(values[i] - values[0]))
    return total


@kernel(whole=True)
def choose(scores: Floats, noise: Floats, how: Doubles, values: Floats, places: Ints, count: int) -> int:
    """The token of one row from its masked scores.

    `torch.multinomial` with one sample takes the largest of `probability / noise`, the noise being exponential; with the same noise this
    is the same token. Without sampling the largest score.
    """
    for i in range(count):
        if scores[i] != scores[i] or scores[i] == _INF:
            return NOT_A_NUMBER
    if how[SAMPLE] == 0:
        best = 0
        for i in range(1, count):
            if scores[i] > scores[best]:
                best = i
        return best
    temperature = f32(how[TEMPERATURE])
    for i in range(count):
        scores[i] = scores[i] / temperature
    n = _sorted_scores(scores, count, values, places)
    if n == 0:
        return NOT_A_NUMBER
    n = _kept(values, n, how)
    total = _sum_of_exp(values, n)
    best, most = -1, f32(-1)
    for i in range(n):
        ratio = f32(exp(values[i] - values[0])) / total / noise[places[i]]
        if ratio > most or (ratio == most and places[i] < best):
            best, most = places[i], ratio
    return best
