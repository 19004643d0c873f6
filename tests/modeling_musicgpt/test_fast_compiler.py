"""The small compiler: kernels as machine code do what they do as Python."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from modeling_musicgpt.fast_compiler import (
    Floats,
    Halves,
    Ints,
    KernelError,
    Program,
    exp,
    f32,
    kernel,
    pack,
    struct,
)
from modeling_musicgpt.fast_simd import widen

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


@kernel
def widened(w: Halves, out: Floats, count: int):
    widen(w, out, count)


OLD_PROCESSOR = """
import numpy as np, torch
from modeling_musicgpt import fast_compiler
fast_compiler.host = lambda: ("x86-64", "")  # no F16C, no FMA, no AVX
from tests.modeling_musicgpt import test_fast_compiler as here
assert not fast_compiler.converts_halves()
halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
halves = np.where(np.isfinite(halves), halves, np.float16(0))
floats = np.empty(len(halves), dtype=np.float32)
program = here.Program([here.widened])
program.widened(halves.ctypes.data, floats.ctypes.data, len(halves))
assert np.array_equal(floats.view(np.int32), halves.astype(np.float32).view(np.int32))

from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
torch.manual_seed(0)
model = MusicGPTForCausalLM(MusicGPTConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2)).eval()
model.half().float()
tokens = []
for model.fast_decoding in (True, False):
    torch.manual_seed(1)
    tokens.append(model.generate(torch.tensor([[1]]), max_new_tokens=48, do_sample=True).tolist())
    assert (model.usual_decoding_because is None) == model.fast_decoding, model.usual_decoding_because
assert tokens[0] == tokens[1]
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="masks the features of an x86 processor")
def test_a_processor_without_float16_and_wide_vectors_gets_the_same_music(repo_root):
    """Machine code for it is compiled and run; before, it called a function that is not there and died of SIGSEGV."""
    environment = {**os.environ, "MUSICGPT_CACHE": "", "PYTHONPATH": str(repo_root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", OLD_PROCESSOR], env=environment, cwd=repo_root, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
