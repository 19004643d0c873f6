// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// What Python and the engine share: every struct and constant once, in a list that also describes it to `library.py`.
//
// This file and those that it includes are compiled once for each level of instructions, each time in a namespace of its own (LEVEL). They use
// nothing of the C++ library: an inline function of it, compiled for AVX-512, could be linked into the code for older processors.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef float f32;
typedef double f64;
typedef uint8_t u8;
typedef uint16_t u16;
typedef int32_t i32;
typedef int64_t i64;

// Constants of the model. `library.py` compares each with the module of modeling_musicgpt that defines it, and refuses the library if one differs.
#define CONSTANTS(X) \
  X(NUM_BAR_POSITIONS, 144) X(REMAINING_MIN, -24) X(REMAINING_MAX, 103) X(NO_VOICE_REMAINING, 128) X(DURATION_PENDING, 129) \
  X(NUM_REMAINING, 130) X(ELAPSED_MAX, 63) X(NO_VOICE_ELAPSED, 64) X(NUM_ELAPSED, 65) X(INTERVAL_MAX, 24) X(FIRST_OF_VOICE, 50) \
  X(NUM_INTERVALS, 51) X(DURATION_BASE, 199) X(INTERVAL_BASE, 50) X(MOTIF_GAP_MAX, 199) X(TICKS_PER_QUARTER, 24) X(NUM_WISHES, 4) \
  X(NO_MATCH, 99) X(STEP_MAX, 24) X(GAP_MAX, 399) X(ENTRY, 1) X(ENTRY_TOO, 2) X(REST, 24) X(HASH_BASE, 20011) X(HASH_MODULUS, 2147483647) \
  X(NUM_KINDS, 8) X(NUM_OFFSETS, 5) X(FIRST_OFFSET, -2) X(LOOK_AHEAD, 640) X(BARS_LOOKED_AT, 4) X(SHORTEST_BAR, 24) X(CLOSING, 12) \
  X(SHORT_WINDOW, 32) X(SHORT_LIMIT, 16) X(LONG_WINDOW, 96) X(LONG_LIMIT, 27)
// Constants of the engine alone: voices that there is room for; ticks in the tables of tokens by duration and by step; columns of the table of
// meanings; guesses beyond the last token in a pass, which fill a tile of four together; tokens of a prompt in a pass; entries of a table of
// guesses, and tables; keys in a block, outputs in a block of a weight; and what a choice gives where the scores are not numbers.
#define SIZES(X) \
  X(MAX_VOICES, 8) X(LONGEST, 256) X(NUM_MEANINGS, 8) X(GUESSES, 3) X(PASS, 64) X(TABLE_SIZE, 4096) X(NUM_TABLES, 2) X(KEY_BLOCK, 64) \
  X(BLOCK, 16) X(NOT_A_NUMBER, -1)
#define AS_ENUM(name, value) name = value,
enum : i64 { CONSTANTS(AS_ENUM) SIZES(AS_ENUM) };

// Where one row stands in the music. Pitches are places in the NOTE block plus 1, times are ticks; in arrays of voices the names that end in a
// number are those of earlier notes. `piece_note` is the first note of the piece in the log of notes.
#define STATE_FIELDS(ONE, EACH) \
  ONE(ticks) ONE(meter_at) ONE(bar_ticks) ONE(bar_position) ONE(bar) ONE(bar_begin) EACH(bar_sizes, BARS_LOOKED_AT) ONE(grammar) ONE(pending) \
  ONE(note) ONE(latest) ONE(motif) ONE(interval) ONE(token) ONE(bar_ticks_before) ONE(notes) ONE(piece_note) EACH(wishes, NUM_WISHES) \
  EACH(count, MAX_VOICES) EACH(pitch, MAX_VOICES) EACH(pitch1, MAX_VOICES) EACH(pitch2, MAX_VOICES) EACH(duration, MAX_VOICES) \
  EACH(duration1, MAX_VOICES) EACH(duration2, MAX_VOICES) EACH(duration3, MAX_VOICES) EACH(onset, MAX_VOICES) EACH(onset1, MAX_VOICES) \
  EACH(before1, MAX_VOICES) EACH(before2, MAX_VOICES) EACH(last_note, MAX_VOICES)
#define ONE_FIELD(name) i64 name;
#define EACH_FIELD(name, size) i64 name[size];
struct State { STATE_FIELDS(ONE_FIELD, EACH_FIELD) };

// One note of a row, and what imitation makes of it: `step` names the step from the voice's note before (ENTRY where the voice enters), `next_*`
// how the voice is expected to go on (`next_match` 0: nothing is expected), `keys` the last steps for each length of agreement.
#define NOTE_FIELDS(ONE, EACH) \
  ONE(onset) ONE(midi) ONE(duration) ONE(before) ONE(step) ONE(next_match) ONE(next_source) ONE(next_onset) ONE(next_midi) EACH(keys, 4) \
  EACH(keys_before, 4)
struct Note { NOTE_FIELDS(ONE_FIELD, EACH_FIELD) };

