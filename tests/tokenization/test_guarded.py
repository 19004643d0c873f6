"""A process of its own for what strangers send: memory, time and death are each one named error."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tokenization import MusicGPTError, ScoreReadError, guarded
from tokenization.guarded import (
    GuardedProcess,
    Limits,
    MemoryLimitError,
    TimeLimitError,
    WorkerDiedError,
    WorkerHungError,
    WorkError,
)


def refuse() -> None:
    """Fail as a reader does."""
    raise ScoreReadError("no score")


def work_for_ever() -> None:
    """Use the processor without an end."""
    while True:
        pass


def allocate(megabytes: int) -> int:
    """Use memory, and give it back."""
    return len(b"\1" * (megabytes * 2**20))


def fill_to_the_last_byte() -> None:
    """Use memory in ever smaller pieces until not even the smallest is left."""
    kept: list[object] = []
    size = 2**24
    while True:
        try:
            kept.append(bytearray(size))
        except MemoryError:
            if size == 16:
                raise
            size //= 2


class Unsendable(Exception):
    """An error of a library that cannot be made anew from its arguments."""

    def __init__(self, a: int, b: int):
        super().__init__(f"{a} {b}")


def fail_unsendably() -> None:
    """Fail in a way that cannot be sent."""
    raise Unsendable(1, 2)


@pytest.fixture
def process() -> Iterator[GuardedProcess]:
    process = GuardedProcess()
    yield process
    process.close()


def test_results_and_errors_come_back_and_the_process_stays(process):
    assert process.run(abs, -3) == 3
    with pytest.raises(ScoreReadError, match="no score") as caught:
        process.run(refuse)
    # the place of an error in the other process is kept
    assert "in refuse" in "".join(caught.value.__notes__)
    with pytest.raises(WorkError, match="Unexpected Unsendable: 1 2"):
        process.run(fail_unsendably)
    assert process.run(os.getpid) == process.pid != os.getpid()


def test_memory_is_limited_and_counts_anew_for_each_work(process):
    limits = Limits(megabytes=64)
    for _ in range(3):
        assert process.run(allocate, 40, limits=limits) == 40 * 2**20
    with pytest.raises(MemoryLimitError, match="more than 64 MB"):
        process.run(allocate, 80, limits=limits)
    assert not process.alive
    other = GuardedProcess()
    with pytest.raises(MemoryLimitError, match="more than 64 MB"):
        other.run(fill_to_the_last_byte, limits=limits)


def test_processor_time_is_limited(process):
    with pytest.raises(TimeLimitError, match="1 seconds of processor time") as caught:
        process.run(work_for_ever, limits=Limits(seconds=60, cpu_seconds=1))
    assert not isinstance(caught.value, WorkerHungError)


def test_who_uses_no_processor_time_hangs(process, monkeypatch):
    with pytest.raises(WorkerHungError, match=r"0\.3 seconds"):
        process.run(time.sleep, 30, limits=Limits(seconds=0.3))
    other = GuardedProcess()
    other.run(abs, -3)
    os.kill(other.pid, signal.SIGSTOP)
    monkeypatch.setattr(guarded, "TAKE_UP_SECONDS", 0.3)
    with pytest.raises(WorkerHungError):
        other.run(abs, -3)
    assert not other.alive


@pytest.mark.parametrize("way", ["exit", "signal"])
def test_death_is_named(process, way):
    with pytest.raises(WorkerDiedError, match=r"exit code 7" if way == "exit" else r"exit code -11"):
        process.run(*((os._exit, 7) if way == "exit" else (os.kill, process.pid, signal.SIGSEGV)))
    assert not process.alive


def test_all_errors_are_for_users():
    assert all(issubclass(e, MusicGPTError) for e in (MemoryLimitError, TimeLimitError, WorkerDiedError))
