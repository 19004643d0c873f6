# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""One forward pass of the model for a handful of new tokens: what `MusicGPTForCausalLM.forward` computes, without its overhead.

All arrays are flat. Weights lie as in PyTorch, `(out, in)`, in one array; `at` holds where each begins, `size` the sizes. Their places are
named here, and filled in by `fast_model.py`.
"""

from __future__ import annotations

import math

import numpy as np

from .fast_compiler import Floats, Halves, Ints, cos, f32, kernel, sin, sqrt, struct
from .fast_imitation import expect
from .fast_music import (
    BAR,
    BAR_POSITION,
    COUNT,
    INTERVAL,
    MOTIF,
    NUM_WISHES,
    PITCH_0,
    STATE_SIZE,
    TICKS,
    TOKEN,
    WISH_0,
    elapsed,
    remaining,
)
from .fast_simd import (
    exp_and_sum,
    half_product_4x1,
    half_product_4x2,
    half_product_4x4,
    largest,
    mixture_1x1,
    mixture_1x2,
    mixture_4x1,
    mixture_4x2,
    product_4x1,
    product_4x2,
    product_4x4,
    scores_1x4,
    scores_4x2,
    widen,
)
from .imitation_musicgpt import NUM_KINDS, OFFSETS

# Places in `at`.
(
    TOKENS, BAR_POSITIONS, BARS, VOICE_PITCHES, VOICE_REMAININGS, VOICE_ELAPSEDS, VOICE_PROJ, INTERVALS, MOTIFS, WISHES,
    FREQUENCIES, NORM, NORM_BIAS, HEAD, MELODIC, IMITATION, IMITATION_BIAS, LAYERS,
) = range(18)  # fmt: skip
# Places in `at` behind LAYERS + 8 times the number of the layer.
NORM_1, NORM_1_BIAS, QKV, OUT, NORM_2, NORM_2_BIAS, UP, DOWN = range(8)
# Places in `size`.
(
    HIDDEN, INNER, NUM_LAYERS, HEADS, HEAD_DIM, VOCAB, VOCAB_ROWS, VOICES, TOKEN_PAIRS, TICK_PAIRS, BAR_PERIOD, PITCH_CHANNELS,
    REMAINING_CHANNELS, ELAPSED_CHANNELS, VOICE_INPUT, MELODIC_ROWS, NUM_STEPS, FIRST_NOTE, NUM_NOTES, ROOM, NUM_MOTIFS, BOS, SILENT,
    BAR_TICKS_DEFAULT, NUM_CACHED, HALF, FIRST_MATRIX, IMITATION_ROWS, FIRST_DURATION, NUM_DURATIONS, FIRST_TIME, LOWEST_PITCH,
) = range(32)  # fmt: skip
# Keys lie in blocks of this many, and room is made for a multiple of it.
KEY_BLOCK = 64
# Offsets of pitch to which the imitation head gives a score, and the first of them; its scores of durations, and of times, begin at these places.
_NUM_OFFSETS, _FIRST_OFFSET = len(OFFSETS), OFFSETS[0]
_DURATION_SCORES, _TIME_SCORES = NUM_KINDS * _NUM_OFFSETS, NUM_KINDS * (_NUM_OFFSETS + 2)

_HALF, _ONE, _LOWEST_SCORE = np.float32(0.5), np.float32(1.0), np.float32(-3e38)
# Coefficients of the rational erf on [-4, 4] (Eigen), within a few units in the last place.
_A13, _A11, _A9, _A7, _A5, _A3, _A1 = (
    np.float32(c)
    for c in (
        -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
        -2.95459980854025e-03, -1.60960333262415e-02,
    )
)  # fmt: skip
_B8, _B6, _B4, _B2, _B0 = (
    np.float32(c)
    for c in (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02)
)
_FOUR, _SQRT_HALF = np.float32(4.0), np.float32(math.sqrt(0.5))



@struct
class Model:
    """What the model is; see `fast_music` and `fast_draft` for the tables of tokens."""

    w: Floats  # tables, then matrices
    halves: Halves  # the matrices in float16 instead, if that loses nothing: size[HALF]
    at: Ints  # where each begins
    size: Ints
    epsilon: Floats  # of the layer norms
    table: Ints  # (vocab + 1, NUM_MEANINGS)
    token_of: Ints  # (3, LONGEST)


@struct
class Work:
    """Working memory of a pass. A tile of four may write beyond the last token: there is room for four more."""

    states: Ints  # (tokens, STATE_SIZE), after each token of the pass
    positions: Ints  # (tokens,), their places in the cache
    rows: Ints  # (rows,), the rows in the pass, whose tokens stand one row after the other
    firsts: Ints  # (rows,), the place of their first token in it
    counts: Ints  # (rows,), how many tokens they have in it
    keys: Floats  # (layers, rows, heads, ROOM / 16, head_dim, 16)
    values: Floats  # (layers, rows, heads, ROOM, head_dim)
    wide: Floats  # (tokens, INNER or 3 HIDDEN)
    h: Floats  # (tokens, HIDDEN), the residual stream
    x: Floats  # (tokens, HIDDEN or VOICE_INPUT)
    y: Floats  # (tokens, HIDDEN)
    angles: Floats  # (tokens, HEAD_DIM)
    p: Floats  # (4, ROOM), attention
    logits: Floats  # (tokens, VOCAB_ROWS)
    melodic: Floats  # (MELODIC_ROWS,)
    expected: Ints  # (2 VOICES + 4,)
    imitation: Floats  # (IMITATION_ROWS,)
    tile: Floats  # (4, INNER), rows of a weight


@kernel(fast=True, whole=True)
def gelu(x: Floats, count: int):
    """The exact GELU, `x / 2 (1 + erf(x / sqrt 2))`, in place."""
    for i in range(count):
        value = x[i]
        z = min(max(value * _SQRT_HALF, -_FOUR), _FOUR)
        s = z * z
        top = (((((_A13 * s + _A11) * s + _A9) * s + _A7) * s + _A5) * s + _A3) * s + _A1
        bottom = (((_B8 * s + _B6) * s + _B4) * s + _B2) * s + _B0
        x[i] = _HALF * value * (_ONE + z * top / bottom)


@kernel(fast=True, whole=True)
def layer_norm(x: Floats, gain: Floats, bias: Floats, out: Floats, count: int, width: int, epsilon: f32):
    """`count` rows of `x` -> `out`."""
    for row in range(count):
        first = row * width
        total = f32(0)
        for i in range(width):
            total += x[first + i]
        mean = total / f32(width)
        total = f32(0)
        for i in range(width):
            total += (x[first + i] - mean) * (x[first + i] - mean)
        scale = _ONE / sqrt(total / f32(width) + epsilon)
        for i in range(width):
            out[first + i] = (x[first + i] - mean) * scale * gain[i] + bias[i]


@kernel(whole=True)
def product(m: Model, r: Work, place: int, x: Floats, y: Floats, count: int, rows: int, width: int):
    """`y = x W^T`: `count` tokens of `width` (a multiple of 16), `rows` (a multiple of 4) outputs. Each weight is read once."""
    if m.size[HALF] == 0:
        for row in range(0, rows, 4):
            _tile(m.w + place + row * width, x, y + row, count, rows, width)
        return
    w = m.halves + (place - m.size[FIRST_MATRIX])
    for row in range(0, rows, 4):
        if count > 4:
            widen(w + row * width, r.tile, 4 * width)
            _tile(r.tile, x, y + row, count, rows, width)
        elif count > 2:
            half_product_4x4(w + row * width, x, y + row, rows, width)
        elif count == 2:
            half_product_4x2(w + row * width, x, y + row, rows, width)
        else:
            half_product_4x1(w + row * width, x, y + row, rows, width)


@kernel
def _tile(w: Floats, x: Floats, y: Floats, count: int, rows: int, width: int):
    """Four rows of a product."""
    token = 0
    while count - token > 2:  # a third token costs as much with a fourth beside it, for which there is room
        product_4x4(w, x + token * width, y + token * rows, rows, width)
        token += 4
    if count - token == 2:
        product_4x2(w, x + token * width, y + token * rows, rows, width)
    elif count - token == 1:
        product_4x1(w, x + token * width, y + token * rows, rows, width)


@kernel(fast=True)
def add(x: Floats, y: Floats, count: int):
    """`x += y`."""
    for i in range(count):
        x[i] += y[i]


@kernel(whole=True)
def embed(m: Model, r: Work, count: int):
    """Token embedding plus everything derived from the state, `(count, HIDDEN)` into `h`; cosines and sines into `angles`."""
    w, at, size = m.w, m.at, m.size
    hidden, wide = size[HIDDEN], size[VOICE_INPUT]
    for i in range(count):
        s, h = r.states + i * STATE_SIZE, r.h + i * hidden
        _copy(w + at[TOKENS] + s[TOKEN] * hidden, h, hidden)
        add(h, w + at[BAR_POSITIONS] + s[BAR_POSITION] * hidden, hidden)
        add(h, w + at[BARS] + s[BAR] % size[BAR_PERIOD] * hidden, hidden)
        add(h, w + at[INTERVALS] + s[INTERVAL] * hidden, hidden)
        add(h, w + at[MOTIFS] + s[MOTIF] * hidden, hidden)
        for kind in range(NUM_WISHES):
            add(h, w + at[WISHES] + s[WISH_0 + kind] * hidden, hidden)
        x, place = r.x + i * wide, 0
        for v in range(size[VOICES]):
            n = size[PITCH_CHANNELS]
            _copy(w + at[VOICE_PITCHES] + (s[PITCH_0 + v] if s[COUNT + v] > 0 else 0) * n, x + place, n)
            place += n
            n = size[REMAINING_CHANNELS]
            _copy(w + at[VOICE_REMAININGS] + remaining(s, v) * n, x + place, n)
            place += n
            n = size[ELAPSED_CHANNELS]
            _copy(w + at[VOICE_ELAPSEDS] + elapsed(s, v) * n, x + place, n)
            place += n
        for j in range(place, wide):
            x[j] = 0
        _turn(w + at[FREQUENCIES], size, f32(r.positions[i]), f32(s[TICKS]), r.angles + i * size[HEAD_DIM])
    product(m, r, at[VOICE_PROJ], r.x, r.y, count, hidden, wide)
    add(r.h, r.y, count * hidden)


@kernel
def _copy(source: Floats, target: Floats, count: int):
    for i in range(count):
        target[i] = source[i]


@kernel
def _turn(frequencies: Floats, size: Ints, position: f32, ticks: f32, angles: Floats):
    """Cosines, then sines, of the rotary angles. The angle is rounded to float32 as in the model: at tick 10,000 that shows."""
    pairs = size[HEAD_DIM] // 2
    for i in range(pairs):
        angle = (position if i < size[TOKEN_PAIRS] else ticks) * frequencies[i]
        angles[i] = cos(angle)
        angles[pairs + i] = sin(angle)


@kernel(whole=True)
def remember(qkv: Floats, size: Ints, angles: Floats, count: int, position: int, keys: Floats, values: Floats):
    """Turns the queries (in place, scaled) and keys of one row's new tokens, and puts keys and values into its cache."""
    hidden, dim, room = size[HIDDEN], size[HEAD_DIM], size[ROOM]
    half, scale = dim // 2, 1 / sqrt(f32(dim))
    for i in range(count):
        t, cosines = position + i, angles + i * dim
        sines = cosines + half
        for head in range(size[HEADS]):
            q = qkv + i * 3 * hidden + head * dim
            k, v = q + hidden, q + 2 * hidden
            to_keys = keys + head * room * dim + t // 16 * 16 * dim + t % 16
            to_values = values + (head * room + t) * dim
            for j in range(half):
                a, b = q[j], q[half + j]
                q[j] = (a * cosines[j] - b * sines[j]) * scale
                q[half + j] = (b * cosines[j] + a * sines[j]) * scale
                a, b = k[j], k[half + j]
                to_keys[j * 16] = a * cosines[j] - b * sines[j]
                to_keys[(half + j) * 16] = b * cosines[j] + a * sines[j]
            _copy(v, to_values, dim)


