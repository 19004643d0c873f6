# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Translates small numeric functions, written in a subset of Python, to machine code with llvmlite.

numba does the same for all of Python, but takes 15 to 30 seconds for the functions of fast decoding, where this takes about 1.5, and that
only once on a computer (`fast_cache.py`). The subset:

- arguments and results are annotated with the names of `TYPES`, or of a `struct`; a local variable has the type of its first value;
- pointers are indexed (`p[i]`) and moved (`p + i`); `/` is for floats, `//` and `%` are for integers that are not negative;
- `for ... in range(...)` with a constant step, `while`, `if`, `and`, `or`, `not`, conditional expressions, assignments to several targets;
- calls of other kernels, and of `BUILTINS`. Names of the module outside functions are constants.
"""

from __future__ import annotations

import ast
import ctypes
import importlib.metadata
import inspect
import operator as op
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    from llvmlite import binding, ir
except ImportError as error:  # fast decoding is optional: without it `fast_sampling` stays with the usual loop
    raise ImportError(f"fast decoding needs llvmlite: {error}") from error

from .fast_cache import keep, kept, key_of

I1, I8, I32, I64, F32, F64 = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()
# The names of types in annotations: integers, truth values, floats; pointers to int64, int32, bytes that are 0 or 1, float32, float64,
# and float16, which only vector loops read.
TYPES = {
    "int": I64, "bool": I1, "f32": F32, "f64": F64, "None": ir.VoidType(), "Ints": I64.as_pointer(), "Ints32": I32.as_pointer(),
    "Bools": I8.as_pointer(), "Floats": F32.as_pointer(), "Doubles": F64.as_pointer(), "Halves": ir.IntType(16).as_pointer(),
}  # fmt: skip
_CTYPES = {"int": ctypes.c_int64, "bool": ctypes.c_bool, "f32": ctypes.c_float, "None": None}
_REAL = (ir.FloatType, ir.DoubleType)
_OPERATORS = {
    ast.Add: ("add", "fadd"), ast.Sub: ("sub", "fsub"), ast.Mult: ("mul", "fmul"), ast.Div: (None, "fdiv"), ast.FloorDiv: ("sdiv", None),
    ast.Mod: ("srem", None), ast.LShift: ("shl", None), ast.RShift: ("ashr", None), ast.BitAnd: ("and_", None),
    ast.BitOr: ("or_", None), ast.BitXor: ("xor", None),
}  # fmt: skip
_CONSTANT = {
    ast.Add: op.add, ast.Sub: op.sub, ast.Mult: op.mul, ast.Div: op.truediv, ast.FloorDiv: op.floordiv, ast.Mod: op.mod,
    ast.LShift: op.lshift, ast.RShift: op.rshift, ast.BitAnd: op.and_, ast.BitOr: op.or_, ast.BitXor: op.xor,
}  # fmt: skip
_COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


# The same names as Python sees them, for readers and linters.
f32, f64, sqrt, exp, cos, sin = np.float32, np.float64, np.sqrt, np.exp, np.cos, np.sin
Ints = Ints32 = Bools = Floats = Doubles = Halves = np.ndarray


class KernelError(TypeError):
    """A kernel uses what the subset does not have; a fault of the project, found when the kernels are compiled."""


def kernel(function: Callable | None = None, *, fast: bool = False, whole: bool = False) -> Callable:
    """Marks a function for compilation.

    `fast` lets sums be reordered, so that loops become vectors; infinities stay right. `whole` keeps it in one piece: large functions that
    are called from several places are compiled once.
    """
    if function is None:
        return lambda f: kernel(f, fast=fast, whole=whole)
    function.kernel_whole = whole
    function.kernel_flags = ("reassoc", "contract", "nsz") if fast else ("contract",)
    return function


def struct(cls: type) -> type:
    """Marks a class whose annotations, names of `TYPES`, are the fields of an array of 64-bit numbers: pointers and integers."""
    cls.fields = {name: (i, kind) for i, (name, kind) in enumerate(cls.__annotations__.items())}
    return cls


def pack(cls: type, **values: Any) -> np.ndarray:
    """A `struct` from arrays and integers, as an int64 array. The arrays must outlive it."""
    if values.keys() != cls.fields.keys():
        raise KernelError(f"{cls.__name__} has the fields {sorted(cls.fields)}, not {sorted(values)}.")
    return np.array([v.ctypes.data if isinstance(v, np.ndarray) else v for v in (values[f] for f in cls.fields)], dtype=np.int64)


class _Value:
    """An LLVM value, or a Python number that takes the type of what it meets."""

    def __init__(self, value: Any, shape: type | None = None):
        self.value, self.shape = value, shape

    @property
    def is_number(self) -> bool:
        return isinstance(self.value, (bool, int, float))


class _Function:
    """Translates one function."""

    def __init__(self, unit: _Unit, function: Callable):
        self.unit, self.python, self.flags = unit, function, function.kernel_flags
        self.tree: Any = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        self.annotations = [ast.unparse(arg.annotation) for arg in self.tree.args.args]
        self.result = ast.unparse(self.tree.returns) if self.tree.returns else "None"
        kinds = [self.type_of(name) for name in self.annotations]
        self.ir = ir.Function(unit.module, ir.FunctionType(TYPES[self.result], kinds), function.__name__)
        self.ir.attributes.add("nounwind")
        if function.kernel_whole:
            self.ir.attributes.add("noinline")
        self.locals: dict[str, tuple[Any, type | None]] = {}
        self.loops: list[tuple[Any, Any]] = []

    def type_of(self, name: str) -> ir.Type:
        return TYPES[name] if name in TYPES else TYPES["Ints"]

    def shape_of(self, name: str) -> type | None:
        return None if name in TYPES else self.python.__globals__[name]

    def build(self) -> None:
        self.entry = self.ir.append_basic_block("entry")
        self.b = ir.IRBuilder(self.ir.append_basic_block("body"))
        for arg, value, name in zip(self.tree.args.args, self.ir.args, self.annotations, strict=True):
            self.assign_name(arg.arg, _Value(value, self.shape_of(name)))
        self.statements(self.tree.body)
        if not self.b.block.is_terminated:
            self.b.ret_void() if self.result == "None" else self.b.unreachable()
        ir.IRBuilder(self.entry).branch(self.ir.basic_blocks[1])

    def fail(self, node: ast.AST) -> None:
        raise KernelError(f"{self.python.__name__}, line {node.lineno}: {ast.unparse(node)!r} is not in the subset.")

    # Statements

    def statements(self, body: list[ast.stmt]) -> None:
        for node in body:
            if self.b.block.is_terminated:
                return
            handler = getattr(self, f"do_{type(node).__name__}", None)
            handler(node) if handler else self.fail(node)

    def do_Pass(self, node) -> None:
        pass

    def do_Expr(self, node) -> None:
        if not isinstance(node.value, ast.Constant):
            self.expression(node.value)

    def do_Return(self, node) -> None:
        self.b.ret_void() if node.value is None else self.b.ret(self.cast(self.expression(node.value), TYPES[self.result]))

    def do_Break(self, node) -> None:
        self.b.branch(self.loops[-1][1])

    def do_Continue(self, node) -> None:
        self.b.branch(self.loops[-1][0])

    def do_Assign(self, node) -> None:
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        # All values first: `a, b = b, a` is right.
        values = [self.expression(value) for value in values]
        for target in node.targets:
            targets = target.elts if isinstance(target, ast.Tuple) else [target]
            for place, value in zip(targets, values, strict=True):
                self.assign(place, value)

    def do_AugAssign(self, node) -> None:
        self.assign(node.target, self.operation(node.op, self.expression(node.target), self.expression(node.value), node))

    def assign(self, target: ast.expr, value: _Value) -> None:
        if isinstance(target, ast.Name):
            self.assign_name(target.id, value)
        elif isinstance(target, ast.Subscript):
            pointer = self.address(target)
            self.b.store(self.cast(value, pointer.type.pointee), pointer)
        else:
            self.fail(target)

    def assign_name(self, name: str, value: _Value) -> None:
        if name not in self.locals:
            kind = value.value.type if not value.is_number else F32 if isinstance(value.value, float) else I64
            kind = I1 if isinstance(value.value, bool) else kind
            self.locals[name] = (ir.IRBuilder(self.entry).alloca(kind), value.shape)
        slot = self.locals[name][0]
        self.b.store(self.cast(value, slot.type.pointee), slot)

    def do_If(self, node) -> None:
        then, otherwise, after = (self.b.append_basic_block() for _ in range(3))
        self.b.cbranch(self.truth(self.expression(node.test)), then, otherwise)
        for block, body in ((then, node.body), (otherwise, node.orelse)):
            self.b.position_at_end(block)
            self.statements(body)
            if not self.b.block.is_terminated:
                self.b.branch(after)
        self.b.position_at_end(after)

    def do_While(self, node) -> None:
        test, body, after = (self.b.append_basic_block() for _ in range(3))
        self.b.branch(test)
        self.b.position_at_end(test)
        self.b.cbranch(self.truth(self.expression(node.test)), body, after)
        self.loop(body, node.body, test, after)
        self.b.position_at_end(after)

    def do_For(self, node) -> None:
        call = node.iter
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", None) == "range" and isinstance(node.target, ast.Name)):
            self.fail(node)
        bounds = [self.expression(arg) for arg in call.args]
        start, stop = (_Value(0), bounds[0]) if len(bounds) == 1 else bounds[:2]
        step = bounds[2].value if len(bounds) == 3 else 1
        if not isinstance(step, int):
            self.fail(call)
        stop = self.cast(stop, I64)
        # A hidden counter, so that the loop variable keeps its last value, as in Python.
        counter = ir.IRBuilder(self.entry).alloca(I64)
        self.b.store(self.cast(start, I64), counter)
        test, body, following, after = (self.b.append_basic_block() for _ in range(4))
        self.b.branch(test)
        self.b.position_at_end(test)
        self.b.cbranch(self.b.icmp_signed("<" if step > 0 else ">", self.b.load(counter), stop), body, after)
        self.b.position_at_end(body)
        self.assign_name(node.target.id, _Value(self.b.load(counter)))
        self.loop(body, node.body, following, after)
        self.b.position_at_end(following)
        self.b.store(self.b.add(self.b.load(counter), I64(step)), counter)
        self.b.branch(test)
        self.b.position_at_end(after)

    def loop(self, block: Any, body: list[ast.stmt], following: Any, after: Any) -> None:
        self.loops.append((following, after))
        self.b.position_at_end(block)
        self.statements(body)
        if not self.b.block.is_terminated:
            self.b.branch(following)
        self.loops.pop()

    # Expressions

    def expression(self, node: ast.expr) -> _Value:
        handler = getattr(self, f"get_{type(node).__name__}", None)
        if handler is None:
            self.fail(node)
        return handler(node)

    def get_Constant(self, node) -> _Value:
        return _Value(node.value)

    def get_Name(self, node) -> _Value:
        if node.id in self.locals:
            slot, shape = self.locals[node.id]
            return _Value(self.b.load(slot), shape)
        value = self.python.__globals__.get(node.id)
        if isinstance(value, np.float32):
            return _Value(F32(float(value)))
        if not isinstance(value, (bool, int, float)):
            self.fail(node)
        return _Value(value)

    def get_Attribute(self, node) -> _Value:
        whole = self.expression(node.value)
        place, kind = whole.shape.fields[node.attr]
        field = self.b.load(self.b.gep(whole.value, [I64(place)]))
        kind = self.type_of(kind)
        return _Value(field if kind == I64 else self.b.inttoptr(field, kind))

    def get_Subscript(self, node) -> _Value:
        value = self.b.load(self.address(node))
        if value.type == I8:
            return _Value(self.b.icmp_unsigned("!=", value, I8(0)))
        return _Value(self.b.sext(value, I64) if value.type == I32 else value)

    def address(self, node) -> Any:
        return self.b.gep(self.expression(node.value).value, [self.cast(self.expression(node.slice), I64)])

    def get_UnaryOp(self, node) -> _Value:
        value = self.expression(node.operand)
        if isinstance(node.op, ast.Not):
            return _Value(self.b.not_(self.truth(value)))
        if not isinstance(node.op, ast.USub):
            self.fail(node)
        if value.is_number:
            return _Value(-value.value)
        return _Value(self.b.fneg(value.value) if isinstance(value.value.type, _REAL) else self.b.neg(value.value))

    def get_BinOp(self, node) -> _Value:
        return self.operation(node.op, self.expression(node.left), self.expression(node.right), node)

    def operation(self, operator, left: _Value, right: _Value, node) -> _Value:
        if not left.is_number and isinstance(left.value.type, ir.PointerType):
            if not isinstance(operator, ast.Add):
                self.fail(node)
            return _Value(self.b.gep(left.value, [self.cast(right, I64)]), left.shape)
        if left.is_number and right.is_number:
            return _Value(_CONSTANT[type(operator)](left.value, right.value))
        kind = self.common(left, right)
        a, b = self.cast(left, kind), self.cast(right, kind)
        for_integers, for_floats = _OPERATORS[type(operator)]
        if isinstance(kind, _REAL):
            return _Value(getattr(self.b, for_floats)(a, b, flags=self.flags)) if for_floats else self.fail(node)
        return _Value(getattr(self.b, for_integers)(a, b)) if for_integers else self.fail(node)

    def common(self, left: _Value, right: _Value) -> ir.Type:
        """The type in which two values meet: a number in the source takes the other's, if that is not an integer for a float."""
        kinds = [v.value.type for v in (left, right) if not v.is_number]
        for kind in (F64, F32):
            if kind in kinds:
                return kind
        if any(isinstance(v.value, float) for v in (left, right)):
            return F64
        return I64

    def cast(self, value: _Value, kind: ir.Type) -> Any:
        if value.is_number:
            number = value.value
            return kind(float(number)) if isinstance(kind, _REAL) else kind(int(number))
        v = value.value
        if v.type == kind:
            return v
        if isinstance(kind, _REAL):
            if isinstance(v.type, _REAL):
                return self.b.fpext(v, kind) if kind == F64 else self.b.fptrunc(v, kind)
            return self.b.uitofp(v, kind) if v.type == I1 else self.b.sitofp(v, kind)
        if isinstance(v.type, _REAL):
            return self.b.fptosi(v, kind)
        if isinstance(v.type, ir.IntType) and isinstance(kind, ir.IntType):
            if v.type.width > kind.width:
                return self.b.icmp_signed("!=", v, v.type(0)) if kind == I1 else self.b.trunc(v, kind)
            return self.b.zext(v, kind) if v.type == I1 else self.b.sext(v, kind)
        raise KernelError(f"{self.python.__name__}: a value of type {v.type} cannot become {kind}.")

    def truth(self, value: _Value) -> Any:
        return self.cast(value, I1)

    def get_Compare(self, node) -> _Value:
        values = [self.expression(v) for v in (node.left, *node.comparators)]
        result = None
        for operator, left, right in zip(node.ops, values, values[1:], strict=False):
            kind = self.common(left, right)
            a, b, sign = self.cast(left, kind), self.cast(right, kind), _COMPARISONS[type(operator)]
            if isinstance(kind, _REAL):
                one = self.b.fcmp_unordered(sign, a, b) if sign == "!=" else self.b.fcmp_ordered(sign, a, b)
            else:
                one = self.b.icmp_signed(sign, a, b)
            result = one if result is None else self.b.and_(result, one)
        return _Value(result)

    def get_BoolOp(self, node) -> _Value:
        """Short-circuit: the right side may be an access that the left one guards."""
        slot, after = ir.IRBuilder(self.entry).alloca(I1), self.b.append_basic_block()
        for i, part in enumerate(node.values):
            value = self.truth(self.expression(part))
            self.b.store(value, slot)
            if i + 1 < len(node.values):
                following = self.b.append_basic_block()
                self.b.cbranch(value, following, after) if isinstance(node.op, ast.And) else self.b.cbranch(value, after, following)
                self.b.position_at_end(following)
            else:
                self.b.branch(after)
        self.b.position_at_end(after)
        return _Value(self.b.load(slot))

    def get_IfExp(self, node) -> _Value:
        then, otherwise, after = (self.b.append_basic_block() for _ in range(3))
        self.b.cbranch(self.truth(self.expression(node.test)), then, otherwise)
        values, ends = [], []
        for block, part in ((then, node.body), (otherwise, node.orelse)):
            self.b.position_at_end(block)
            values.append(self.expression(part))
            ends.append(self.b.block)
        kind = self.common(*values)
        cast = []
        for end, value in zip(ends, values, strict=True):
            self.b.position_at_end(end)
            cast.append(self.cast(value, kind))
            self.b.branch(after)
        self.b.position_at_end(after)
        phi = self.b.phi(kind)
        for end, value in zip(ends, cast, strict=True):
            phi.add_incoming(value, end)
        return _Value(phi)

    def get_Call(self, node) -> _Value:
        name = node.func.id if isinstance(node.func, ast.Name) else self.fail(node)
        args = [self.expression(arg) for arg in node.args]
        if name in ("min", "max"):
            result = args[0]
            for other in args[1:]:
                result = self.extreme(name, result, other)
            return result
        if name == "abs":
            return self.extreme("max", args[0], self.operation(ast.Sub(), _Value(0), args[0], node))
        if name in ("f32", "f64", "int"):
            return _Value(self.cast(args[0], TYPES[name]))
        if name in BUILTINS:
            kind, emit = BUILTINS[name]
            return _Value(emit(self.unit.module, self.b, self.cast(args[0], kind)))
        called = self.python.__globals__.get(name)
        if called is None:
            self.fail(node)
        if hasattr(called, "writes_llvm"):
            result = called(self.unit.module, self.b, [a.value if not a.is_number else I64(a.value) for a in args])
            return _Value(0 if result is None else result)
        callee = self.unit.function(called)
        values = [self.cast(arg, kind.type) for arg, kind in zip(args, callee.ir.args, strict=True)]
        return _Value(self.b.call(callee.ir, values))

    def extreme(self, name: str, left: _Value, right: _Value) -> _Value:
        kind = self.common(left, right)
        a, b, sign = self.cast(left, kind), self.cast(right, kind), "<" if name == "min" else ">"
        first = self.b.fcmp_ordered(sign, a, b) if isinstance(kind, _REAL) else self.b.icmp_signed(sign, a, b)
        return _Value(self.b.select(first, a, b))


