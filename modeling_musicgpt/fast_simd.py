# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""The inner loops of fast decoding, written as LLVM vectors of 16 floats.

LLVM cuts a vector of 16 to what the processor has (one register with AVX-512, two with AVX2, four with SSE or NEON). Its own loop
vectoriser does not keep a tile of sums in registers, which is what these loops live from: a weight that was read from memory is used
for several tokens at once.
"""

from __future__ import annotations

try:
    from llvmlite import ir
except ImportError as error:
    raise ImportError(f"fast decoding needs llvmlite: {error}") from error

from .fast_compiler import declare

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

    def accumulate(self, count, step, num_sums, body):
        """`for i in range(0, count, step)` with `num_sums` vectors in registers; `body(i)` gives the pairs to multiply and add."""
        before, loop, after = self.b.block, self.b.append_basic_block(), self.b.append_basic_block()
        self.b.branch(loop)
        self.b.position_at_end(loop)
        i = self.b.phi(_INT)
        i.add_incoming(_INT(0), before)
        sums = [self.b.phi(_VECTOR) for _ in range(num_sums)]
        results = [self.b.call(self.fma, [x, y, total]) for (x, y), total in zip(body(i), sums, strict=True)]
        for total, result in zip(sums, results, strict=True):
            total.add_incoming(_ZERO, before)
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


def _product(num_rows: int, num_tokens: int):
    """`product(w, x, y, y_stride, size)`: `y[token, row] = sum(w[row] * x[token])` for a tile of rows and tokens, each `size` long."""

    def emit(module, builder, args):
        e = _Emit(module, builder)
        w, x, y, y_stride, size = args
        weights, tokens = e.rows(w, size, num_rows), e.rows(x, size, num_tokens)

        def body(i):
            left, right = [e.load(p, i) for p in weights], [e.load(p, i) for p in tokens]
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


# Blocks and unrolling such that eight sums run at once, which hides the latency of the multiply-add.
product_4x1, product_4x2, product_4x4 = _product(4, 1), _product(4, 2), _product(4, 4)
scores_1x4, scores_4x2 = _scores(1, 4), _scores(4, 2)
mixture_1x1, mixture_1x2, mixture_4x1, mixture_4x2 = _mixture(1, 1, 4), _mixture(1, 2, 4), _mixture(4, 1, 2), _mixture(4, 2, 1)
