// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// From logits to a token: what transformers' logits processors, ours and `torch.multinomial` do, for one row, in the order of `generate()`.
#pragma once
#include "forward.hpp"

namespace LEVEL {

// -inf where a token is not allowed, unless nothing would be left.
static void keep_possible(f32* scores, const u8* allowed, i64 count) {
  bool possible = false;
  for (i64 i = 0; i < count; i++) possible |= allowed[i] && scores[i] > -INFINITY;
  if (!possible) return;
  for (i64 i = 0; i < count; i++) scores[i] = allowed[i] ? scores[i] : -INFINITY;
}

// The mask of `GrammarLogitsProcessor`.
static void allow_grammar(f32* scores, const State& s, const Rules& r, u8* allowed, i64 vocab) {
  memcpy(allowed, r.legal + s.grammar * vocab, vocab);
  if (!r.ends && r.eos >= 0) allowed[r.eos] = 0;
  keep_possible(scores, allowed, vocab);
}

// Tokens after which the piece can still be closed: at a bar line, else between two notes, else whatever is legal.
static void closable(const State& s, const Rules& r, i64 left, u8* allowed, i64 vocab) {
  const i64 state = s.grammar, tick = s.bar_position;
  const u8* legal = r.legal + state * vocab;
  i64 now = 0;
  while (now + 1 < r.num_lengths && r.lengths[now] < s.bar_ticks) now++;
  for (i64 where = 0; where < 2; where++) {
    const i64* costs = r.costs + where * r.num_lengths * r.num_states * r.num_ticks;
    bool some = false;
    for (i64 i = 0; i < vocab; i++) {
      const bool meter = r.meters[i] >= 0;
      const i64 length = meter ? r.meters[i] : now, at = meter ? 0 : (tick + r.steps[i]) % r.lengths[now];
      bool ok = costs[(length * r.num_states + r.next_state[state * vocab + i]) * r.num_ticks + at] <= left - 1;
      if (i == r.eos) ok = where == 1 || costs[(now * r.num_states + state) * r.num_ticks + tick] == 1;
      allowed[i] = ok && legal[i];
      some |= allowed[i] != 0;
    }
    if (some) return;
  }
  memcpy(allowed, legal, vocab);
}

// The mask of `BarEndLogitsProcessor` for a row of `length` tokens.
static void allow_bar_end(f32* scores, const State& s, const Rules& r, i64 length, u8* allowed, i64 vocab) {
  const i64 left = r.max_length - length;
  if (left > LOOK_AHEAD || left < 1) return;
  const i64 begun = length - s.bar_begin;
  i64 longest = max(begun, SHORTEST_BAR);
  for (i64 size : s.bar_sizes) longest = max(longest, size);
  const bool last = left + begun < 2 * longest && s.grammar >= r.note_state && s.grammar < r.end_state;
  const bool ends = left < longest && s.bar_position == 0 && s.grammar >= r.time_1_state && s.grammar <= r.time_last_state;
  // A change of meter begins another bar.
  for (i64 i = 0; i < vocab; i++)
    allowed[i] = ends ? i == r.eos : !(last && (r.begins_bar[i] || s.bar_position + r.steps[i] > s.bar_ticks));
  keep_possible(scores, allowed, vocab);
  if (left > CLOSING) return;
  closable(s, r, left, allowed, vocab);
  keep_possible(scores, allowed, vocab);
}

// The mask of `RepetitionLogitsProcessor`, where a NOTE may come.
static void allow_new_pitches(f32* scores, const Model& m, const i64* ids, i64 length, i64* counts, u8* allowed) {
  memset(counts, 0, 2 * m.num_notes * sizeof *counts);
  i64* all_counts = counts + m.num_notes;
  for (i64 column = length - 1, notes = 1; column >= 0 && notes < LONG_WINDOW; column--) {
    const i64 note = ids[column] - m.first_note;
    if (note < 0 || note >= m.num_notes) continue;
    all_counts[note]++;
    if (notes++ < SHORT_WINDOW) counts[note]++;
  }
  memset(allowed, 1, m.vocab);
  for (i64 i = 0; i < m.num_notes; i++) allowed[m.first_note + i] = counts[i] < SHORT_LIMIT && all_counts[i] < LONG_LIMIT;
  keep_possible(scores, allowed, m.vocab);
}

// The processors that forbid and penalise, on `scores`; `s` is the state of the row.
static void mask(const Model* model, const Rules* rules, Work* work, Batch* batch, i64 row, const State* s, f32* scores) {
  const Model& m = *model;
  const Rules& r = *rules;
  const i64 length = batch->length[row], vocab = m.vocab;
  if (r.penalty != 1) {
    const u8* seen = batch->seen + row * vocab;
    const f32 penalty = f32(r.penalty);
    for (i64 i = 0; i < vocab; i++)
      if (seen[i]) scores[i] = scores[i] < 0 ? scores[i] * penalty : scores[i] / penalty;
  }
  if (length < r.min_length)
    for (i64 i = 0; i < vocab; i++)
      if (r.is_eos[i]) scores[i] = -INFINITY;
  if (r.use_grammar) allow_grammar(scores, *s, r, work->allowed, vocab);
  if (r.use_bar_end) allow_bar_end(scores, *s, r, length, work->allowed, vocab);
  if (r.use_repetition && r.legal[s->grammar * vocab + m.first_note])
    allow_new_pitches(scores, m, batch->ids + row * batch->room, length, work->places, work->allowed);
}

// exp(values - the largest), from the smallest on, as torch sums a softmax of sorted scores.
static f32 sum_of_exp(const f32* values, i64 n) {
  f32 total = 0;
  for (i64 i = n - 1; i >= 0; i--) total += expf(values[i] - values[0]);
  return total;
}

// How many of `n` sorted scores top-k, top-p and min-p leave. Equal scores stay or go together, but for top-p.
static i64 kept(const f32* values, i64 n, const Rules& r) {
  if (r.top_k > 0 && r.top_k < n) {
    const i64 given = n;
    for (n = r.top_k; n < given && values[n] == values[r.top_k - 1]; n++) {}
  }
  if (r.top_p < 1) {
    const f32 total = sum_of_exp(values, n), limit = f32(1.0 - r.top_p);
    f64 rest = 0;
    for (; n > 1; n--) {
      rest += expf(values[n - 1] - values[0]) / total;
      if (f32(rest) > limit) break;
    }
  }
  if (r.min_p > 0) {
    const f32 total = sum_of_exp(values, n), limit = f32(r.min_p) * (1 / total);
    while (n > 1 && expf(values[n - 1] - values[0]) / total < limit) n--;
  }
  return n;
}

// The token of one row from its masked scores. `torch.multinomial` takes the largest of `probability / noise`, the noise being exponential: with
// the same noise this is the same token. Without sampling the largest score. NOT_A_NUMBER where there are no probabilities.
static i64 pick(const Rules* rules, Work* work, f32* scores, const f32* noise, i64 vocab) {
  const Rules& r = *rules;
  f32* values = work->sorted;
  i64 *places = work->places, best = 0, n = 0;
  if (!r.sample) {
    for (i64 i = 0; i < vocab; i++) {
      if (scores[i] != scores[i]) return i;  // as `torch.argmax`
      if (scores[i] > scores[best]) best = i;
    }
    return best;
  }
  const f32 temperature = f32(r.temperature);
  for (i64 i = 0; i < vocab; i++) {
    if (scores[i] != scores[i] || scores[i] == INFINITY) return NOT_A_NUMBER;
    const f32 value = scores[i] / temperature;
    if (!(value > -INFINITY)) continue;
    i64 j = n++;
    for (; j > 0 && values[j - 1] < value; j--) values[j] = values[j - 1], places[j] = places[j - 1];
    values[j] = value, places[j] = i;
  }
  if (n == 0) return NOT_A_NUMBER;
  n = kept(values, n, r);
  const f32 total = sum_of_exp(values, n);
  f32 most = -1;
  best = -1;
  for (i64 i = 0; i < n; i++) {
    const f32 ratio = expf(values[i] - values[0]) / total / noise[places[i]];
    if (ratio > most || (ratio == most && places[i] < best)) best = places[i], most = ratio;
  }
  return best;
}

}  // namespace LEVEL
