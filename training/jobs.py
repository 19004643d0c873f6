"""Long pieces of work beside each other, each in a process that does not outlive the one that began it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

from .errors import TrainingError


class Jobs:
    """At most so many pieces of work at once.

    Args:
        count (`int`): with 1 the work is done in this process, when it is started.
    """

    def __init__(self, count: int):
        self.count = count
        self.running: dict[str, Any] = {}
        self._done: list[str] = []

    @property
    def full(self) -> bool:
        """Whether nothing more may be started now."""
        return len(self.running) + len(self._done) >= self.count

    def start(self, name: str, work: Callable[..., Any], *args: Any) -> None:
        """Begin some work, whose arguments can be sent to another process."""
        if self.count == 1:
            work(*args)
            self._done.append(name)
            return
        threads = max(1, (os.cpu_count() or 1) // self.count)
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(os.getpid(), threads, work, args), name=name
        )
        process.start()
        self.running[name] = process

    def finished(self) -> list[str]:
        """Wait until something ended; its names.

        Raises:
            TrainingError: if one ended otherwise than well; what it had to say it has said itself.
        """
        if self._done:
            done, self._done = self._done, []
            return done
        wait([process.sentinel for process in self.running.values()])
        names = [name for name, process in self.running.items() if not process.is_alive()]
        for name in names:
            code = self.running.pop(name).exitcode
            if code:
                raise TrainingError(
                    f"Step {name!r} ended with code {code}; the same command goes on from there."
                )
        return names

    def end(self) -> None:
        """Ask all that still runs to save and end, and wait for it."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.join()


def _work(parent: int, threads: int, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    import torch

    from tokenization.errors import MusicGPTError
    from tokenization.interruption import interruptible

    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C is for the parent, which asks once: a second signal would not save
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)

    def code() -> int:
        try:
            work(*args)
        except MusicGPTError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0

    sys.exit(interruptible(code))


def _end_with(parent: int) -> None:
    """A process that was killed cannot end what it began, and two must not write into one folder."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
