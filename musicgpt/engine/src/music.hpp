// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// The musical state of a row, moved on by one token in constant time: the values that `MusicalStateTracker` derives from whole sequences.
#pragma once
#include "engine.hpp"

namespace LEVEL {

static inline i64 min(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 max(i64 a, i64 b) { return a > b ? a : b; }
static inline i64 clamp(i64 x, i64 low, i64 high) { return min(max(x, low), high); }

enum Meaning { STEP, PITCH, DURATION, BAR_LENGTH, VOICE, IS_TIME, WISH, WISH_KIND };  // columns of `Model::meanings`

static inline const i64* meanings(const Model& m, i64 token) {
  return m.meanings + NUM_MEANINGS * (token >= 0 && token < m.vocab ? token : m.vocab);
}

static inline i64 pitch_of(const State& s, i64 v) { return s.count[v] > 0 ? s.pitch[v] : 0; }
static inline i64 end_of(const State& s, i64 v) { return s.onset[v] + s.duration[v]; }
static inline i64 step_name(i64 interval) { return clamp(interval, -INTERVAL_MAX, INTERVAL_MAX) + INTERVAL_MAX + 1; }

// A new piece begins.
static void begin(State& s, const Model& m) {
  s.ticks = s.meter_at = s.pending = s.latest = 0;
  s.bar_ticks = m.bar_ticks;
  for (i64 v = 0; v < m.voices; v++) s.count[v] = 0;
  for (i64& wish : s.wishes) wish = 0;
}

// The bar after a token in `column` of the ids that may set a new length.
static void pass_time(State& s, i64 new_bar_ticks, i64 column) {
  if (new_bar_ticks > 0) s.meter_at = s.ticks;
  const i64 length = new_bar_ticks > 0 ? new_bar_ticks : s.bar_ticks, since = s.ticks - s.meter_at, bar = since / length;
  if (column > 0 && (bar != s.bar || length != s.bar_ticks_before)) {
    for (i64 i = BARS_LOOKED_AT - 1; i > 0; i--) s.bar_sizes[i] = s.bar_sizes[i - 1];
    s.bar_sizes[0] = column - s.bar_begin;
    s.bar_begin = column;
  }
  s.bar = bar;
  s.bar_ticks = s.bar_ticks_before = length;
  s.bar_position = min(since % length, NUM_BAR_POSITIONS - 1);
}

// A VOICE token: the note before it is now the last one of voice `v`.
static void sound(State& s, i64 v, i64 num_motifs) {
  s.duration3[v] = s.duration2[v], s.duration2[v] = s.duration1[v], s.duration1[v] = s.duration[v], s.duration[v] = 0;
  s.pitch2[v] = s.pitch1[v], s.pitch1[v] = s.pitch[v], s.pitch[v] = s.note;
  s.onset1[v] = s.onset[v], s.onset[v] = s.ticks;
  s.count[v] = min(4, s.count[v] + 1);  // 4 = four or more
  s.pending = s.latest = v + 1;
  const i64 before = s.before2[v], count = s.count[v];
  s.interval = before > 0 && s.note > 0 ? step_name(s.note - before) : FIRST_OF_VOICE;
  if (num_motifs == 0) return;
  i64 rhythm = (count > 1 ? s.duration1[v] : 0) * DURATION_BASE + (count > 2 ? s.duration2[v] : 0);
  rhythm = rhythm * DURATION_BASE + (count > 3 ? s.duration3[v] : 0);
  const i64 gap = count > 1 ? min(s.ticks - s.onset1[v], MOTIF_GAP_MAX) : 0;
  rhythm = (rhythm * TICKS_PER_QUARTER + s.bar_position % TICKS_PER_QUARTER) * (MOTIF_GAP_MAX + 1) + gap;
  s.motif = 1 + (7 * rhythm + 3) % num_motifs;
}

// Number of the last two intervals and durations of a voice.
static i64 melody(const State& s, i64 v) {
  const i64 first = s.count[v] > 1 ? step_name(s.pitch[v] - s.pitch1[v]) : 0;
  const i64 second = s.count[v] > 2 ? step_name(s.pitch1[v] - s.pitch2[v]) : 0;
  const i64 name = (first * INTERVAL_BASE + second) * DURATION_BASE + s.duration[v];
  return name * DURATION_BASE + (s.count[v] > 1 ? s.duration1[v] : 0);
}

static void advance(State& s, const Model& m, const Rules& rules, i64 token, i64 column) {
  for (i64 v = 0; v < m.voices; v++) s.before2[v] = s.before1[v], s.before1[v] = pitch_of(s, v);
  const bool known = token >= 0 && token < m.vocab;
  const i64* what = meanings(m, token);
  if (s.pending > 0) s.duration[s.pending - 1] = what[DURATION], s.pending = 0;
  if (token == m.bos) begin(s, m);
  if (what[WISH_KIND] > 0) s.wishes[what[WISH_KIND] - 1] = what[WISH];
  s.ticks += what[STEP];
  pass_time(s, what[BAR_LENGTH], column);
  s.interval = s.motif = 0;
  if (what[VOICE] > 0 && what[VOICE] <= m.voices && s.note > 0) {
    sound(s, what[VOICE] - 1, m.num_motifs);
  } else if (s.latest > 0 && (what[DURATION] > 0 || what[IS_TIME] > 0) && m.num_motifs > 0) {
    s.motif = melody(s, s.latest - 1) % m.num_motifs + 1;
  }
  s.note = what[PITCH];
  s.token = token;
  if (token != m.silent && known) s.grammar = rules.next_state[s.grammar * m.vocab + token];
}

// Ticks until the last note of a voice ends, and since it began, as embedding indices.
static i64 remaining(const State& s, i64 v) {
  if (s.count[v] == 0) return NO_VOICE_REMAINING;
  if (s.pending == v + 1) return DURATION_PENDING;
  return clamp(end_of(s, v) - s.ticks, REMAINING_MIN, REMAINING_MAX) - REMAINING_MIN;
}

static i64 elapsed(const State& s, i64 v) { return s.count[v] == 0 ? NO_VOICE_ELAPSED : clamp(s.ticks - s.onset[v], 0, ELAPSED_MAX); }

}  // namespace LEVEL
