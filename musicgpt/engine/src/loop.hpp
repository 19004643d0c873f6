// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// The loop: guess, one pass over the weights, choose token by token as far as the guesses were right.
//
// Rows go ahead independently, each as fast as its guesses allow; a call is about the rows `first` to `end`, so that threads may share a batch.
#pragma once
#include "choice.hpp"
#include "draft.hpp"

namespace LEVEL {

static i32* memory_of(const Batch& b, i64 row) { return b.memory + row * NUM_TABLES * TABLE_SIZE; }

// `s` becomes the state of a row after `token` in `column`, where the state was `before`.
static void follow(const State& before, State& s, const Model& m, const Rules& r, const Batch& b, i64 row, i64 token, i64 column) {
  const State old = before;  // `s` may be the same
  s = old;
  advance(s, m, r, token, column);
  if (m.imitation) hear(old, s, m, log_of(b, row), token);
}

// The logits of a row that stands in `s`, with the final norm `x`, into `out`, `(vocab,)`; the melodic head's part only where a NOTE may come, if
// `masked`. `logits` are those of the head, which gets these parts added.
static void row_logits(const Model& m, const Rules& r, Work& w, const Batch& b, i64 row, const State& s, const f32* x, f32* logits, bool masked, f32* out) {
  if (m.melodic && (!masked || r.legal[s.grammar * m.vocab + m.first_note])) melodic_logits(m, w, s, x, logits);
  if (m.imitation) imitation_logits(m, w, s, x, log_of(b, row), logits);
  copy(logits, out, m.vocab);
  if (m.logit_scales) for (i64 i = 0; i < m.vocab; i++) out[i] *= m.logit_scales[i];
}

// The same of a place in the last pass.
static void place_logits(const Model& m, const Rules& r, Work& w, const Batch& b, i64 row, i64 place, bool masked, f32* out) {
  row_logits(m, r, w, b, row, states_of(w.states)[place], w.x + place * m.hidden, w.logits + place * up(m.vocab), masked, out);
}

static void head(const Model& m, Work& w, i64 first, i64 count) {
  product(m.head, m.half, w.tile, w.x + first * m.hidden, w.logits + first * up(m.vocab), count, up(m.vocab), m.hidden);
}

// Takes the tokens of the rows into caches and states, all but the last `keep`; PASS at a time, those of several rows together. Where `logits`,
// `(rows, vocab)`, is not null, it gets those after each row's last token.
static void feed(const Model* model, const Rules* rules, Work* work, Batch* batch, i64 first, i64 end, i64 keep, i64 learns, f32* logits) {
  const Model& m = *model;
  const Batch& b = *batch;
  Work& w = *work;
  State* states = states_of(w.states);
  for (i64 row = first; row < end;) {
    i64 total = 0, num_rows = 0;
    for (; row < end && total < PASS; row++) {
      const i64 column = b.masked[row] + b.cached[row], todo = min(b.length[row] - keep - column, PASS - total);
      if (todo <= 0) continue;
      State& kept = states_of(b.state)[row];
      w.rows[num_rows] = row, w.firsts[num_rows] = total, w.counts[num_rows++] = todo;
      for (i64 i = 0; i < todo; i++, total++) {
        const i64 token = b.ids[row * b.room + column + i];
        if (learns && column + i > b.masked[row]) learn(memory_of(b, row), kept, m, token);
        follow(kept, kept, m, *rules, b, row, token, column + i);
        states[total] = kept;
        w.positions[total] = b.cached[row] + i;
      }
      b.cached[row] += todo;
      if (b.masked[row] + b.cached[row] < b.length[row] - keep) break;  // the pass is full before the row is done
    }
    if (num_rows == 0) return;
    forward(m, w, b, num_rows);
    w.statistics[0]++;
    if (!logits) continue;
    for (i64 i = 0; i < num_rows; i++) {
      const i64 this_row = w.rows[i], place = w.firsts[i] + w.counts[i] - 1;
      if (b.masked[this_row] + b.cached[this_row] < b.length[this_row]) continue;
      head(m, w, place, 1);
      place_logits(m, *rules, w, b, this_row, place, false, logits + this_row * m.vocab);
    }
  }
}

// Takes a row back to its first `length` tokens: its state is made anew from them, its caches stand as they are.
static void replay(const Model* model, const Rules* rules, Batch* batch, i64 row, i64 length) {
  const Batch& b = *batch;
  State& s = states_of(b.state)[row];
  s = State{};
  s.bar_ticks = s.bar_ticks_before = model->bar_ticks;
  for (i64 column = b.masked[row]; column < length; column++) follow(s, s, *model, *rules, b, row, b.ids[row * b.room + column], column);
  b.length[row] = length, b.cached[row] = length - b.masked[row];
}

// One pass for all rows that are not done and have room before column `until`, but those that have a place for their next token where `waiting`;
// the number of rows in it. Each takes its last token and up to `guesses` guesses; afterwards `logits` has a row for each.
static i64 guess_ahead(
    const Model* model, const Rules* rules, Work* work, Batch* batch, i64 first, i64 end, i64 until, i64 guesses, bool waiting) {
  const Model& m = *model;
  const Batch& b = *batch;
  Work& w = *work;
  State* states = states_of(w.states);
  i64 num_rows = 0, total = 0;
  until = min(until, rules->max_length);
  for (i64 row = first; row < end; row++) {
    const i64 length = b.length[row];
    if (b.done[row] || until <= length || (waiting && b.next[row] < b.ahead[row])) continue;
    const State* before = states_of(b.state) + row;
    i64 token = b.ids[row * b.room + length - 1];
    w.rows[num_rows] = row, w.firsts[num_rows] = total;
    for (i64 i = 0; i < min(guesses + 1, until - length); i++) {
      if (i > 0) {
        // After a TIME comes a NOTE, which is hard to guess: only a row alone tries, whose tile of four has room anyway.
        if (b.rows > 1 && meanings(m, token)[IS_TIME] > 0) break;
        token = guess(memory_of(b, row), *before, m);
      }
      follow(*before, states[total], m, *rules, b, row, token, length - 1 + i);
      before = states + total;
      w.positions[total++] = b.cached[row] + i;
    }
    w.counts[num_rows] = total - w.firsts[num_rows];
    num_rows++;
  }
  if (num_rows == 0) return 0;
  forward(m, w, b, num_rows);
  head(m, w, 0, total);
  w.statistics[0]++;
  return num_rows;
}

// `token` is the next one of a row, after the state `s`: into the ids, the state and the memory of the guesses.
static void accept(const Model& m, const Rules& r, Work& w, const Batch& b, i64 row, const State& s, i64 token) {
  const i64 length = b.length[row];
  states_of(b.state)[row] = s;
  b.ids[row * b.room + length] = token;
  b.cached[row]++;
  b.length[row] = length + 1;
  b.seen[row * m.vocab + token] = 1;
  learn(memory_of(b, row), s, m, token);
  if (r.is_eos[token] || length + 1 >= r.max_length) b.done[row] = 1;
  w.statistics[1]++;
}

// The same loop in steps of all rows, for processors between them that only Python knows. `scores` and `noise` are `(rows, vocab)`.

enum : i64 { PLACES = GUESSES + 1 };
static inline State* ahead_of(const Batch& b, i64 row) { return states_of(b.ahead_states) + row * PLACES + b.next[row]; }

// A pass for the rows that have no place for their next token.
static void look_ahead(const Model* model, const Rules* rules, Work* work, Batch* batch, i64 first, i64 end, i64 guesses) {
  const Model& m = *model;
  const Work& w = *work;
  const Batch& b = *batch;
  const i64 num_rows = guess_ahead(model, rules, work, batch, first, end, rules->max_length, guesses, true), wide = up(m.vocab);
  for (i64 i = 0; i < num_rows; i++) {
    const i64 row = w.rows[i], place = w.firsts[i], count = w.counts[i], at = row * PLACES;
    b.ahead[row] = count, b.next[row] = 0;
    memcpy(states_of(b.ahead_states) + at, states_of(w.states) + place, count * sizeof(State));
    copy(w.x + place * m.hidden, b.ahead_x + at * m.hidden, count * m.hidden);
    copy(w.logits + place * wide, b.ahead_logits + at * wide, count * wide);
  }
}

static void scores_ahead(const Model* model, const Rules* r, Work* w, Batch* batch, i64 first, i64 end, f32* scores) {
  const Model& m = *model;
  const Batch& b = *batch;
  for (i64 row = first; row < end; row++) {
    const i64 at = row * PLACES + b.next[row];
    if (!b.done[row]) row_logits(m, *r, *w, b, row, *ahead_of(b, row), b.ahead_x + at * m.hidden, b.ahead_logits + at * up(m.vocab), false, scores + row * m.vocab);
  }
}

static void mask_ahead(const Model* m, const Rules* r, Work* w, Batch* b, i64 first, i64 end, f32* scores) {
  for (i64 row = first; row < end; row++)
    if (!b->done[row]) mask(m, r, w, b, row, ahead_of(*b, row), scores + row * m->vocab);
}

// Returns 0, or NOT_A_NUMBER.
static i64 choose_ahead(const Model* m, const Rules* r, Work* w, Batch* batch, i64 first, i64 end, f32* scores, const f32* noise) {
  const Batch& b = *batch;
  mask_ahead(m, r, w, batch, first, end, scores);
  for (i64 row = first; row < end; row++) {
    if (b.done[row]) continue;
    const i64 at = row * m->vocab, token = pick(r, w, scores + at, noise + at, m->vocab);
    if (token == NOT_A_NUMBER) return NOT_A_NUMBER;
    const State* s = ahead_of(b, row);
    accept(*m, *r, *w, b, row, *s, token);
    const bool guessed = b.next[row] + 1 < b.ahead[row] && s[1].token == token;
    b.next[row] = guessed ? b.next[row] + 1 : b.ahead[row];
  }
  return 0;
}

// Whether a row that is not done has reached a column.
static bool waits(const Batch& b, i64 first, i64 end, i64 until) {
  for (i64 row = first; row < end; row++)
    if (!b.done[row] && b.length[row] >= until) return true;
  return false;
}

// Decodes until a row has used its noise, all are done, or `passes` passes were made. `noise`, `(steps, rows, vocab)`, is for column `from` and
// after, filled up to column `until`. Returns 0, or NOT_A_NUMBER if the scores of a row are not numbers.
static i64 decode(
    const Model* model, const Rules* rules, Work* work, Batch* batch, i64 first, i64 end, const f32* noise, i64 from, i64 until, i64 passes,
    i64 guesses) {
  const Model& m = *model;
  const Batch& b = *batch;
  Work& w = *work;
  for (i64 pass = 0; pass < passes; pass++) {
    const i64 num_rows = guess_ahead(model, rules, work, batch, first, end, until, guesses, false);
    for (i64 i = 0; i < num_rows; i++) {
      const i64 row = w.rows[i], last = w.firsts[i] + w.counts[i] - 1;
      for (i64 place = w.firsts[i]; place <= last; place++) {
        const f32* own = noise + ((b.length[row] - from) * b.rows + row) * m.vocab;
        place_logits(m, *rules, w, b, row, place, rules->use_grammar, w.scores);
        mask(model, rules, work, batch, row, states_of(w.states) + place, w.scores);
        const i64 token = pick(rules, work, w.scores, own, m.vocab);
        if (token == NOT_A_NUMBER) return NOT_A_NUMBER;
        accept(m, *rules, w, b, row, states_of(w.states)[place], token);
        if (b.done[row] || place == last || states_of(w.states)[place + 1].token != token) break;
      }
    }
    if (num_rows == 0 || waits(b, first, end, until)) return 0;
  }
  return 0;
}

// What is expected after the token in `place` of the last pass, into `expected`; for tests.
static i64 expect_at(const Model* m, Work* w, Batch* b, i64 row, i64 place) {
  return expect(states_of(w->states)[place], *m, log_of(*b, row), w->expected);
}

}  // namespace LEVEL
