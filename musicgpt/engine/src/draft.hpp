// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// Guesses at the next tokens, so that one pass over the weights can answer for several tokens at once.
//
// Which voice a note belongs to, how long it lasts and when the next one comes are often clear from the voices alone. A wrong guess costs the
// work for one token; a token is only ever what the model's own logits give. What came after the same circumstances before is remembered,
// as a processor predicts its branches: entries hold a token times 8, and how often it held.
#pragma once
#include "music.hpp"

namespace LEVEL {

static i64 key_of(i64 a, i64 b, i64 c, i64 d) {
  uint64_t x = (uint64_t(a) * 1000003 + uint64_t(b)) * 1000003 + uint64_t(c);
  x = x * 1000003 + uint64_t(d);
  x ^= x >> 29;
  return i64(x * 0x9E3779B1u >> 7) & (TABLE_SIZE - 1);
}

// The voice that most likely takes the NOTE just read: free, below the voice before it in the same chord, and near in pitch.
static i64 nearest_voice(const State& s, i64 voices) {
  i64 best = 0, least = i64(1) << 30;
  for (i64 v = 0; v < voices; v++) {
    i64 distance = 40;
    if (s.count[v] > 0) {
      const i64 gap = s.pitch[v] - s.note;
      distance = gap < 0 ? -gap : gap;
      if (end_of(s, v) > s.ticks) distance += 30;       // still sounding
      if (end_of(s, v) + 96 < s.ticks) distance += 10;  // silent for long
      if (s.onset[v] == s.ticks && v + 1 <= s.latest) distance += 100;
    }
    // A higher voice after a lower one.
    if (s.latest > v + 1 && s.count[s.latest - 1] > 0 && s.onset[s.latest - 1] == s.ticks) distance += 100;
    if (distance < least) best = v, least = distance;
  }
  return best;
}

// Ticks until the next voice falls silent: 0 if one below the last note's voice is silent already.
static i64 ticks_to_next(const State& s, i64 voices) {
  i64 soonest = i64(1) << 30;
  for (i64 v = 0; v < voices; v++) {
    if (s.count[v] == 0) continue;
    const i64 left = end_of(s, v) - s.ticks;
    if (left > 0) soonest = min(soonest, left);
    else if (v + 1 > s.latest && left > -12) return 0;
  }
  return soonest;
}

// What the next token is guessed from, as the number of a table entry: in detail, or in outline.
static i64 circumstances(const State& s, const Model& m, bool outline) {
  const i64 *what = meanings(m, s.token), place = s.bar_position % 48;
  if (what[PITCH] > 0) {
    const i64 v = nearest_voice(s, m.voices), busy = end_of(s, v) > s.ticks;
    const i64 gap = s.count[v] > 0 ? clamp(s.note - s.pitch[v], -8, 8) : 99;
    return outline ? key_of(2, v, busy, 0) : key_of(1, v, gap * 2 + busy, s.latest);
  }
  if (what[VOICE] > 0) {
    const i64 v = max(s.pending - 1, 0);
    if (outline) return key_of(4, s.duration1[v], place % 24, 0);
    return key_of(3, s.duration1[v] * 200 + s.duration2[v], place, s.duration3[v]);
  }
  if (what[DURATION] > 0) {
    const i64 soon = ticks_to_next(s, m.voices);
    return outline ? key_of(6, soon, what[DURATION], 0) : key_of(5, soon, what[DURATION] * 200 + place, s.latest);
  }
  i64 v = 0;
  while (v + 1 < m.voices && (s.count[v] == 0 || end_of(s, v) > s.ticks)) v++;  // the highest voice that waits for a note
  return outline ? key_of(8, v, s.pitch[v], s.duration1[v]) : key_of(7, v, s.pitch[v] * 100 + s.pitch1[v], what[STEP]);
}

// After the state `s` came `token`.
static void learn(i32* memory, const State& s, const Model& m, i64 token) {
  for (i64 i = 0; i < NUM_TABLES; i++) {
    i32& known = memory[i * TABLE_SIZE + circumstances(s, m, i == 1)];
    if (known >> 3 == token) known += (known & 7) < 7;
    else if ((known & 7) > 1) known = (known >> 3 << 3) + (known & 7) / 2;
    else known = i32(token * 8 + 1);
  }
}

// The likely next token after the state `s`.
static i64 guess(const i32* memory, const State& s, const Model& m) {
  const i64* what = meanings(m, s.token);
  const i64 first = memory[circumstances(s, m, false)], second = memory[TABLE_SIZE + circumstances(s, m, true)];
  if ((first & 7) > 1 || ((first & 7) > 0 && (second & 7) == 0)) return first >> 3;
  // `token_of`: the first VOICE and NOTE tokens; DUR tokens by ticks; TIME tokens by ticks.
  if (what[PITCH] > 0) return m.token_of[0] + nearest_voice(s, m.voices);
  if ((second & 7) > 0) return second >> 3;
  if (what[VOICE] > 0) return m.token_of[LONGEST + min(s.duration1[max(s.pending - 1, 0)], LONGEST - 1)];
  if (what[DURATION] > 0) return m.token_of[2 * LONGEST + min(ticks_to_next(s, m.voices), LONGEST - 1)];
  return m.token_of[1] + max(s.pitch[max(s.latest - 1, 0)] - 1, 0);
}

}  // namespace LEVEL
