"""The small compiler: kernels as machine code do what they do as Python."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from modeling_musicgpt.fast_compiler import (
    Floats,
    Ints,
    KernelError,
    Program,
    exp,
    f32,
    kernel,
    pack,
    struct,
)

LIMIT = 3


@struct
class Numbers:
    values: Ints
    count: int


@kernel
def double(x: int) -> int:
    return 2 * x


@kernel
def mixed(n: Numbers) -> int:
    """Loops, chained comparisons, tuples, short circuits."""
    total, last = 0, 0
    for i in range(n.count - 1, -1, -1):
        if 0 <= i < n.count and n.values[i] != 7:
            total, last = total + double(n.values[i]), i
        elif n.values[i] == 7:
            continue
        if total > 100 or not total < 200:
            break
    i = 0
    while i < LIMIT:
        i += 1
        total += -1 if i == 2 else min(i, 2, 9)
    return total * 1000 + last * 10 + abs(i - 8) % 4


@kernel(fast=True)
def softplus_like(x: Floats, count: int) -> f32:
    total = f32(0)
    for i in range(count):
        total += exp(x[i]) + x[i] / 2
    return total


@kernel
def swap(n: Ints):
    n[0], n[1] = n[1], n[0]


@kernel
def unknown(n: Ints):
    n[0] = sorted(n)


@pytest.fixture(scope="module")
def program() -> Program:
    return Program([mixed, softplus_like, swap])


class _Python:
    def __init__(self, values):
        self.values, self.count = values, len(values)


@pytest.mark.parametrize("values", [[1, 2, 3], [7, 7], [60, 7, 50, 1], [0] * 9])
def test_machine_code_is_what_python_says(program, values):
    array = np.array(values, dtype=np.int64)
    packed = pack(Numbers, values=array, count=len(array))
    assert program.mixed(packed.ctypes.data) == mixed(_Python(values))


def test_floats_and_simultaneous_assignment(program):
    x = np.linspace(0.1, 4.9, 100, dtype=np.float32)
    assert program.softplus_like(x.ctypes.data, len(x)) == pytest.approx(float(softplus_like(x, len(x))), rel=1e-5)
    pair = np.array([3, 5], dtype=np.int64)
    program.swap(pair.ctypes.data)
    assert pair.tolist() == [5, 3]


def test_what_is_not_in_the_subset_is_refused_by_line():
    with pytest.raises(KernelError, match=r"sorted"):
        Program([unknown])
    with pytest.raises(KernelError, match=r"values"):
        pack(Numbers, count=1)
