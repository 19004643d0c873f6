// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// What imitation leads one to expect of a row: `Expectation` of `imitation_musicgpt.py`, note by note.
//
// Each row has a log of its notes, written in place while its state is copied: the state says how many of them count, so that a note
// that was guessed wrong is written over.
#pragma once
#include "music.hpp"

namespace LEVEL {

static const i64 MATCHES[] = {8, 5, 3, 2}, NUM_MATCHES = 4, MOST_STEPS = 8;
static const i64 DEGREES[] = {0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6}, NATURALS[] = {0, 2, 4, 5, 7, 9, 11};
static const i64 OCTAVES = 100;  // division rounds to zero: pitches are read so many octaves higher

static inline i64 degree(i64 midi) { return (midi + 12 * OCTAVES) / 12 * 7 + DEGREES[(midi + 12 * OCTAVES) % 12]; }
static inline i64 natural(i64 degree) { return degree / 7 * 12 + NATURALS[degree % 7] - 12 * OCTAVES; }

// The latest note whose voice had made the steps that lead to note `n`, most steps first; -1 if none. Sets `next_match`.
static i64 latest_agreement(Note* log, i64 n, i64 first) {
  for (i64 number = 0; number < NUM_MATCHES; number++) {
    const i64 key = log[n].keys[number];
    if (key == 0) continue;
    for (i64 other = n; other >= first; other--) {
      if (log[other].keys_before[number] != key) continue;
      log[n].next_match = 2 * number + 1 + key % 2;
      return other;
    }
  }
  return -1;
}

// How the voice of note `n` is expected to go on, by the notes from `first` on.
static void expect_after(Note* log, i64 n, i64 first) {
  log[n].next_match = 0;
  const i64 source = latest_agreement(log, n, first);
  if (source < 0) return;
  Note& now = log[n];
  const Note &model = log[source], &old = log[model.before];
  const i64 moved = now.midi + model.midi - old.midi, wanted = degree(now.midi) + degree(model.midi) - degree(old.midi);
  now.next_source = source;
  now.next_midi = degree(moved) == wanted ? moved : natural(wanted);
  now.next_onset = now.onset + model.onset - old.onset;
}

// Names for the last steps of note `n`, by the lengths in MATCHES: 0 = fewer steps; even where they reach the voice's entry, else odd.
static void name_steps(Note* log, i64 n) {
  i64 key = 0, at = n;
  bool entered = false;
  for (i64 steps = 1; steps <= MOST_STEPS; steps++) {
    const i64 step = entered ? i64(ENTRY_TOO) : log[at].step;
    key = (key * HASH_BASE + step) % HASH_MODULUS;
    for (i64 number = 0; number < NUM_MATCHES; number++)
      if (MATCHES[number] == steps) log[n].keys[number] = 2 * key + (entered || step == ENTRY ? 1 : 2) + 1;
    if (entered) return;  // what was before the entry is not looked at
    entered = step == ENTRY, at = log[at].before;
  }
}

// The note that voice `v` has just struck.
static void append(State& s, Note* log, i64 v, i64 midi) {
  const i64 n = s.notes, before = s.count[v] > 1 ? s.last_note[v] : -1;
  Note& note = log[n];
  note = Note{};
  note.onset = s.ticks, note.midi = midi, note.before = before, note.step = ENTRY;
  if (before >= 0) memcpy(note.keys_before, log[before].keys, sizeof note.keys);
  s.last_note[v] = n, s.notes = n + 1;
  if (before >= 0 && s.ticks - s.onset1[v] - s.duration1[v] < REST) {
    const i64 interval = clamp(degree(midi) - degree(log[before].midi), -STEP_MAX, STEP_MAX);
    note.step = (interval + STEP_MAX + 1) * (GAP_MAX + 1) + min(s.ticks - log[before].onset, GAP_MAX);
  }
  name_steps(log, n);
  expect_after(log, n, s.piece_note);
}

// Into log and state what `token` adds to them, where `advance` has moved the state from `before` to `s`.
static void hear(const State& before, State& s, const Model& m, Note* log, i64 token) {
  if (token == m.bos) s.piece_note = s.notes;
  if (before.pending > 0) {
    const i64 place = token - m.first_duration + 1;
    log[s.notes - 1].duration = place > 0 && place <= m.num_durations ? place : 0;
  }
  if (s.pending > 0) append(s, log, s.pending - 1, max(s.pitch[s.pending - 1] - 1 + m.lowest_pitch, 0));
}

// What each voice is expected to strike now.
static bool expect_pitches(const State& s, const Model& m, const Note* log, i64* out) {
  bool found = false;
  for (i64 v = 0; v < m.voices; v++) {
    if (s.count[v] == 0) continue;
    const Note& last = log[s.last_note[v]];
    const i64 pitch = last.next_midi - m.lowest_pitch + 1;
    if (last.next_match == 0 || last.next_onset != s.ticks || pitch <= 0 || pitch > m.num_notes) continue;
    out[v] = pitch, out[m.voices + v] = last.next_match, found = true;
  }
  return found;
}

// At a VOICE token: the duration of the note that this one imitates, if it came when it was expected.
static bool expect_duration(const State& s, const Note* log, i64* out) {
  const Note& now = log[s.notes - 1];
  if (now.before < 0) return false;
  const Note& last = log[now.before];
  if (last.next_match == 0 || last.next_onset != s.ticks) return false;
  out[0] = log[last.next_source].duration;
  if (out[0] == 0) return false;
  out[1] = 2 * (last.next_match - 1) + (last.next_midi == now.midi) + 1;
  return true;
}

// At a DUR token: the time until the first note that is expected of a voice, and the longest agreement behind it.
static bool expect_step(const State& s, const Model& m, const Note* log, i64* out) {
  i64 soonest = LONGEST, longest = NO_MATCH;
  for (i64 v = 0; v < m.voices; v++) {
    if (s.count[v] == 0) continue;
    const Note& last = log[s.last_note[v]];
    const i64 step = last.next_onset - s.ticks;
    // At the same time only voices below the one that was struck last may follow.
    if (last.next_match == 0 || step < 0 || (step == 0 && v + 1 <= s.latest)) continue;
    if (step < soonest) soonest = step, longest = last.next_match;
    else if (step == soonest) longest = min(longest, last.next_match);
  }
  if (soonest >= LONGEST) return false;
  const i64 token = m.token_of[2 * LONGEST + soonest];  // the nearest there is
  if (meanings(m, token)[STEP] != soonest) return false;
  out[0] = token - m.first_time + 1, out[1] = longest;
  return true;
}

// `Expectation.packed` after the state `s` into `out`; whether anything is expected.
static bool expect(const State& s, const Model& m, const Note* log, i64* out) {
  memset(out, 0, (2 * m.voices + 4) * sizeof *out);
  const i64 *what = meanings(m, s.token), single = 2 * m.voices;
  if (what[IS_TIME] > 0 || what[BAR_LENGTH] > 0) return expect_pitches(s, m, log, out);
  if (s.pending > 0) return expect_duration(s, log, out + single);
  return what[DURATION] > 0 && s.latest > 0 && expect_step(s, m, log, out + single + 2);
}

}  // namespace LEVEL