// Structs that Python fills: each field has eight bytes, a pointer or a number. `any` is a matrix in float32 or float16, see `product`.
typedef const void any;
#define LAYER_FIELDS(X) \
  X(f32*, norm1) X(f32*, bias1) X(any*, qkv) X(any*, out) X(f32*, norm2) X(f32*, bias2) X(any*, up) X(any*, down)
#define MODEL_FIELDS(X) \
  X(f32*, tokens) X(f32*, bar_positions) X(f32*, bars) X(f32*, voice_pitches) X(f32*, voice_remainings) X(f32*, voice_elapseds) \
  X(any*, voice_proj) X(f32*, intervals) X(f32*, motifs) X(f32*, wishes) X(f32*, frequencies) X(f32*, norm) X(f32*, bias) X(any*, head) \
  X(any*, melodic) X(any*, imitation) X(f32*, imitation_bias) X(f32*, logit_scales) X(i64*, layers) X(i64*, meanings) X(i64*, token_of) X(i64, half) X(f64, epsilon) \
  X(i64, hidden) X(i64, inner) X(i64, num_layers) X(i64, heads) X(i64, dim) X(i64, vocab) X(i64, voices) X(i64, token_pairs) X(i64, bar_period) \
  X(i64, pitch_channels) X(i64, remaining_channels) X(i64, elapsed_channels) X(i64, voice_input) X(i64, num_motifs) X(i64, bos) X(i64, silent) \
  X(i64, bar_ticks) X(i64, first_note) X(i64, num_notes) X(i64, first_duration) X(i64, num_durations) X(i64, first_time) X(i64, lowest_pitch)
// How a token is chosen; tables in rows of the vocabulary, costs as in `ClosingCosts`. A step whose argument is 0 (penalty, temperature,
// top_p: 1) is left out.
#define RULES_FIELDS(X) \
  X(u8*, legal) X(i64*, next_state) X(i64*, steps) X(i64*, meters) X(i64*, lengths) X(i64*, costs) X(u8*, is_eos) X(u8*, begins_bar) X(i64, num_states) \
  X(i64, num_lengths) X(i64, num_ticks) X(i64, note_state) X(i64, end_state) X(i64, time_1_state) X(i64, time_last_state) X(i64, eos) \
  X(i64, ends) X(i64, max_length) X(i64, min_length) X(i64, use_grammar) X(i64, use_bar_end) X(i64, use_repetition) X(f64, penalty) \
  X(i64, sample) X(f64, temperature) X(i64, top_k) X(f64, top_p) X(f64, min_p)
// The rows of a batch, each array `(rows, ...)`. `cached` counts the tokens that are in the caches and in `state`; `masked` those of padding
// before the first. Keys are `(layers, heads, cache_room / 16, dim, 16)` a row, values `(layers, heads, cache_room, dim)`. The first `*shared` tokens,
// a multiple of KEY_BLOCK, are the same in all rows; keys and values of them stand in the first row alone. Where Python chooses the tokens a row has
// `ahead` places, `(rows, GUESSES + 1)` of states, final norms and logits: after its last token and after guesses beyond it. `next` is the one that
// holds for the next token, or `ahead` where none does.
#define BATCH_FIELDS(X) \
  X(i64*, ids) X(i64*, length) X(i64*, masked) X(i64*, cached) X(u8*, done) X(i64*, state) X(i64*, log) X(i32*, memory) X(u8*, seen) \
  X(f32*, keys) X(f32*, values) X(i64*, shared) X(i64*, ahead) X(i64*, next) X(i64*, ahead_states) X(f32*, ahead_x) X(f32*, ahead_logits) X(i64, room) X(i64, note_room) X(i64, cache_room) X(i64, rows)
// Working memory of one thread. A tile of tokens may write beyond the last: there is room for eight more.
#define WORK_FIELDS(X) \
  X(i64*, states) X(i64*, positions) X(i64*, rows) X(i64*, firsts) X(i64*, counts) X(f32*, wide) X(f32*, h) X(f32*, x) X(f32*, y) \
  X(f32*, angles) X(f32*, p) X(f32*, logits) X(f32*, melodic) X(i64*, expected) X(f32*, imitation) X(f32*, tile) X(f32*, scores) \
  X(f32*, sorted) X(i64*, places) X(u8*, allowed) X(i64*, statistics)
#define FIELD(type, name) type name;
struct Layer { LAYER_FIELDS(FIELD) };
struct Model { MODEL_FIELDS(FIELD) };
struct Rules { RULES_FIELDS(FIELD) };
struct Batch { BATCH_FIELDS(FIELD) };
struct Work { WORK_FIELDS(FIELD) };

// The functions of a level, see `loop.hpp` and `kernels.hpp`, with the number of their arguments: pointers and integers, 64 bits each.
#define FUNCTIONS(X) \
  X(is_same, 4) X(feed, 9) X(replay, 5) X(look_ahead, 7) X(scores_ahead, 7) X(mask_ahead, 7) X(choose_ahead, 8) X(decode, 11) X(expect_at, 5)