@kernel
def softmax(p: Floats, count: int, until: int):
    """In place over `count` values; what stands behind them, up to `until`, a multiple of 32, gets no weight."""
    for i in range(count, until):
        p[i] = _LOWEST_SCORE
    scale = 1 / exp_and_sum(p, largest(p, until), until)
    for i in range(until):
        p[i] *= scale


@kernel(whole=True)
def attend(qkv: Floats, size: Ints, count: int, position: int, keys: Floats, values: Floats, p: Floats, out: Floats):
    """Attention of one row's new tokens, the first of them at `position`, over all keys up to each; `(count, HIDDEN)` into `out`."""
    hidden, dim, room = size[HIDDEN], size[HEAD_DIM], size[ROOM]
    for start in range(0, count, 4):
        n = min(4, count - start)
        seen = position + start + n
        padded = (seen + 31) // 32 * 32
        for head in range(size[HEADS]):
            q = qkv + start * 3 * hidden + head * dim
            cached = head * room * dim
            if n == 1:
                for t in range(0, seen, 64):
                    scores_1x4(keys + cached + t * dim, q, 3 * hidden, p + t, room, dim)
            else:
                for t in range(0, seen, 32):
                    scores_4x2(keys + cached + t * dim, q, 3 * hidden, p + t, room, dim)
            for i in range(n):
                softmax(p + i * room, seen - n + i + 1, padded)
            _mix(p, room, values + cached, dim, out + start * hidden + head * dim, hidden, (seen + 3) // 4 * 4, n)


@kernel
def _mix(p: Floats, room: int, values: Floats, dim: int, out: Floats, hidden: int, count: int, n: int):
    """`p` times values for one head of up to four tokens."""
    if dim % 32 == 0:
        for part in range(0, dim, 32):
            if n == 1:
                mixture_1x2(p, room, values + part, dim, out + part, hidden, count)
            else:
                mixture_4x2(p, room, values + part, dim, out + part, hidden, count)
    else:
        for part in range(0, dim, 16):
            if n == 1:
                mixture_1x1(p, room, values + part, dim, out + part, hidden, count)
            else:
                mixture_4x1(p, room, values + part, dim, out + part, hidden, count)


@kernel(whole=True)
def forward(m: Model, r: Work, num_rows: int):
    """All blocks for the new tokens of `num_rows` rows, as `states` and the following describe them; the final norm is left in `x`."""
    w, size, epsilon = m.w, m.size, m.epsilon[0]
    hidden, inner = size[HIDDEN], size[INNER]
    count, cache_size = r.firsts[num_rows - 1] + r.counts[num_rows - 1], hidden * size[ROOM]
    embed(m, r, count)
    for layer in range(size[NUM_LAYERS]):
        at = m.at + LAYERS + 8 * layer
        layer_norm(r.h, w + at[NORM_1], w + at[NORM_1_BIAS], r.x, count, hidden, epsilon)
        product(m, r, at[QKV], r.x, r.wide, count, 3 * hidden, hidden)
        for i in range(num_rows):
            first, n = r.firsts[i], r.counts[i]
            cached, position = (layer * size[NUM_CACHED] + r.rows[i]) * cache_size, r.positions[first]
            qkv, keys, values = r.wide + first * 3 * hidden, r.keys + cached, r.values + cached
            remember(qkv, size, r.angles + first * size[HEAD_DIM], n, position, keys, values)
            attend(qkv, size, n, position, keys, values, r.p, r.x + first * hidden)
        product(m, r, at[OUT], r.x, r.y, count, hidden, hidden)
        add(r.h, r.y, count * hidden)
        layer_norm(r.h, w + at[NORM_2], w + at[NORM_2_BIAS], r.x, count, hidden, epsilon)
        product(m, r, at[UP], r.x, r.wide, count, inner, hidden)
        gelu(r.wide, count * inner)
        product(m, r, at[DOWN], r.wide, r.y, count, hidden, inner)
        add(r.h, r.y, count * hidden)
    layer_norm(r.h, w + m.at[NORM], w + m.at[NORM_BIAS], r.x, count, hidden, epsilon)


@kernel
def token_logits(m: Model, r: Work, count: int):
    """The logits of `count` tokens without the melodic head's part, `(count, VOCAB_ROWS)`."""
    product(m, r, m.at[HEAD], r.x, r.logits, count, m.size[VOCAB_ROWS], m.size[HIDDEN])


@kernel(whole=True)
def melodic_logits(m: Model, r: Work, token: int):
    """Adds to one row of logits what the melodic head gives for each NOTE."""
    size, s = m.size, r.states + token * STATE_SIZE
    largest, steps = (size[NUM_STEPS] - 1) // 2, size[NUM_STEPS]
    product(m, r, m.at[MELODIC], r.x + token * size[HIDDEN], r.melodic, 1, size[MELODIC_ROWS], size[HIDDEN])
    logits = r.logits + token * size[VOCAB_ROWS] + size[FIRST_NOTE]
    for v in range(size[VOICES]):
        pitch = s[PITCH_0 + v] if s[COUNT + v] > 0 else 0
        if pitch > 0:
            for note in range(max(1, pitch - largest), min(size[NUM_NOTES], pitch + largest) + 1):
                logits[note - 1] += r.melodic[v * steps + largest + note - pitch]


@kernel(whole=True)
def imitation_logits(m: Model, r: Work, token: int, notes: Ints, room: int):
    """Adds to one row of logits what the imitation head gives for the tokens that are expected, by the row's log of `notes`."""
    size, s, expected = m.size, r.states + token * STATE_SIZE, r.expected
    voices, count, first_time = size[VOICES], size[NUM_NOTES], size[FIRST_TIME]
    if not expect(s, m.table, m.token_of, notes, room, voices, size[LOWEST_PITCH], count, first_time, expected):
        return
    scores, logits, single = r.imitation, r.logits + token * size[VOCAB_ROWS], expected + 2 * voices
    product(m, r, m.at[IMITATION], r.x + token * size[HIDDEN], scores, 1, size[IMITATION_ROWS], size[HIDDEN])
    add(scores, m.w + m.at[IMITATION_BIAS], size[IMITATION_ROWS])
    for v in range(voices):
        if expected[voices + v] > 0:
            first = expected[v] - 1 + _FIRST_OFFSET
            for i in range(max(0, -first), min(_NUM_OFFSETS, count - first)):
                logits[size[FIRST_NOTE] + first + i] += scores[(expected[voices + v] - 1) * _NUM_OFFSETS + i]
    if single[0] > 0:
        logits[size[FIRST_DURATION] + single[0] - 1] += scores[_DURATION_SCORES + single[1] - 1]
    if single[2] > 0:
        logits[first_time + single[2] - 1] += scores[_TIME_SCORES + single[3] - 1]
