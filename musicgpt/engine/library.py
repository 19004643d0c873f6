"""The engine's library: found, held against the model's code, and its structs as numpy arrays.

Structs and constants are listed once, in `src/engine.hpp`; the library describes them, and this file reads
the description.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .build import LIBRARY, BuildError, build, is_current

_DTYPES = {
    "f32": np.float32,
    "f64": np.float64,
    "u8": np.uint8,
    "u16": np.uint16,
    "i32": np.int32,
    "i64": np.int64,
}
_WORD = 8  # bytes of a field of a struct


class EngineError(RuntimeError):
    """The engine cannot be used, or was given what it does not take; the message says why."""


class Struct:
    """A struct of the engine with the arrays that it points to, which it keeps alive; they are read as
    attributes.

    Args:
        name (`str`): in `src/engine.hpp`.
        fields (`list[tuple[str, str]]`): type and name of each field.
        values: by name. An array for each pointer, of its type and contiguous, or `None`; a number for each
            other field.

    Attributes:
        pointer (`int`): to pass to a function of the library.

    Raises:
        EngineError: if a field is missing, unknown, or not of its type.
    """

    def __init__(self, name: str, fields: list[tuple[str, str]], values: dict[str, Any]):
        if {name for _, name in fields} != set(values):
            raise EngineError(f"{name} has fields {[n for _, n in fields]}, not {list(values)}")
        self.__dict__.update(values)  # no field is called `words` or `pointer`
        self.words = np.zeros(len(fields), dtype=np.int64)
        for i, (kind, field) in enumerate(fields):
            value = values[field]
            if kind == "f64":
                self.words.view(np.float64)[i] = value
            elif kind == "i64":
                self.words[i] = int(value)
            elif value is not None:
                self.words[i] = self._address(f"{name}.{field}", kind.removesuffix("*"), value)
        self.pointer = self.words.ctypes.data

    if TYPE_CHECKING:  # the fields

        def __getattr__(self, name: str) -> Any: ...

    @staticmethod
    def _address(field: str, kind: str, array: Any) -> int:
        allowed = ("f32", "u16") if kind == "any" else (kind,)
        # A pointer to i64 may be one to records of them, as the states are.
        dtypes = [np.dtype(_DTYPES[k]) for k in allowed]
        if not isinstance(array, np.ndarray) or not (
            array.dtype in dtypes or (kind == "i64" and array.dtype.names is not None)
        ):
            raise EngineError(
                f"{field} must be an array of {' or '.join(allowed)}, not"
                f" {getattr(array, 'dtype', type(array))}"
            )
        if not array.flags.c_contiguous or not array.flags.aligned:
            raise EngineError(f"{field} must be contiguous")
        return array.ctypes.data


class Library:
    """The loaded library.

    Args:
        path (`pathlib.Path`): the file.
        level (`str`, *optional*): the level of instructions; the best that this processor runs if not given.

    Attributes:
        level (`str`): the level in use. levels (`list[str]`): those that this processor runs, the best first.
        sizes, constants (`dict[str, int]`): the engine's own, and those that the model's code has, too.
        state, note (`numpy.dtype`): of one row of the states, and of the log of notes.

    Raises:
        EngineError: if it is not there, is of other sources, or does not run here.
    """

    def __init__(self, path: Path = LIBRARY, level: str | None = None):
        try:
            # Before it is loaded: a second library of the same name would not be, in this process.
            if not is_current(path):
                raise EngineError(
                    "its library is damaged or was built of other sources; run `python -m"
                    " musicgpt.engine.build`"
                )
            self._cdll = ctypes.CDLL(str(path))
            describe, functions, levels = (
                getattr(self._cdll, f"musicgpt_{n}") for n in ("describe", "functions", "level")
            )
        except (OSError, AttributeError) as error:
            raise EngineError(f"its library cannot be loaded: {error}") from error
        describe.argtypes, describe.restype = [ctypes.c_char_p], ctypes.c_char_p
        functions.argtypes, functions.restype = [ctypes.c_char_p], ctypes.POINTER(ctypes.c_void_p)
        levels.argtypes, levels.restype = [ctypes.c_int64], ctypes.c_char_p
        self._describe = describe
        self.levels = [levels(i).decode() for i in range(8) if levels(i)]
        if level is not None and level not in self.levels:
            raise EngineError(f"this processor has no level {level!r}, only {', '.join(self.levels)}")
        self.level = level or self.levels[0]
        self.constants, self.sizes = self._numbers("constants"), self._numbers("sizes")
        self.state, self.note = self._record("State"), self._record("Note")
        table = functions(self.level.encode())
        for i, (name, count) in enumerate(self._numbers("functions").items()):
            kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)  # lets go of the GIL
            setattr(self, name, kind(table[i]))

    if TYPE_CHECKING:  # the functions

        def __getattr__(self, name: str) -> Any: ...

    def _text(self, what: str) -> str:
        return self._describe(what.encode()).decode()

    def _numbers(self, what: str) -> dict[str, int]:
        return {name: int(value) for name, value in re.findall(r"(\w+)=\(?(-?\d+)\)?;", self._text(what))}

    def _record(self, name: str) -> np.dtype:
        known = {**self.constants, **self.sizes}
        fields: list[tuple] = []
        for field, size in re.findall(r"i64 (\w+)(?:\[(\w+)\])?;", self._text(name)):
            fields.append((field, np.int64, (known.get(size) or int(size),)) if size else (field, np.int64))
        return np.dtype(fields)

    def struct(self, name: str, **values: Any) -> Struct:
        """A struct of the engine; see `Struct`."""
        return Struct(name, re.findall(r"([\w*]+) (\w+);", self._text(name)), values)

    def check_constants(self, package: str) -> None:
        """Holds the constants of the library against those of the model's code.

        Args:
            package (`str`): name of the package that holds the model's code, which was imported from there.

        Raises:
            EngineError: if one differs.
        """
        state, imitation, closing = (
            code_of(package, f"{n}_musicgpt") for n in ("musical_state", "imitation", "bar_end")
        )
        (short, short_limit), (long, long_limit) = code_of(package, "repetition_musicgpt").WINDOWS
        theirs = {
            "DURATION_BASE": state.DURATION_BASE,
            "INTERVAL_BASE": state.INTERVAL_BASE,
            "MOTIF_GAP_MAX": state.MOTIF_GAP_MAX,
            "NUM_WISHES": len(state.WISHES),
            "NUM_OFFSETS": len(imitation.OFFSETS),
            "FIRST_OFFSET": imitation.OFFSETS[0],
            "SHORT_WINDOW": short,
            "SHORT_LIMIT": short_limit,
            "LONG_WINDOW": long,
            "LONG_LIMIT": long_limit,
        }
        for name, value in self.constants.items():
            homes = [module for module in (imitation, state, closing) if hasattr(module, name)]
            wanted = theirs.get(name, getattr(homes[0], name) if homes else None)
            if wanted != value:
                raise EngineError(f"the model's code has {name} = {wanted}, the engine {value}")
        if imitation.MATCHES != (8, 5, 3, 2) or tuple(imitation.OFFSETS) != tuple(
            range(imitation.OFFSETS[0], imitation.OFFSETS[-1] + 1)
        ):
            raise EngineError("the model's code looks for other agreements than the engine")


def code_of(package: str, name: str) -> ModuleType:
    """A module of the model's code: of the installed package, or the file of an exported folder in which it
    stands.
    """
    try:
        return import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{package}.{name}":
            raise
        from ..hub_model import model_file

        return import_module(f"{package}.{model_file(name)}")


_lock = threading.Lock()
_loaded: Library | EngineError | None = None


def load() -> Library:
    """The library, loaded once. In a checkout or a copy of it it is built where it is missing or older than
    its sources (some seconds); an installed package has it from its installation. `MUSICGPT_ENGINE=off`
    leaves it alone; `MUSICGPT_ENGINE=<level>` takes another level of instructions.

    Raises:
        EngineError: if it cannot be used; the same each time.
    """
    global _loaded
    with _lock:
        if _loaded is None:
            try:
                _loaded = _load()
            except EngineError as error:
                _loaded = error
    if isinstance(_loaded, EngineError):
        raise _loaded
    return _loaded


def _load() -> Library:
    wanted = os.environ.get("MUSICGPT_ENGINE") or None
    if wanted == "off":
        raise EngineError("MUSICGPT_ENGINE is off")
    is_installed = any(Path(__file__).resolve().parents[2].glob("musicgpt_wtc-*.dist-info"))
    try:
        if not LIBRARY.is_file():
            raise EngineError(
                "its library was not built when the package was installed; run `python -m"
                " musicgpt.engine.build`"
            )
        return Library(LIBRARY, wanted)
    except EngineError as error:
        if is_installed:
            raise
        try:
            build()
        except (BuildError, OSError) as failure:
            raise EngineError(str(failure)) from error
        return Library(LIBRARY, wanted)
