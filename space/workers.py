"""Processes beside the server: synthesis, engraving and the reading of uploads hold the interpreter's lock or may crash."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tokenization.errors import MusicGPTError

Result = TypeVar("Result")


class WorkError(MusicGPTError):
    """Work in a process beside the server took too long or took its process down."""


def _end_with_parent() -> None:
    """Run in a fresh process: end it when the server ends, however that happens (a killed server cannot tell its workers)."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(0)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def _warm() -> None:
    """Load in a fresh process what its first piece of work would otherwise wait for."""
    from space import rendering

    rendering.load_libraries()


class Workers:
    """A small pool of spawned processes that survives the death of its members.

    Args:
        processes (`int`): how many; two serve the two halves of a finished piece (sound; score, picture and figures) at once.
    """

    def __init__(self, processes: int = 2):
        self._processes = processes
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> None:
        """Start all processes and load their libraries, without waiting for them."""
        for _ in range(self._processes):
            self._submit(_warm)

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> tuple[ProcessPoolExecutor, Future]:
        with self._lock:
            if self._pool is None:
                # Spawned, not forked: the server has threads, and libraries with locks that a fork would copy held.
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self._processes, mp_context=context, initializer=_end_with_parent)
            return self._pool, self._pool.submit(work, *arguments)

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)

    def run(self, work: Callable[..., Result], *arguments: Any, timeout: float = 60.0) -> Result:
        """The result of `work(*arguments)`, computed in one of the processes.

        A process that dies is replaced; the work is then tried once more, as it may have died of another visitor's work.

        Raises:
            WorkError: after `timeout` seconds, or when the work has taken two processes down.
            Exception: whatever `work` raises.
        """
        for attempt in (1, 2):
            pool, future = self._submit(work, *arguments)
            try:
                return future.result(timeout)
            except FutureTimeout as error:
                self._discard(pool)
                raise WorkError(f"That took longer than {timeout:.0f} seconds and was given up; try a shorter piece.") from error
            except BrokenProcessPool as error:
                self._discard(pool)
                if attempt == 2:
                    raise WorkError("That file or piece could not be processed; it may be damaged.") from error
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            pool = self._pool
        if pool is not None:
            self._discard(pool)
