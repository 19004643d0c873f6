"""A batch of pieces that are being decoded, one token at a time for all rows, or as the fused loop goes.

`Rows` is what a loop in Python needs: logits from tokens, and where each piece stands in the music as numpy
arrays that are views of the engine's own memory, to read only.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from .library import EngineError, Library, Struct, code_of, load
from .weights import model_struct, package_of

# Fewer rows are not worth a thread of their own.
ROWS_A_THREAD = 2
_BAR_LENGTH = 3  # column of the meanings of tokens, `Meaning` in `music.hpp`
_MOST_ROWS, _MOST_TOKENS = 4096, 1 << 20
# What a row has by row, and of that what comes of reading tokens.
_AHEAD = ("ahead", "next", "ahead_states", "ahead_x", "ahead_logits")
_BY_ROWS = (
    *("ids", "length", "masked", "cached", "done", "state", "log", "memory", "seen", "keys", "values"),
    *_AHEAD,
)
_READ = ("cached", "state", "log", "memory", "keys", "values")


class Rows:
    """Pieces in one batch.

    Args:
        model (`MusicGPTForCausalLM`): in float32 on the CPU; its weights are read now.
        rows (`int`): how many pieces.
        max_length (`int`): tokens that a row may have.
        threads (`int`, *optional*): at most so many share the rows; torch's number if not given.

    Attributes:
        state (`numpy.ndarray` of shape `(rows,)`): records of where each row stands after its tokens;
            `state["ticks"]` is `(rows,)`, `state["pitch"]` `(rows, 8)`, by voice. Names are explained in
            `src/engine.hpp`. A view: it changes with `step`.
        ids (`numpy.ndarray` of shape `(rows, max_length)`): the tokens, as far as `length`; -1 at the
            padding. A view.
        length (`numpy.ndarray` of shape `(rows,)`): tokens in each row, padding among them. A view.

    Raises:
        EngineError: if the engine cannot run here, or does not take this model.

    Example:
        >>> rows = Rows(model, rows=16, max_length=1000)
        >>> logits = rows.step(np.tile([1, 4, 7], (16, 1)))  # (16, vocab)
        >>> logits = rows.step(logits.argmax(axis=1))
        >>> rows.state["bar_position"]  # (16,), ticks since the bar line
    """

    state: np.ndarray
    ids: np.ndarray
    length: np.ndarray

    batch: Struct

    def __init__(self, model: Any, rows: int, max_length: int, threads: int | None = None):
        self.library = load()
        self.library.check_constants(package_of(model))
        if not 1 <= rows <= _MOST_ROWS or not 1 <= max_length <= _MOST_TOKENS:
            raise EngineError(
                f"{rows} rows of {max_length} tokens: there can be {_MOST_ROWS} of {_MOST_TOKENS}"
            )
        self.m = model_struct(model, self.library)
        self.vocab, self.max_length, self.config = self.m.vocab, max_length, model.config
        grammar = getattr(model, "grammar", None)
        self.rules = rules_struct(
            self.library, code_of(package_of(model), "grammar_musicgpt"), self.m, max_length, grammar
        )
        self.batch = _batch(self.library, self.m, rows, max_length)
        self.threads = max(1, threads or torch.get_num_threads())
        self._divide()

    def _divide(self) -> None:
        """The rows in equal parts, one for each thread, with working memory of its own."""
        number = max(1, min(self.threads, self.rows // ROWS_A_THREAD))
        edges = [self.rows * i // number for i in range(number + 1)]
        self.parts = [
            (a, b, _work(self.library, self.m, b - a, self.batch.cache_room))
            for a, b in zip(edges[:-1], edges[1:], strict=True)
        ]
        self.state, self.ids, self.length = map(
            _read_only, (self.batch.state, self.batch.ids, self.batch.length)
        )

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.batch.rows

    def each_part(self, call: Any) -> list[int]:
        """`call(first, end, work)` for each part of the rows, in a thread of its own where there are
        several.
        """
        if len(self.parts) == 1:
            return [call(*self.parts[0])]
        return list(_pool(len(self.parts)).map(lambda part: call(*part), self.parts))

    def pointers(self, work: Struct, rules: Struct | None = None) -> tuple[int, int, int, int]:
        """What every function of the library begins with."""
        return self.m.pointer, (rules or self.rules).pointer, work.pointer, self.batch.pointer

    def start(self, ids: np.ndarray, hidden: np.ndarray | None = None) -> None:
        """Begins with prompts, without reading them yet.

        Args:
            ids (`numpy.ndarray` of shape `(rows, length)`): tokens, padded on the left.
            hidden (`numpy.ndarray` of shape `(rows,)`, *optional*): how many tokens of each row are padding.
        """
        self.batch.length[:] = self.batch.cached[:] = self.batch.masked[:] = self.batch.done[:] = 0
        self.batch.shared[0] = 0
        self.batch.ahead[:] = self.batch.next[:] = 0
        self.batch.state[:] = _first_states(self.library, self.m, 1)
        ids = self._checked(ids)
        if hidden is not None:
            fits = hidden.shape == (self.rows,) and hidden.dtype.kind in "iu"
            if not fits or hidden.min() < 0 or hidden.max() > ids.shape[1]:
                raise EngineError(
                    f"the padding must be {self.rows} numbers of tokens up to {ids.shape[1]}, not {hidden}"
                )
            self.batch.masked[:] = hidden
        self.batch.ids[:, : ids.shape[1]] = ids
        self.batch.ids[:, : ids.shape[1]][np.arange(ids.shape[1]) < self.batch.masked[:, None]] = -1
        self.batch.length[:] = ids.shape[1]

    def _checked(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens as `(rows, new)`."""
        tokens = np.asarray(tokens)
        tokens = tokens[:, None] if tokens.ndim == 1 else tokens
        if (
            tokens.ndim != 2
            or len(tokens) != self.rows
            or tokens.dtype.kind not in "iu"
            or tokens.shape[1] == 0
        ):
            raise EngineError(
                f"tokens must be integers of shape ({self.rows},) or ({self.rows}, new), not {tokens.dtype}"
                f" {tokens.shape}"
            )
        if tokens.min() < 0 or tokens.max() >= self.vocab:
            raise EngineError(
                f"tokens must be from 0 to {self.vocab - 1}, not {tokens.min()} to {tokens.max()}"
            )
        if tokens.shape[1] + int(self.batch.length.max()) > self.max_length:
            raise EngineError(
                f"{tokens.shape[1]} tokens more do not fit: a row has room for {self.max_length}"
            )
        return tokens

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Takes new tokens of all rows into states and caches.

        Args:
            tokens (`numpy.ndarray` of integers, `(rows,)` or `(rows, new)`): not longer than the room that is
                left.

        Returns:
            `numpy.ndarray` of shape `(rows, vocab)`, float32: the logits after the last of them.
        """
        tokens = self._checked(tokens)
        places = self.batch.length[:, None] + np.arange(tokens.shape[1])
        np.put_along_axis(self.batch.ids, places, tokens, axis=1)
        self.batch.length[:] += tokens.shape[1]
        return self.feed()

    def feed(self, keep: int = 0, learns: bool = False) -> np.ndarray:
        """Reads what stands in `ids` and is not in the caches yet, but the last `keep` tokens of each row;
        the logits as of `step`, which are those of nothing where `keep` is not 0.
        """
        logits = np.zeros((self.rows, self.vocab), dtype=np.float32)
        target = 0 if keep else logits.ctypes.data
        self.each_part(
            lambda first, end, work: self.library.feed(*self.pointers(work), first, end, keep, learns, target)
        )
        return logits

    def feed_one(self, keep: int = 0, learns: bool = False) -> None:
        """`feed` where all rows have the same tokens: the first row reads them. As many as fill whole blocks
        stay in its cache alone, where all rows look at them together.
        """
        self.library.feed(*self.pointers(self.parts[0][2]), 0, 1, keep, learns, 0)
        block, others = self.library.sizes["KEY_BLOCK"], np.arange(1, self.rows)
        self.batch.shared[0] = self.batch.cached[0] // block * block
        _copy(self.batch, np.zeros_like(others), self.batch, others, _READ)

    def crop(self, lengths: int | np.ndarray) -> None:
        """Takes rows back to their first tokens.

        Args:
            lengths (`int` or `numpy.ndarray` of shape `(rows,)`): tokens that stay, padding among them, in
                each row.
        """
        lengths = np.broadcast_to(np.asarray(lengths), (self.rows,))
        if (
            lengths.dtype.kind not in "iu"
            or (lengths > self.batch.length).any()
            or (lengths < self.batch.masked + self.batch.shared).any()
        ):
            raise EngineError(
                f"rows of {self.batch.length.tolist()} tokens cannot be cropped to {lengths.tolist()}"
            )
        for row, length in enumerate(lengths.tolist()):
            if length < self.batch.length[row]:
                self.library.replay(self.m.pointer, self.rules.pointer, self.batch.pointer, row, length)

    def select(self, rows: Sequence[int] | np.ndarray) -> None:
        """Makes these the rows, in this order: reorders, selects and repeats. Views that were taken before
        are of the old rows.

        Args:
            rows (sequence of `int`): numbers of present rows, each as often as wanted.
        """
        index = np.asarray(rows)
        if (
            index.ndim != 1
            or not 1 <= len(index) <= _MOST_ROWS
            or index.dtype.kind not in "iu"
            or index.min() < 0
            or index.max() >= self.rows
        ):
            raise EngineError(f"rows must be numbers from 0 to {self.rows - 1}, not {rows}")
        old, new = self.batch, _batch(self.library, self.m, len(index), self.max_length)
        common = new.shared[0] = old.shared[0]
        new.keys[0, :, :, : common // _KEYS] = old.keys[0, :, :, : common // _KEYS]
        new.values[0, :, :, :common] = old.values[0, :, :, :common]
        _copy(old, index, new, slice(None))
        self.batch = new
        self._divide()

    def take(self, other: Rows) -> None:
        """The first row has read what the first row of others, with as much room, has read, if its own tokens
        begin with that; to be called between `start` and reading.
        """
        read = int(other.batch.cached[0])
        fits = other.max_length == self.max_length and read < self.batch.length[0]
        fits &= not self.batch.masked[0] and not other.batch.masked[0]
        if fits and np.array_equal(other.batch.ids[0, :read], self.batch.ids[0, :read]):
            _copy(other.batch, np.zeros(1, dtype=np.int64), self.batch, np.zeros(1, dtype=np.int64), _READ)

    def copy(self, sources: np.ndarray, targets: np.ndarray) -> None:
        """Makes rows, `(n,)`, the same as others, `(n,)`, in place; no row is both source and target."""
        _copy(self.batch, sources, self.batch, targets)


def _copy(old: Struct, sources: Any, new: Struct, targets: Any, names: Sequence[str] = _BY_ROWS) -> None:
    """Copies rows of a batch into rows of another or the same one."""
    used = -(-int(old.cached.max()) // _KEYS) * _KEYS
    first = int(old.shared[0])
    # Of the caches only what is in use and not in common.
    room = {"keys": slice(first // _KEYS, used // _KEYS), "values": slice(first, used)}
    for name in names:
        source, target = getattr(old, name), getattr(new, name)
        if name in room:
            target[targets, :, :, room[name]] = source[sources, :, :, room[name]]
        else:
            target[targets] = source[sources]


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view for those outside: what stands in it indexes the engine's tables."""
    view = array.view()
    view.flags.writeable = False
    return view


