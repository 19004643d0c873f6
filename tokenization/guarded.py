"""Work in a process of its own with limits of memory and time: what strangers send may take it down, and
nothing else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import MusicGPTError

try:
    import resource
except ImportError:  # Windows has no such limits; there the limit of time alone holds
    resource = None  # type: ignore[assignment]

Result = TypeVar("Result")
# Seconds in which a fresh process must be there (it imports what its first work needs only then), and in
# which one that is there must take up its work: one that does not hangs.
START_SECONDS = 60.0
TAKE_UP_SECONDS = 10.0


class WorkError(MusicGPTError):
    """Work in a guarded process did not come to its end."""


class MemoryLimitError(WorkError):
    """The work wanted more memory than it may have."""


class TimeLimitError(WorkError):
    """The work took longer, by the clock or the processor, than it may."""


class WorkerDiedError(WorkError):
    """The process died of its work, or was killed."""


class WorkerHungError(TimeLimitError):
    """The process did not take up its work, or used up its time without working."""


@dataclass(frozen=True)
class Limits:
    """What one piece of work may take.

    Attributes:
        seconds (`float`): by the clock.
        cpu_seconds (`int`): of processor time, all threads together; less than `seconds`, so that what works
            too long and what hangs can be told apart.
        megabytes (`int`): of address space beyond what the process has when the work begins.
    """

    seconds: float = 60.0
    cpu_seconds: int = 45
    megabytes: int = 1024


USUAL = Limits()


def _address_space() -> int:
    """Bytes of address space that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _set_soft(kind: int, value: int) -> None:
    """Set a soft limit, which can be raised again, never above the hard one that somebody else set."""
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def limit_this_process(cpu_seconds: int, megabytes: int) -> None:
    """Bound what this process takes from now on; beyond the memory `MemoryError` is raised, beyond the time
    it ends.

    Does nothing where the system has no such limits (Windows); memory is not bounded on macOS.
    """
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    # One second more than asked for: the limit counts whole seconds.
    _set_soft(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + cpu_seconds + 1)
    if os.path.exists("/proc/self/statm"):
        _set_soft(resource.RLIMIT_AS, _address_space() + megabytes * 2**20)


def _lift_memory_limit() -> None:
    """Let this process answer: at its limit even the error cannot be written down."""
    if resource is not None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _end_with_parent() -> None:
    """End this process when its parent ends, however that happens: a killed server cannot tell its
    workers.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(0)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def _answer(job: bytes) -> bytes:
    """Do the work; `("result" | "error", value)` as it is sent back."""
    reserve = bytearray(2**20)
    try:
        limits, work, arguments = pickle.loads(job)
        limit_this_process(limits.cpu_seconds, limits.megabytes)
        try:
            result = work(*arguments)
        finally:
            del reserve  # for the lines that lift the limit
            _lift_memory_limit()
        return pickle.dumps(("result", result))
    except MemoryError:
        return pickle.dumps(("memory", None))
    except Exception as error:
        error.add_note("In the guarded process:\n" + traceback.format_exc())
        try:
            answer = pickle.dumps(("error", error))
            pickle.loads(answer)  # not every error of a library can be made anew from its arguments
            return answer
        except Exception:
            return pickle.dumps(
                ("error", WorkError(f"Unexpected {type(error).__name__}: {str(error)[:200]}"))
            )


def _serve(pipe: Any) -> None:
    """What a guarded process does: take up work, do it, answer; until its pipe is closed."""
    # Ctrl-C reaches the whole group; the parent ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if resource is not None:
        _set_soft(resource.RLIMIT_CORE, 0)
    _end_with_parent()
    pipe.send_bytes(b"here")
    with contextlib.suppress(EOFError, OSError):
        while True:
            job = pipe.recv_bytes()
            pipe.send_bytes(b"taken up")
            pipe.send_bytes(_answer(job))


class GuardedProcess:
    """One process that does one piece of work after the other, each within limits. Not for several threads at
    once.

    It is spawned, not forked: a server has threads, and libraries with locks that a fork would copy held.
    After a `WorkError` it is gone and another one must be made.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="guarded", daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self._here = False

    @property
    def pid(self) -> int | None:
        """Its number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def run(self, work: Callable[..., Result], *arguments: Any, limits: Limits = USUAL) -> Result:
        """The result of `work(*arguments)`; work, arguments and result are sent through a pipe.

        Raises:
            MemoryLimitError, TimeLimitError, WorkerDiedError, WorkerHungError: naming the limit; the process
                is gone then.
            Exception: whatever `work` raises; the process goes on.
        """
        try:
            with self._within(START_SECONDS if not self._here else TAKE_UP_SECONDS, limits):
                self._pipe.send_bytes(pickle.dumps((limits, work, arguments)))
                if not self._here:
                    self._pipe.recv_bytes()
                    self._here = True
                self._pipe.recv_bytes()
            with self._within(limits.seconds, limits):
                kind, value = pickle.loads(self._pipe.recv_bytes())
        except WorkError:
            self.close()
            raise
        if kind == "error":
            raise value
        if kind == "memory":
            self.close()  # what is left of its memory may be in pieces
            raise MemoryLimitError(
                f"That needed more than {limits.megabytes:,} MB of memory and was given up; it is probably no"
                " score, or one far too large: try a shorter one."
            )
        return value

    @contextlib.contextmanager
    def _within(self, seconds: float, limits: Limits) -> Iterator[None]:
        """Kill the process after so many seconds: whatever is read from or written to its pipe then ends,
        too.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            yield
        except (EOFError, OSError) as error:
            self._process.join(5)
            if late.is_set():
                raise WorkerHungError(_too_long(seconds)) from error
            if self._process.exitcode == -getattr(signal, "SIGXCPU", 0):
                raise TimeLimitError(_too_long(limits.cpu_seconds, " of processor time")) from error
            raise WorkerDiedError(
                f"The process that worked on it died (exit code {self._process.exitcode}): "
                "the file or piece may be damaged, or the machine short of memory."
            ) from error
        finally:
            timer.cancel()

    def kill(self) -> None:
        """End the process; from any thread. Work that is under way raises `WorkerDiedError` in its own."""
        self._process.kill()

    def close(self) -> None:
        """End the process and close what leads to it."""
        self.kill()
        self._process.join(5)
        self._pipe.close()


def _too_long(seconds: float, of_what: str = "") -> str:
    return f"That took longer than {seconds:g} seconds{of_what} and was given up; try a shorter piece."
