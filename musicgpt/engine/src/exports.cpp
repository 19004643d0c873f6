// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// What the library exports: its levels of instructions, the description of its structs, and the functions of the level that was chosen.
// LEVELS names the levels that were compiled, the best first: -DLEVELS="X(avx512) X(avx2) X(base)"; SOURCE_HASH the sources.
#include "engine.hpp"

#define X(name) extern "C" const void* const functions_##name[];
LEVELS
#undef X

#define STRING(x) #x
#define TEXT(x) STRING(x)
#define CONSTANT(name, value) #name "=" TEXT((value)) ";"
#define FIELD_TEXT(type, name) #type " " #name ";"
#define ONE_TEXT(name) "i64 " #name ";"
#define EACH_TEXT(name, size) "i64 " #name "[" TEXT(size) "];"

#if defined(__x86_64__)
#include <cpuid.h>

// Whether all these bits of a register of a cpuid leaf are set. (`__builtin_cpu_supports` always says no in what zig builds.)
static bool has(unsigned leaf, unsigned which, unsigned bits) {
  unsigned registers[4] = {};  // eax, ebx, ecx, edx
  __get_cpuid_count(leaf, 0, registers, registers + 1, registers + 2, registers + 3);
  return (registers[which] & bits) == bits;
}

static bool runs(const char* level) {
  const unsigned fma = 1u << 12, xsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29, avx2 = 1u << 5;
  const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
  if (!strcmp(level, "base")) return true;
  if (!has(1, 2, fma | xsave | avx | f16c) || !has(7, 1, avx2)) return false;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));  // which registers the system saves: SSE and AVX; the masks and halves of AVX-512
  if ((low & 0x6) != 0x6) return false;
  return strcmp(level, "avx512") || (has(7, 1, avx512) && (low & 0xe6) == 0xe6);
}
#else
static bool runs(const char*) { return true; }
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))

// "source" is the hash of the sources; "constants", "sizes" and "functions" are listed as `name=value;`, structs as `type name;` and `i64 name[count];`; null for an unknown name.
EXPORT const char* musicgpt_describe(const char* what) {
  static const char* const texts[][2] = {
      {"source", SOURCE_HASH}, {"constants", CONSTANTS(CONSTANT)}, {"sizes", SIZES(CONSTANT)}, {"functions", FUNCTIONS(CONSTANT)}, {"State", STATE_FIELDS(ONE_TEXT, EACH_TEXT)}, {"Note", NOTE_FIELDS(ONE_TEXT, EACH_TEXT)},
      {"Layer", LAYER_FIELDS(FIELD_TEXT)}, {"Model", MODEL_FIELDS(FIELD_TEXT)}, {"Rules", RULES_FIELDS(FIELD_TEXT)}, {"Batch", BATCH_FIELDS(FIELD_TEXT)},
      {"Work", WORK_FIELDS(FIELD_TEXT)}};
  for (const auto& text : texts)
    if (!strcmp(text[0], what)) return text[1];
  return nullptr;
}

// The functions for `level`, or for the best level that this processor runs where it is null; null if it runs none, or not that one.
EXPORT const void* const* musicgpt_functions(const char* level) {
#define X(name) \
  if ((!level || !strcmp(level, #name)) && runs(#name)) return functions_##name;
  LEVELS
#undef X
  return nullptr;
}

// The names of the levels that this processor runs, the best first; null behind the last.
EXPORT const char* musicgpt_level(i64 number) {
#define X(name) \
  if (runs(#name) && number-- == 0) return #name;
  LEVELS
#undef X
  return nullptr;
}
