"""Processes beside the server: synthesis, engraving and the reading of uploads hold the interpreter's lock or
may crash.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tokenization.guarded import USUAL, GuardedProcess, Limits, WorkerDiedError, WorkerHungError

from .turns import BusyError

Result = TypeVar("Result")
# How long work waits for a free process before its visitor is told that the server is busy.
WAIT_SECONDS = 180.0


def _warm() -> None:
    """Load in a fresh process what its first piece of work would otherwise wait for."""
    from space import rendering

    rendering.load_libraries()


class Workers:
    """A few guarded processes; what takes one of them down reaches nobody else's work, and another takes its
    place.

    Args:
        processes (`int`): how many; two serve the two halves of a finished piece (sound; score, picture and
            figures) at once.

    Attributes:
        processes (`int`): as given.
        replaced (`int`): how many processes died, hung or came to a limit until now.
    """

    def __init__(self, processes: int = 2):
        self.processes = processes
        self.replaced = 0
        # Whoever takes a process out may use it; `None` stands for one that is made when it is needed. The
        # one that worked last comes first: its libraries are loaded.
        self._free: queue.LifoQueue[GuardedProcess | None] = queue.LifoQueue()
        for _ in range(processes):
            self._free.put(None)
        self._all: set[GuardedProcess] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start all processes and load their libraries, without waiting for them."""
        for _ in range(self.processes):
            threading.Thread(target=self._start_one, name="warm", daemon=True).start()

    def _start_one(self) -> None:
        # a server that ends at once ends its workers while they start
        with contextlib.suppress(WorkerDiedError, BusyError):
            self.run(_warm)

    @property
    def alive(self) -> int:
        """How many processes live; those that nobody has needed yet are not counted."""
        with self._lock:
            return sum(process.alive for process in self._all)

    def run(self, work: Callable[..., Result], *arguments: Any, limits: Limits = USUAL) -> Result:
        """The result of `work(*arguments)`, computed in one of the processes.

        A process that dies or hangs is replaced, and the work is tried once more: it may have been struck by
        chance.

        Args:
            limits (`Limits`): what the work may take; they count from when a process is free.

        Raises:
            WorkError: when the work came to its limit of memory or processor time, or has lost two processes.
            BusyError: when no process was free for `WAIT_SECONDS`.
            Exception: whatever `work` raises.
        """
        try:
            process = self._free.get(timeout=WAIT_SECONDS)
        except queue.Empty as error:
            raise BusyError(
                "The server has more to do than it can; please try again in a few minutes."
            ) from error
        try:
            for attempt in (1, 2):
                process = self._living(process)
                try:
                    return process.run(work, *arguments, limits=limits)
                except (WorkerDiedError, WorkerHungError):
                    if attempt == 2 or self._closed:
                        raise
        finally:
            self._free.put(process)
        raise AssertionError("unreachable")

    def _living(self, process: GuardedProcess | None) -> GuardedProcess:
        """The process, or a new one in its place."""
        if process is not None and process.alive:
            return process
        with self._lock:
            if self._closed:
                raise BusyError("The server is being shut down.")
            if process is not None:
                self.replaced += 1
                self._all.discard(process)
                process.close()
            fresh = GuardedProcess()
            self._all.add(fresh)
        return fresh

    def close(self) -> None:
        """End all processes; work that is under way ends with them."""
        with self._lock:
            self._closed = True
            for process in self._all:
                process.kill()
            self._all.clear()