_KEYS = 16  # keys in a block
_pools: dict[
    tuple[int, int], ThreadPoolExecutor
] = {}  # by process, as a fork does not take the threads along, and size
_pools_lock = threading.Lock()


def _pool(size: int) -> ThreadPoolExecutor:
    with _pools_lock:
        key = (os.getpid(), size)
        if key not in _pools:
            _pools[key] = ThreadPoolExecutor(size, thread_name_prefix="musicgpt-engine")
        return _pools[key]


def _first_states(library: Library, m: Struct, rows: int) -> np.ndarray:
    """Where rows stand before their first token."""
    state = np.zeros(rows, dtype=library.state)
    state["bar_ticks"] = state["bar_ticks_before"] = m.bar_ticks
    return state


def _sparse(*shape: int) -> np.ndarray:
    """Zeros, float32, of which only what is used takes memory. NumPy asks for huge pages, all of which a few
    tokens of each row and head touch, so that the system zeroes the whole.
    """
    memory = mmap.mmap(-1, 4 * math.prod(shape))
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages knows no such advice
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype=np.float32).reshape(shape)


def _batch(library: Library, m: Struct, rows: int, max_length: int) -> Struct:
    """A batch of empty rows. The system zeroes caches where they are first touched: room that is not used
    costs nothing.
    """
    sizes = library.sizes
    room = -(-max_length // sizes["KEY_BLOCK"]) * sizes["KEY_BLOCK"]
    places = sizes["GUESSES"] + 1
    # A note takes a NOTE and a VOICE at least.
    note_room = max_length // 2 + 1 if m.imitation is not None else 1
    return library.struct(
        "Batch",
        ids=np.zeros((rows, max_length), dtype=np.int64),
        length=np.zeros(rows, dtype=np.int64),
        masked=np.zeros(rows, dtype=np.int64),
        cached=np.zeros(rows, dtype=np.int64),
        done=np.zeros(rows, dtype=np.uint8),
        state=_first_states(library, m, rows),
        log=np.zeros((rows, note_room), dtype=library.note),
        seen=np.zeros((rows, m.vocab), dtype=np.uint8),
        memory=np.zeros((rows, sizes["NUM_TABLES"], sizes["TABLE_SIZE"]), dtype=np.int32),
        keys=_sparse(rows, m.num_layers, m.heads, room // _KEYS, m.dim, _KEYS),
        values=_sparse(rows, m.num_layers, m.heads, room, m.dim),
        shared=np.zeros(1, dtype=np.int64),
        ahead=np.zeros(rows, dtype=np.int64),
        next=np.zeros(rows, dtype=np.int64),
        ahead_states=np.zeros((rows, places), dtype=library.state),
        ahead_x=np.zeros((rows, places, m.hidden), dtype=np.float32),
        ahead_logits=np.zeros((rows, places, -(-m.vocab // 16) * 16), dtype=np.float32),
        room=max_length,
        note_room=note_room,
        cache_room=room,
        rows=rows,
    )


def _work(library: Library, m: Struct, rows: int, room: int) -> Struct:
    """Working memory of a thread for so many rows."""
    sizes, hidden = library.sizes, m.hidden
    tokens = max(rows * (sizes["GUESSES"] + 1), sizes["PASS"] + rows) + 8
    wide_vocab, widest = -(-m.vocab // 16) * 16, max(m.inner, hidden, m.voice_input)

    def floats(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype=np.float32)

    def ints(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype=np.int64)

    known = library.constants
    steps, scores = 2 * known["INTERVAL_MAX"] + 1, known["NUM_KINDS"] * (known["NUM_OFFSETS"] + 3)
    return library.struct(
        "Work",
        states=np.zeros(tokens, dtype=library.state),
        positions=ints(tokens),
        rows=ints(tokens),
        firsts=ints(tokens),
        counts=ints(tokens),
        wide=floats(tokens, max(3 * hidden, m.inner)),
        h=floats(tokens, hidden),
        x=floats(tokens, max(hidden, m.voice_input)),
        y=floats(tokens, hidden),
        angles=floats(tokens, m.dim),
        p=floats(4, room),
        logits=floats(tokens, wide_vocab),
        melodic=floats(m.voices * steps + 16),
        expected=ints(2 * m.voices + 4),
        imitation=floats(scores + 16),
        tile=floats(32, widest),
        scores=floats(m.vocab),
        sorted=floats(m.vocab),
        places=ints(max(m.vocab, 2 * m.num_notes)),
        allowed=np.zeros(m.vocab, dtype=np.uint8),
        statistics=ints(2),
    )


def rules_struct(
    library: Library, code: Any, m: Struct, max_length: int, grammar: Any = None, **how: Any
) -> Struct:
    """How a token is chosen; see `Rules` in `src/engine.hpp`.

    Args:
        code (module): `grammar_musicgpt` of the model's code.
        grammar (`Grammar`, *optional*): without one every token is legal.
        how: fields that are not as in greedy decoding without processors.

    Raises:
        EngineError: if a table is not what the kernels take.
    """
    state, one = code.STATE, np.zeros(1, dtype=np.int64)
    legal, after = np.ones((1, m.vocab), dtype=np.uint8), np.zeros((1, m.vocab), dtype=np.int64)
    if grammar is not None:
        legal = grammar.legal.numpy().astype(np.uint8)
        after = np.ascontiguousarray(grammar.next_state.numpy())
    values: dict[str, Any] = {
        "legal": legal,
        "next_state": after,
        "steps": one,
        "meters": one,
        "lengths": one,
        "costs": one,
        "begins_bar": np.zeros(m.vocab, np.uint8),
        "is_eos": np.zeros(m.vocab, dtype=np.uint8),
        "num_states": len(legal),
        "num_lengths": 0,
        "num_ticks": 0,
        "note_state": state["NOTE"],
        "end_state": state["END"],
        "time_1_state": state["TIME_1"],
        "time_last_state": state[f"TIME_{code.MAX_TIME_TOKENS}"],
        "eos": -1 if grammar is None or grammar.eos is None else grammar.eos,
        "ends": 1,
        "max_length": max_length,
        "min_length": 0,
        "use_grammar": 0,
        "use_bar_end": 0,
        "use_repetition": 0,
        "penalty": 1.0,
        "sample": 0,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        **how,
    }
    shape = (values["num_states"], m.vocab)
    after, eos = values["next_state"], values["eos"]
    if (
        legal.shape != shape
        or after.shape != shape
        or after.min() < 0
        or after.max() >= len(legal)
        or not -1 <= eos < m.vocab
    ):
        raise EngineError(f"the grammar has tables of {legal.shape} and {after.shape}, not {shape}")
    if values["use_bar_end"]:
        _check_costs(values, m, library.constants["NUM_BAR_POSITIONS"])
    return library.struct("Rules", **values)


def _check_costs(values: dict[str, Any], m: Struct, positions: int) -> None:
    """The tables of `ClosingCosts` are indexed by what other tables hold, and by the tick in the bar."""
    longest = max(m.bar_ticks, int(m.meanings[:, _BAR_LENGTH].max()))
    lengths, costs, steps, meters = (values[name] for name in ("lengths", "costs", "steps", "meters"))
    shape = (2, values["num_lengths"], values["num_states"], values["num_ticks"])
    fits = (
        costs.shape == shape
        and steps.shape == meters.shape == (m.vocab,)
        and lengths.shape == shape[1:2]
        and len(lengths) > 0
        and values["begins_bar"].shape == values["is_eos"].shape == (m.vocab,)
        and min(longest, positions) <= shape[3]
    )
    if (
        not fits
        or lengths.min() < 1
        or lengths.max() > shape[3]
        or steps.min() < 0
        or meters.min() < -1
        or meters.max() >= len(lengths)
    ):
        raise EngineError(
            f"the costs of closing have tables of {costs.shape}, {steps.shape}, {meters.shape},"
            f" {lengths.shape}, where bars have {longest} ticks"
        )
