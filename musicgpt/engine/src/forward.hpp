// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// One forward pass for a handful of new tokens: what `MusicGPTForCausalLM.forward` computes.
#pragma once
#include "imitation.hpp"
#include "kernels.hpp"

namespace LEVEL {

static inline i64 up(i64 number) { return (number + BLOCK - 1) / BLOCK * BLOCK; }
static inline State* states_of(i64* p) { return (State*)p; }
static inline Note* log_of(const Batch& b, i64 row) { return (Note*)b.log + row * b.note_room; }
static inline const f32* copy(const f32* source, f32* target, i64 count) { return (const f32*)memcpy(target, source, count * sizeof *target); }

// Cosines, then sines, of the rotary angles. The angle is rounded to float32 as in the model: at tick 10,000 that shows.
static void turn(const Model& m, f32 position, f32 ticks, f32* angles) {
  const i64 pairs = m.dim / 2;
  for (i64 i = 0; i < pairs; i++) {
    const f32 angle = (i < m.token_pairs ? position : ticks) * m.frequencies[i];
    angles[i] = cosf(angle), angles[pairs + i] = sinf(angle);
  }
}

// Token embedding plus everything derived from the state, `(count, hidden)` into `h`; cosines and sines into `angles`.
static void embed(const Model& m, Work& w, i64 count) {
  const i64 hidden = m.hidden;
  for (i64 i = 0; i < count; i++) {
    const State& s = states_of(w.states)[i];
    f32 *h = w.h + i * hidden, *x = w.x + i * m.voice_input;
    copy(m.tokens + s.token * hidden, h, hidden);
    if (m.bar_positions) add(h, m.bar_positions + s.bar_position * hidden, hidden);
    if (m.bars) add(h, m.bars + s.bar % m.bar_period * hidden, hidden);
    if (m.intervals) add(h, m.intervals + s.interval * hidden, hidden);
    if (m.motifs) add(h, m.motifs + s.motif * hidden, hidden);
    if (m.wishes) for (i64 wish : s.wishes) add(h, m.wishes + wish * hidden, hidden);
    turn(m, f32(w.positions[i]), f32(s.ticks), w.angles + i * m.dim);
    if (!m.voice_proj) continue;
    memset(x, 0, m.voice_input * sizeof *x);
    for (i64 v = 0; v < m.voices; v++) {
      copy(m.voice_pitches + pitch_of(s, v) * m.pitch_channels, x, m.pitch_channels), x += m.pitch_channels;
      copy(m.voice_remainings + remaining(s, v) * m.remaining_channels, x, m.remaining_channels), x += m.remaining_channels;
      copy(m.voice_elapseds + elapsed(s, v) * m.elapsed_channels, x, m.elapsed_channels), x += m.elapsed_channels;
    }
  }
  if (!m.voice_proj) return;
  product(m.voice_proj, m.half, w.tile, w.x, w.y, count, hidden, m.voice_input);
  add(w.h, w.y, count * hidden);
}

// Turns the queries (in place, scaled) and keys of one row's new tokens, and puts keys and values into its cache.
static void remember(f32* qkv, const Model& m, const f32* angles, i64 count, i64 position, f32* keys, f32* values, i64 room) {
  const i64 hidden = m.hidden, dim = m.dim, half = dim / 2;
  const f32 scale = 1.0f / sqrtf(f32(dim));
  for (i64 i = 0; i < count; i++) {
    const i64 t = position + i;
    const f32 *cosines = angles + i * dim, *sines = cosines + half;
    for (i64 head = 0; head < m.heads; head++) {
      f32 *q = qkv + i * 3 * hidden + head * dim, *k = q + hidden;
      f32* to_keys = keys + head * room * dim + t / BLOCK * BLOCK * dim + t % BLOCK;
      for (i64 j = 0; j < half; j++) {
        const f32 a = q[j], b = q[half + j], c = k[j], d = k[half + j];
        q[j] = (a * cosines[j] - b * sines[j]) * scale;
        q[half + j] = (b * cosines[j] + a * sines[j]) * scale;
        to_keys[j * BLOCK] = c * cosines[j] - d * sines[j];
        to_keys[(half + j) * BLOCK] = d * cosines[j] + c * sines[j];
      }
      copy(q + 2 * hidden, values + (head * room + t) * dim, dim);
    }
  }
}

enum { MANY = LANES == 16 ? 2 : 1 };  // blocks of keys, keys and blocks of channels at once, as four queries leave registers for them

// Attention of `QUERIES` tokens (the last of them may be none) of one head over `seen` keys; `n` of them are there.
template <int QUERIES, int BLOCKS, int UNITS>
static void attend_head(const f32* q, const Model& m, i64 n, i64 seen, const f32* keys, const f32* values, i64 room, f32* p, f32* out) {
  for (i64 t = 0; t < seen; t += BLOCKS * BLOCK) scores<QUERIES, BLOCKS>(keys + t * m.dim, q, 3 * m.hidden, p + t, room, m.dim);
  for (i64 i = 0; i < n; i++) softmax(p + i * room, seen - n + i + 1, up(seen));
  const i64 count = (seen + UNITS - 1) / UNITS * UNITS, whole = m.dim - m.dim % (MANY * BLOCK);
  for (i64 part = 0; part < whole; part += MANY * BLOCK) mixture<QUERIES, UNITS, MANY>(p, room, values + part, m.dim, out + part, m.hidden, count);
  for (i64 part = whole; part < m.dim; part += BLOCK) mixture<QUERIES, UNITS>(p, room, values + part, m.dim, out + part, m.hidden, count);
}

// Attention of one row's new tokens, the first of them at `position`, over all keys up to each; `(count, hidden)` into `out`.
static void attend(const f32* qkv, const Model& m, i64 count, i64 position, const f32* keys, const f32* values, i64 room, f32* p, f32* out) {
  for (i64 start = 0; start < count; start += 4) {
    const i64 n = min(4, count - start), seen = position + start + n;
    const auto attend_n = n == 1 ? attend_head<1, 4, 4> : n == 2 ? attend_head<2, 2, 2> : attend_head<4, MANY, MANY>;
    for (i64 head = 0; head < m.heads; head++) {
      const i64 cached = head * room * m.dim, at = head * m.dim;
      attend_n(qkv + start * 3 * m.hidden + at, m, n, seen, keys + cached, values + cached, room, p, out + start * m.hidden + at);
    }
  }
}

// Attention of the new tokens of all rows, where these share their first keys: four tokens at a time, of whatever rows, look at each of the
// shared keys while it is at hand; each then at its own row's.
static void attend_together(const Model& m, const Work& w, const Batch& b, i64 num_rows, i64 number) {
  const i64 hidden = m.hidden, dim = m.dim, room = b.cache_room, shared = *b.shared, size = hidden * room;
  const i64 count = w.firsts[num_rows - 1] + w.counts[num_rows - 1];
  for (i64 head = 0; head < m.heads; head++) {
    const i64 cached = head * room * dim;
    const f32 *keys = b.keys + number * size + cached, *values = b.values + number * size + cached;
    for (i64 start = 0, row = 0; start < count; start += 4) {
      const i64 n = min(4, count - start);
      const f32* q = w.wide + start * 3 * hidden + head * dim;
      f32* out = w.x + start * hidden + head * dim;
      const f32* own[4];
      for (i64 t = 0; t < shared; t += MANY * BLOCK) scores<4, MANY>(keys + t * dim, q, 3 * hidden, w.p + t, room, dim);
      for (i64 i = 0; i < n; i++) {
        while (start + i >= w.firsts[row] + w.counts[row]) row++;
        const i64 at = (w.rows[row] * m.num_layers + number) * size + cached, seen = w.positions[start + i] + 1;
        for (i64 t = shared; t < seen; t += 4 * BLOCK) scores<1, 4>(b.keys + at + t * dim, q + i * 3 * hidden, 3 * hidden, w.p + i * room + t, room, dim);
        softmax(w.p + i * room, seen, up(seen));
        own[i] = b.values + at + shared * dim;
      }
      for (i64 part = 0; part < dim; part += BLOCK) {
        mixture<4, MANY>(w.p, room, values + part, dim, out + part, hidden, shared);
        for (i64 i = 0; i < n; i++) {
          const i64 more = w.positions[start + i] + 1 - shared;
          mixture<1, 4, 1, true>(w.p + i * room + shared, room, own[i] + part, dim, out + i * hidden + part, hidden, (more + 3) / 4 * 4);
        }
      }
    }
  }
}

// All blocks for the new tokens of `num_rows` rows, as `states` and the following arrays describe them; the final norm is left in `x`.
static void forward(const Model& m, Work& w, const Batch& b, i64 num_rows) {
  const i64 hidden = m.hidden, count = w.firsts[num_rows - 1] + w.counts[num_rows - 1], layer_size = hidden * b.cache_room;
  const f32 epsilon = f32(m.epsilon);
  embed(m, w, count);
  for (i64 number = 0; number < m.num_layers; number++) {
    const Layer& layer = ((const Layer*)m.layers)[number];
    layer_norm(w.h, layer.norm1, layer.bias1, w.x, count, hidden, epsilon);
    product(layer.qkv, m.half, w.tile, w.x, w.wide, count, 3 * hidden, hidden);
    for (i64 i = 0; i < num_rows; i++) {
      const i64 first = w.firsts[i], n = w.counts[i], position = w.positions[first], cached = (w.rows[i] * m.num_layers + number) * layer_size;
      f32 *qkv = w.wide + first * 3 * hidden, *keys = b.keys + cached, *values = b.values + cached;
      remember(qkv, m, w.angles + first * m.dim, n, position, keys, values, b.cache_room);
      if (!*b.shared) attend(qkv, m, n, position, keys, values, b.cache_room, w.p, w.x + first * hidden);
    }
    if (*b.shared) attend_together(m, w, b, num_rows, number);
    product(layer.out, m.half, w.tile, w.x, w.y, count, hidden, hidden);
    add(w.h, w.y, count * hidden);
    layer_norm(w.h, layer.norm2, layer.bias2, w.x, count, hidden, epsilon);
    product(layer.up, m.half, w.tile, w.x, w.wide, count, m.inner, hidden);
    gelu(w.wide, count * m.inner);
    product(layer.down, m.half, w.tile, w.wide, w.y, count, hidden, m.inner);
    add(w.h, w.y, count * hidden);
  }
  layer_norm(w.h, m.norm, m.bias, w.x, count, hidden, epsilon);
}

// Adds to one row of logits what the melodic head gives for each NOTE, where a row stands in `s` and the final norm in `x`.
static void melodic_logits(const Model& m, Work& w, const State& s, const f32* x, f32* logits) {
  const i64 steps = 2 * INTERVAL_MAX + 1;
  product(m.melodic, m.half, w.tile, x, w.melodic, 1, up(m.voices * steps), m.hidden);
  for (i64 v = 0; v < m.voices; v++) {
    const i64 pitch = pitch_of(s, v);
    if (pitch == 0) continue;
    for (i64 note = max(1, pitch - INTERVAL_MAX); note <= min(m.num_notes, pitch + INTERVAL_MAX); note++)
      logits[m.first_note + note - 1] += w.melodic[v * steps + INTERVAL_MAX + note - pitch];
  }
}

// Adds to one row of logits what the imitation head gives for the tokens that are expected, by the row's log of notes.
static void imitation_logits(const Model& m, Work& w, const State& s, const f32* x, const Note* log, f32* logits) {
  const i64 *expected = w.expected, *single = expected + 2 * m.voices, num_scores = NUM_KINDS * (NUM_OFFSETS + 3);
  if (!expect(s, m, log, w.expected)) return;
  product(m.imitation, m.half, w.tile, x, w.imitation, 1, up(num_scores), m.hidden);
  add(w.imitation, m.imitation_bias, num_scores);
  for (i64 v = 0; v < m.voices; v++) {
    if (expected[m.voices + v] == 0) continue;
    for (i64 i = 0; i < NUM_OFFSETS; i++) {
      const i64 note = expected[v] - 1 + FIRST_OFFSET + i;
      if (note >= 0 && note < m.num_notes) logits[m.first_note + note] += w.imitation[(expected[m.voices + v] - 1) * NUM_OFFSETS + i];
    }
  }
  if (single[0] > 0) logits[m.first_duration + single[0] - 1] += w.imitation[NUM_KINDS * NUM_OFFSETS + single[1] - 1];
  if (single[2] > 0) logits[m.first_time + single[2] - 1] += w.imitation[NUM_KINDS * (NUM_OFFSETS + 2) + single[3] - 1];
}

}  // namespace LEVEL
