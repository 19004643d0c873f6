# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""The inner loops of fast decoding, written as LLVM vectors of 16 floats.

LLVM cuts a vector of 16 to what the processor has (one register with AVX-512, two with AVX2, four with SSE or NEON). Its own loop
vectoriser does not keep a tile of sums in registers, which is what these loops live from: a weight that was read from memory is used
for several tokens at once.
"""

from __future__ import annotations

import numpy as np

try:
    from llvmlite import ir
except ImportError as error:
    raise ImportError(f"fast decoding needs llvmlite: {error}") from error

from .fast_compiler import converts_halves, declare

LANES = 16
_FLOAT, _INT, _INDEX = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ZERO = ir.Constant(_VECTOR, [ir.Constant(_FLOAT, 0.0)] * LANES)


class _Emit:
    """Short names for what the loops below are made of."""

    def __init__(self, module, builder):
        self.b = builder
        self.fma = declare(module, f"llvm.fmuladd.v{LANES}f32", _VECTOR, [_VECTOR] * 3)

    def rows(self, data, stride, count):
        """Pointers to `count` rows, `stride` elements apart."""
        return [self.b.gep(data, [self.b.mul(stride, _INT(i))]) for i in range(count)]

    def load(self, pointer, at):
        value = self.b.load(self.b.bitcast(self.b.gep(pointer, [at]), _VECTOR.as_pointer()))
        value.align = 4
        return value

    def load_halves(self, pointer, at):
        """16 float16 as floats."""
        short, whole = ir.VectorType(ir.IntType(16), LANES), ir.VectorType(ir.IntType(32), LANES)
        value = self.b.load(self.b.bitcast(self.b.gep(pointer, [at]), short.as_pointer()))
        value.align = 2
        if converts_halves():
            return self.b.fpext(self.b.bitcast(value, ir.VectorType(ir.HalfType(), LANES)), _VECTOR)
        # Without the instruction LLVM would call a function that is not there (`__extendhfsf2`). Sign, exponent and fraction move to their
        # places, and a product with 2^112 makes up for the other bias of the exponent; exact for all finite values.
        bits = self.b.zext(value, whole)
        sign = self.b.shl(self.b.and_(bits, ir.Constant(whole, [0x8000] * LANES)), ir.Constant(whole, [16] * LANES))
        size = self.b.shl(self.b.and_(bits, ir.Constant(whole, [0x7FFF] * LANES)), ir.Constant(whole, [13] * LANES))
        size = self.b.fmul(self.b.bitcast(size, _VECTOR), self.everywhere(2.0**112))
        return self.b.bitcast(self.b.or_(self.b.bitcast(size, whole), sign), _VECTOR)

    def load_all(self, pointer, at):
        """One element in all lanes."""
        one = self.b.insert_element(ir.Constant(_VECTOR, ir.Undefined), self.b.load(self.b.gep(pointer, [at])), _INDEX(0))
        return self.shuffle(one, one, [0] * LANES)

    def store(self, value, pointer, at):
        target = self.b.bitcast(self.b.gep(pointer, [at]), value.type.as_pointer())
        self.b.store(value, target).align = 4

    def shuffle(self, a, b, lanes):
        mask = ir.Constant(ir.VectorType(_INDEX, len(lanes)), [_INDEX(i) for i in lanes])
        return self.b.shuffle_vector(a, b, mask)

    def everywhere(self, number):
        """A constant in all lanes."""
        return ir.Constant(_VECTOR, [ir.Constant(_FLOAT, float(np.float32(number)))] * LANES)

    def larger(self, a, b):
        return self.b.select(self.b.fcmp_ordered(">", a, b), a, b)

    def exp(self, x):
        """`exp(x)` for `x <= 0` (Cephes `expf`, within a few units in the last place)."""
        b, integers = self.b, ir.VectorType(ir.IntType(32), LANES)
        x = self.larger(x, self.everywhere(-87.0))
        whole = b.fptosi(b.call(self.fma, [x, self.everywhere(1.44269504), self.everywhere(-0.5)]), integers)
        power = b.sitofp(whole, _VECTOR)
        x = b.call(self.fma, [power, self.everywhere(-0.693359375), x])
        x = b.call(self.fma, [power, self.everywhere(2.12194440e-4), x])
        y = self.everywhere(1.9875691500e-4)
        for coefficient in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
            y = b.call(self.fma, [y, x, self.everywhere(coefficient)])
        y = b.fadd(b.call(self.fma, [y, b.fmul(x, x), x]), self.everywhere(1.0))
        bias, places = ir.Constant(integers, [127] * LANES), ir.Constant(integers, [23] * LANES)
        return b.fmul(y, b.bitcast(b.shl(b.add(whole, bias), places), _VECTOR))

    def fold(self, count, first, combine):
        """`combine(i, total)` over vectors at 0, 16, ... below `count`, from `first`; two at a time, to hide their latency."""

        def body(i, totals):
            return [combine(i, totals[0]), combine(self.b.add(i, _INT(LANES)), totals[1])]

        return self.repeat(count, 2 * LANES, [first, first], body)

    def accumulate(self, count, step, num_sums, body):
        """`for i in range(0, count, step)` with `num_sums` vectors in registers; `body(i)` gives the pairs to multiply and add."""
        def step_of(i, sums):
            return [self.b.call(self.fma, [x, y, total]) for (x, y), total in zip(body(i), sums, strict=True)]

        return self.repeat(count, step, [_ZERO] * num_sums, step_of)

    def repeat(self, count, step, firsts, body):
        """`for i in range(0, count, step)`, at least once, with vectors in registers: `body(i, vectors)` gives the next ones."""
        before, loop, after = self.b.block, self.b.append_basic_block(), self.b.append_basic_block()
        self.b.branch(loop)
        self.b.position_at_end(loop)
        i = self.b.phi(_INT)
        i.add_incoming(_INT(0), before)
        totals = [self.b.phi(_VECTOR) for _ in firsts]
        results = body(i, totals)
        for total, first, result in zip(totals, firsts, results, strict=True):
            total.add_incoming(first, before)
            total.add_incoming(result, loop)
        following = self.b.add(i, _INT(step))
        i.add_incoming(following, loop)
        self.b.cbranch(self.b.icmp_signed("<", following, count), loop, after)
        self.b.position_at_end(after)
        return results

    def sum_lanes(self, vectors):
        """Vectors (their number a power of two, at most 16) -> one vector whose lane `i` is the sum of the lanes of vector `i`."""
        groups, width = 1, LANES
        while width > 1:
            half = width // 2
            sources = (0, LANES) if len(vectors) > 1 else (0,)
            starts = [source + group * width for source in sources for group in range(groups)]
            low = [start + i for start in starts for i in range(half)]
            high = [start + half + i for start in starts for i in range(half)]
            pairs = list(zip(vectors[0::2], vectors[1::2], strict=True)) if len(vectors) > 1 else [(vectors[0], vectors[0])]
            vectors = [self.b.fadd(self.shuffle(x, y, low), self.shuffle(x, y, high)) for x, y in pairs]
            groups, width = len(starts), half
        return vectors[0]

    def across(self, vector, combine):
        """All lanes of a vector combined to one float."""
        width = LANES
        while width > 1:
            width //= 2
            vector = combine(vector, self.shuffle(vector, vector, [(i + width) % LANES for i in range(LANES)]))
        return self.b.extract_element(vector, _INDEX(0))


def _product(num_rows: int, num_tokens: int, halves: bool = False):
    """`product(w, x, y, y_stride, size)`: `y[token, row] = sum(w[row] * x[token])` for a tile of rows and tokens, each `size` long.

    With `halves` the weights are float16.
    """

    def emit(module, builder, args):
        e = _Emit(module, builder)
        w, x, y, y_stride, size = args
        weights, tokens = e.rows(w, size, num_rows), e.rows(x, size, num_tokens)

        def body(i):
            left = [e.load_halves(p, i) if halves else e.load(p, i) for p in weights]
            right = [e.load(p, i) for p in tokens]
            return [(a, b) for b in right for a in left]

        sums = e.sum_lanes(e.accumulate(size, LANES, num_rows * num_tokens, body))
        for token, target in enumerate(e.rows(y, y_stride, num_tokens)):
            lanes = list(range(token * num_rows, (token + 1) * num_rows))
            e.store(e.shuffle(sums, sums, lanes), target, _INT(0))

    emit.writes_llvm = True
    return emit


def _scores(num_queries: int, num_blocks: int):
    """`scores(keys, q, q_stride, out, out_stride, head_dim)`: queries times blocks of 16 keys; a block is `(head_dim, 16)`."""

    def emit(module, builder, args):
        e = _Emit(module, builder)
        keys, q, q_stride, out, out_stride, head_dim = args
        blocks = e.rows(keys, builder.mul(head_dim, _INT(LANES)), num_blocks)
        queries = e.rows(q, q_stride, num_queries)

        def body(i):
            at = builder.mul(i, _INT(LANES))
            left, right = [e.load(p, at) for p in blocks], [e.load_all(p, i) for p in queries]
            return [(a, b) for b in right for a in left]

        sums = e.accumulate(head_dim, 1, num_queries * num_blocks, body)
        for query, target in enumerate(e.rows(out, out_stride, num_queries)):
            for block in range(num_blocks):
                e.store(sums[query * num_blocks + block], target, _INT(block * LANES))

    emit.writes_llvm = True
    return emit


def _mixture(num_queries: int, num_parts: int, unroll: int):
    """`mixture(p, p_stride, values, head_dim, out, out_stride, count)`: `out[query] = sum(p[query, t] * values[t])` over `count` keys, a multiple
    of `unroll`; 16 `num_parts` channels of them."""

    def emit(module, builder, args):
        e = _Emit(module, builder)
        p, p_stride, values, head_dim, out, out_stride, count = args
        weights = e.rows(p, p_stride, num_queries)

        def body(t):
            pairs = []
            for u in range(unroll):
                at = builder.add(t, _INT(u))
                start = builder.mul(at, head_dim)
                parts = [e.load(values, builder.add(start, _INT(LANES * i))) for i in range(num_parts)]
                pairs += [(part, weight) for weight in [e.load_all(w, at) for w in weights] for part in parts]
            return pairs

        sums = e.accumulate(count, unroll, unroll * num_queries * num_parts, body)
        for query, target in enumerate(e.rows(out, out_stride, num_queries)):
            for part in range(num_parts):
                same = sums[query * num_parts + part :: num_queries * num_parts]
                total = same[0]
                for other in same[1:]:
                    total = builder.fadd(total, other)
                e.store(total, target, _INT(LANES * part))

    emit.writes_llvm = True
    return emit


def widen(module, builder, args):
    """`widen(w, out, count)`: `count` float16, a multiple of 16, as floats."""
    e = _Emit(module, builder)
    w, out, count = args

    def body(i, nothing):
        e.store(e.load_halves(w, i), out, i)
        return nothing

    e.repeat(count, LANES, [], body)


def largest(module, builder, args):
    """`largest(p, count)` of `count` floats, a multiple of 32."""
    e = _Emit(module, builder)
    p, count = args
    a, b = e.fold(count, e.everywhere(-3e38), lambda i, top: e.larger(e.load(p, i), top))
    return e.across(e.larger(a, b), e.larger)


def exp_and_sum(module, builder, args):
    """`exp_and_sum(p, top, count)`: `p = exp(p - top)` in place for `count` floats, a multiple of 32; returns their sum."""
    e = _Emit(module, builder)
    p, top, count = args
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), top, _INDEX(0))
    top = e.shuffle(one, one, [0] * LANES)

    def combine(i, total):
        value = e.exp(builder.fsub(e.load(p, i), top))
        e.store(value, p, i)
        return builder.fadd(total, value)

    a, b = e.fold(count, _ZERO, combine)
    return e.across(builder.fadd(a, b), builder.fadd)


widen.writes_llvm = largest.writes_llvm = exp_and_sum.writes_llvm = True

# Blocks and unrolling such that eight sums run at once, which hides the latency of the multiply-add.
product_4x1, product_4x2, product_4x4 = _product(4, 1), _product(4, 2), _product(4, 4)
half_product_4x1, half_product_4x2, half_product_4x4 = _product(4, 1, True), _product(4, 2, True), _product(4, 4, True)
scores_1x4, scores_4x2 = _scores(1, 4), _scores(4, 2)
mixture_1x1, mixture_1x2, mixture_4x1, mixture_4x2 = _mixture(1, 1, 4), _mixture(1, 2, 4), _mixture(4, 1, 2), _mixture(4, 2, 1)