def _library(name: str, kind: ir.Type) -> tuple:
    """A function that LLVM knows: an instruction, or a call of the C library."""

    def emit(module, b, value):
        suffix = "f64" if kind == F64 else "f32"
        return b.call(declare(module, f"llvm.{name}.{suffix}", kind, [kind]), [value])

    return kind, emit


BUILTINS = {
    "exp": _library("exp", F64), "cos": _library("cos", F64), "sin": _library("sin", F64), "sqrt": _library("sqrt", F32),
}  # fmt: skip


def declare(module: ir.Module, name: str, result: ir.Type, args: list[ir.Type]) -> ir.Function:
    """A function outside the module, declared once."""
    known = module.globals.get(name)
    return known if known is not None else ir.Function(module, ir.FunctionType(result, args), name)


class _Unit:
    """One LLVM module with all functions that the entry points reach."""

    def __init__(self):
        self.module = ir.Module("fast_decoding")
        self.functions: dict[Callable, _Function] = {}

    def function(self, python: Callable) -> _Function:
        if python not in self.functions:
            if not hasattr(python, "kernel_flags"):
                raise KernelError(f"{python!r} is not a kernel.")
            self.functions[python] = _Function(self, python)
            self.functions[python].build()
        return self.functions[python]


class Program:
    """The compiled entry points, as attributes: functions of integers and of arrays made by `pack`. They run without Python's lock.

    Args:
        entries (list of functions): kernels, annotated under `from __future__ import annotations`. Functions with an attribute `writes_llvm`
            that they call are called while they are compiled, with `(module, builder, values)`, to write LLVM themselves; they may give a value.
        is_kept (`bool`): take the machine code of an earlier run, and keep it for later ones; for kernels beside this file only.

    Attributes:
        is_new (`bool`): whether it was compiled now.

    Raises:
        KernelError: if a kernel uses what the subset does not have.
    """

    def __init__(self, entries: list[Callable], is_kept: bool = False):
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        machine = _machine()
        key = _key(entries, machine) if is_kept else None
        code = kept(key) if key else None
        self.is_new = code is None
        if code is None:
            code = _compiled(_llvm_of(entries), machine)
            if key:
                keep(key, code)
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
        self._engine.add_object_file(binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        for entry in entries:
            kinds = dict(entry.__annotations__)
            result = _CTYPES[kinds.pop("return", "None")]
            address = self._engine.get_function_address(entry.__name__)
            if not address:
                raise KernelError(f"{entry.__name__} is missing in the machine code.")
            setattr(self, entry.__name__, ctypes.CFUNCTYPE(result, *(_CTYPES.get(k, ctypes.c_void_p) for k in kinds.values()))(address))


def converts_halves() -> bool:
    """Whether the processor has instructions that read float16."""
    if binding.get_default_triple().startswith(("aarch64", "arm64")):
        return True
    return "+f16c" in host()[1].split(",")


def host() -> tuple[str, str]:
    """Name and features of this processor, as LLVM writes them. Everything that depends on the processor asks here."""
    return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def _machine() -> Any:
    """LLVM's idea of this processor."""
    name, features = host()
    return binding.Target.from_default_triple().create_target_machine(cpu=name, features=features, opt=2)


def _key(entries: list[Callable], machine: Any) -> str:
    """The name of the machine code of these kernels for this processor."""
    versions = (importlib.metadata.version("llvmlite"), str(binding.llvm_version_info), sys.version)
    return key_of(*versions, machine.triple, *host(), *(entry.__name__ for entry in entries))


def _llvm_of(entries: list[Callable]) -> str:
    """Translates the entry points and all that they call to LLVM's text."""
    unit = _Unit()
    functions = [unit.function(entry) for entry in entries]
    for function in unit.functions.values():
        if function not in functions:
            function.ir.linkage = "internal"
    return str(unit.module)


def _compiled(text: str, machine: Any) -> bytes:
    """Parses and optimises LLVM's text, and writes it as an object file."""
    module = binding.parse_assembly(text)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


__all__ = ["BUILTINS", "KernelError", "Program", "converts_halves", "declare", "host", "kernel", "pack", "struct"]
