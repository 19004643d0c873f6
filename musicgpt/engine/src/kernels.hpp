// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// The loops over floats, as vectors of what the level's registers hold (GCC's and Clang's vector extension).
#pragma once
#include "engine.hpp"
#if defined(__F16C__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define UNROLL _Pragma("GCC unroll 16")

namespace LEVEL {

#if defined(__AVX512F__)
enum { LANES = 16, REGISTERS = 32 };
#elif defined(__AVX2__)
enum { LANES = 8, REGISTERS = 16 };
#elif defined(__aarch64__)
enum { LANES = 4, REGISTERS = 32 };
#else
enum { LANES = 4, REGISTERS = 16 };
#endif
enum { VECTORS = BLOCK / LANES };  // a block of outputs, or of keys
typedef f32 vec __attribute__((vector_size(4 * LANES)));
typedef i32 ivec __attribute__((vector_size(4 * LANES)));

static inline vec load(const f32* p) {
  vec v;
  memcpy(&v, p, sizeof v);
  return v;
}

static inline void store(f32* p, vec v) { memcpy(p, &v, sizeof v); }
static inline vec all(f32 x) { return vec{} + x; }
static inline vec larger(vec a, vec b) { return a > b ? a : b; }

// Float16 as float32; finite numbers only.
static inline vec load(const u16* p) {
#if defined(__AVX512F__)
  return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
#elif defined(__F16C__)
  return (vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p));
#elif defined(__aarch64__)
  return (vec)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
#else
  ivec bits;
  for (i64 i = 0; i < LANES; i++) bits[i] = p[i];
  // The exponent is 112 too small after the shift; the product puts it right, for subnormal numbers too.
  vec size = (vec)((bits & 0x7fff) << 13) * all(0x1p112f);
  return (vec)((ivec)size | ((bits & 0x8000) << 16));
#endif
}

// Whether `count` numbers are as they were `kept`.
template <class Number>
static bool same(const f32* now, const Number* kept, i64 count) {
  ivec differ = {};
  const i64 whole = count - count % LANES;
  for (i64 i = 0; i < whole; i += LANES) differ |= load(now + i) != load(kept + i);
  f32 rest[LANES] = {};
  Number kept_rest[LANES] = {};
  memcpy(rest, now + whole, (count - whole) * sizeof *now), memcpy(kept_rest, kept + whole, (count - whole) * sizeof *kept);
  differ |= load(rest) != load(kept_rest);
  i32 some = 0;
  for (i64 i = 0; i < LANES; i++) some |= differ[i];
  return !some;
}

// Whether a weight is as it was kept, in float16 where `half`.
static i64 is_same(const f32* now, any* kept, i64 half, i64 count) {
  return half ? same(now, (const u16*)kept, count) : same(now, (const f32*)kept, count);
}

static inline f32 sum(vec v) {
  f32 total = 0;
  UNROLL for (i64 i = 0; i < LANES; i++) total += v[i];
  return total;
}

// exp(x) for x <= 0 (Cephes `expf`, within a few units in the last place).
static inline vec exp_below_0(vec x) {
  x = larger(x, all(-87.0f));
  ivec whole = __builtin_convertvector(x * 1.44269504f - 0.5f, ivec);
  vec power = __builtin_convertvector(whole, vec);
  x = x - power * 0.693359375f;
  x = x + power * 2.12194440e-4f;
  vec y = all(1.9875691500e-4f);
  y = y * x + 1.3981999507e-3f;
  y = y * x + 8.3334519073e-3f;
  y = y * x + 4.1665795894e-2f;
  y = y * x + 1.6666665459e-1f;
  y = y * x + 5.0000001201e-1f;
  y = y * (x * x) + x + 1.0f;
  return y * (vec)((whole + 127) << 23);
}

// Outputs of `BLOCKS` blocks for `TOKENS` tokens: `y[token][o] = sum_k x[token][k] w[k][o]`. A block of a weight is `(width, 16)`, so that lanes
// are outputs and nothing has to be summed across them. The sums stay in registers; a weight that was read serves all tokens of the tile.
template <int TOKENS, int BLOCKS, class Weight>
static inline void tile(const Weight* w, const f32* x, f32* y, i64 rows, i64 width) {
  vec sums[TOKENS][BLOCKS * VECTORS] = {};
  for (i64 k = 0; k < width; k++) {
    vec weights[BLOCKS * VECTORS];
    UNROLL for (int i = 0; i < BLOCKS * VECTORS; i++) weights[i] = load(w + i / VECTORS * width * BLOCK + k * BLOCK + i % VECTORS * LANES);
    UNROLL for (int t = 0; t < TOKENS; t++) {
      UNROLL for (int i = 0; i < BLOCKS * VECTORS; i++) sums[t][i] += weights[i] * x[t * width + k];
    }
  }
  UNROLL for (int t = 0; t < TOKENS; t++) {
    UNROLL for (int i = 0; i < BLOCKS * VECTORS; i++) store(y + t * rows + i * LANES, sums[t][i]);
  }
}

// As many blocks at a time as keep about eight sums going, which hides the latency of the multiply-add, or sixteen where there are registers.
template <int TOKENS> constexpr int blocks_for() {
  constexpr int number = (REGISTERS == 32 ? 16 : 8) / (TOKENS * VECTORS);
  return number > 8 ? 8 : number < 1 ? 1 : number;
}

template <int TOKENS, class Weight>
static void tiles(const Weight* w, const f32* x, f32* y, i64 num_blocks, i64 rows, i64 width) {
  constexpr int many = blocks_for<TOKENS>();
  i64 block = 0;
  for (; block + many <= num_blocks; block += many) tile<TOKENS, many>(w + block * BLOCK * width, x, y + block * BLOCK, rows, width);
  for (; block < num_blocks; block++) tile<TOKENS, 1>(w + block * BLOCK * width, x, y + block * BLOCK, rows, width);
}

enum { WIDE = LANES == 4 && REGISTERS == 16 ? 2 : 6 };  // tokens of the largest tile

template <class Weight>
static void all_tokens(const Weight* w, const f32* x, f32* y, i64 count, i64 num_blocks, i64 rows, i64 width) {
  i64 t = 0;
  for (; count - t >= WIDE; t += WIDE) tiles<WIDE>(w, x + t * width, y + t * rows, num_blocks, rows, width);
  for (; count - t > 2; t += 4) tiles<4>(w, x + t * width, y + t * rows, num_blocks, rows, width);  // there is room for a fourth
  if (count - t == 2) tiles<2>(w, x + t * width, y + t * rows, num_blocks, rows, width);
  else if (count - t == 1) tiles<1>(w, x + t * width, y + t * rows, num_blocks, rows, width);
}

// `y = x W^T`: `count` tokens of `width`, `rows` (a multiple of 16) outputs. `w` is float16 where `half`, and is then widened once for many tokens.
static void product(any* w, i64 half, f32* room, const f32* x, f32* y, i64 count, i64 rows, i64 width) {
  const i64 size = BLOCK * width, num_blocks = rows / BLOCK;
  if (count <= 6) {
    if (half) return all_tokens((const u16*)w, x, y, count, num_blocks, rows, width);
    return all_tokens((const f32*)w, x, y, count, num_blocks, rows, width);
  }
  constexpr i64 many = blocks_for<WIDE>();
  for (i64 block = 0; block < num_blocks; block += many) {
    const i64 here = block + many <= num_blocks ? many : num_blocks - block;
    const f32* weights = (const f32*)w + block * size;
    if (half) {
      const u16* halves = (const u16*)w + block * size;
      for (i64 i = 0; i < here * size; i += LANES) store(room + i, load(halves + i));
      weights = room;
    }
    all_tokens(weights, x, y + block * BLOCK, count, here, rows, width);
  }
}

static void add(f32* x, const f32* y, i64 count) {
  for (i64 i = 0; i < count; i++) x[i] += y[i];
}

// The exact GELU, `x / 2 (1 + erf(x / sqrt 2))`, in place; erf by the rational function of Eigen on [-4, 4].
static void gelu(f32* data, i64 count) {
  for (i64 i = 0; i < count; i += LANES) {
    const vec value = load(data + i);
    vec z = value * 0.70710678118654752f;
    z = larger(z, all(-4.0f)), z = z < all(4.0f) ? z : all(4.0f);
    const vec s = z * z;
    vec top = s * -2.72614225801306e-10f + 2.77068142495902e-08f;
    top = top * s - 2.10102402082508e-06f;
    top = top * s - 5.69250639462346e-05f;
    top = top * s - 7.34990630326855e-04f;
    top = top * s - 2.95459980854025e-03f;
    top = top * s - 1.60960333262415e-02f;
    vec bottom = s * -1.45660718464996e-05f - 2.13374055278905e-04f;
    bottom = bottom * s - 1.68282697438203e-03f;
    bottom = bottom * s - 7.37332916720468e-03f;
    bottom = bottom * s - 1.42647390514189e-02f;
    store(data + i, 0.5f * value * (1.0f + z * top / bottom));
  }
}

static void layer_norm(const f32* x, const f32* gain, const f32* bias, f32* out, i64 count, i64 width, f32 epsilon) {
  for (i64 row = 0; row < count; row++, x += width, out += width) {
    vec total = {};
    for (i64 i = 0; i < width; i += LANES) total += load(x + i);
    const vec mean = all(sum(total) / f32(width));
    total = vec{};
    for (i64 i = 0; i < width; i += LANES) total += (load(x + i) - mean) * (load(x + i) - mean);
    const vec scale = all(1.0f / sqrtf(sum(total) / f32(width) + epsilon));
    for (i64 i = 0; i < width; i += LANES) store(out + i, (load(x + i) - mean) * scale * load(gain + i) + load(bias + i));
  }
}

// In place over `count` values; what stands behind them, up to `until`, a multiple of 16, gets no weight.
static void softmax(f32* p, i64 count, i64 until) {
  for (i64 i = count; i < until; i++) p[i] = -3e38f;
  vec tops = load(p);
  for (i64 i = LANES; i < until; i += LANES) tops = larger(load(p + i), tops);
  f32 top = tops[0];
  for (i64 i = 1; i < LANES; i++) top = tops[i] > top ? tops[i] : top;
  vec total = {};
  for (i64 i = 0; i < until; i += LANES) {
    const vec value = exp_below_0(load(p + i) - top);
    store(p + i, value);
    total += value;
  }
  const f32 scale = 1.0f / sum(total);
  for (i64 i = 0; i < until; i += LANES) store(p + i, load(p + i) * scale);
}

// Scores of `QUERIES` queries, `stride` apart, with `BLOCKS` blocks of 16 keys, `(dim, 16)` each.
template <int QUERIES, int BLOCKS>
static inline void scores(const f32* keys, const f32* q, i64 stride, f32* out, i64 out_stride, i64 dim) {
  vec sums[QUERIES][BLOCKS * VECTORS] = {};
  for (i64 k = 0; k < dim; k++) {
    UNROLL for (int i = 0; i < BLOCKS * VECTORS; i++) {
      const vec key = load(keys + i / VECTORS * dim * BLOCK + k * BLOCK + i % VECTORS * LANES);
      UNROLL for (int j = 0; j < QUERIES; j++) sums[j][i] += key * q[j * stride + k];
    }
  }
  UNROLL for (int j = 0; j < QUERIES; j++) {
    UNROLL for (int i = 0; i < BLOCKS * VECTORS; i++) store(out + j * out_stride + i * LANES, sums[j][i]);
  }
}

// `out[query] = sum_t p[query][t] values[t]` over `count` keys, a multiple of UNITS; 16 PARTS channels of them. MORE: on top of what is there.
template <int QUERIES, int UNITS, int PARTS = 1, bool MORE = false>
static inline void mixture(const f32* p, i64 stride, const f32* values, i64 dim, f32* out, i64 out_stride, i64 count) {
  vec sums[UNITS][QUERIES][PARTS * VECTORS] = {};
  for (i64 t = 0; t < count; t += UNITS) {
    UNROLL for (int u = 0; u < UNITS; u++) {
      UNROLL for (int i = 0; i < PARTS * VECTORS; i++) {
        const vec value = load(values + (t + u) * dim + i * LANES);
        UNROLL for (int j = 0; j < QUERIES; j++) sums[u][j][i] += value * p[j * stride + t + u];
      }
    }
  }
  UNROLL for (int j = 0; j < QUERIES; j++) {
    UNROLL for (int i = 0; i < PARTS * VECTORS; i++) {
      vec total = sums[0][j][i];
      for (int u = 1; u < UNITS; u++) total += sums[u][j][i];
      f32* place = out + j * out_stride + i * LANES;
      store(place, MORE ? load(place) + total : total);
    }
  }
}

}  // namespace LEVEL
