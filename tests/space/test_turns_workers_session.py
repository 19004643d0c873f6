"""Whose turn it is, what happens when a process dies, and what is remembered of a visitor."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from space import cli
from space.session import KEPT_MADE, KEPT_SECONDS, LOCK, Candidate, Folders, Session, Take, sweep_dead_servers
from space.turns import BusyError, Calls, Turns
from space.workers import Workers
from tokenization import Score, guarded
from tokenization.guarded import Limits, TimeLimitError, WorkerDiedError


def test_turns_come_in_order_and_only_one_at_a_time():
    turns, order, inside = Turns(), [], []
    started = [threading.Event() for _ in range(5)]

    def visit(i):
        with turns.waiting() as in_front:
            started[i].set()
            while in_front(0.02):
                pass
            inside.append(i)
            assert inside == [i]
            order.append(i)
            time.sleep(0.01)
            inside.remove(i)

    with turns.waiting() as in_front:
        assert in_front(0) == 0
        threads = [threading.Thread(target=visit, args=(i,)) for i in range(5)]
        for i, thread in enumerate(threads):
            thread.start()
            assert started[i].wait(5)
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2, 3, 4]
    assert len(turns) == 0


def test_who_gives_up_leaves_the_queue():
    turns = Turns()
    with turns.waiting():
        with turns.waiting() as second:
            assert second(0) == 1
        with turns.waiting() as third:
            assert third(0) == 1


def test_too_many_are_turned_away():
    turns = Turns(most_waiting=1)
    with turns.waiting(), turns.waiting(), pytest.raises(BusyError, match="try again"), turns.waiting():
        pass
    with turns.waiting() as in_front:
        assert in_front(0) == 0


def test_nobody_fills_the_queue_alone():
    calls = Calls(most_each=2)
    with calls.of("a"), calls.of("a"):
        with pytest.raises(BusyError, match="2 of your calls"), calls.of("a"):
            pass
        with calls.of("b"):
            pass
    with calls.of("a"), calls.of("a"):
        pass


def die_once(path: str) -> str:
    """Take the process down the first time, as a crash in a library would."""
    if not os.path.exists(path):
        with open(path, "w"):
            os._exit(3)
    return "done"


@pytest.fixture
def workers() -> Iterator[Workers]:
    """One process, so that what strikes it strikes the next work."""
    workers = Workers(1)
    yield workers
    workers.close()


def test_a_process_that_was_killed_or_hangs_while_idle_is_replaced(workers, monkeypatch):
    monkeypatch.setattr(guarded, "TAKE_UP_SECONDS", 0.5)
    first = workers.run(os.getpid)
    assert workers.run(os.getpid) == first
    os.kill(first, signal.SIGKILL)
    second = workers.run(os.getpid)
    os.kill(second, signal.SIGSTOP)
    third = workers.run(os.getpid)
    assert len({first, second, third}) == 3
    assert (workers.replaced, workers.alive) == (2, 1)


def test_work_that_was_struck_is_tried_once_more(workers, tmp_path):
    assert workers.run(die_once, str(tmp_path / "been")) == "done"
    with pytest.raises(WorkerDiedError, match="damaged"):
        workers.run(os._exit, 1)
    with pytest.raises(TimeLimitError, match=r"longer than 0\.5 seconds"):
        workers.run(time.sleep, 30, limits=Limits(seconds=0.5))
    assert workers.run(abs, -3) == 3
    assert workers.replaced == 5


def test_work_is_refused_when_no_process_gets_free_or_the_server_ends(workers, monkeypatch):
    monkeypatch.setattr("space.workers.WAIT_SECONDS", 0.1)
    ends: list[Exception] = []

    def wait_long() -> None:
        try:
            workers.run(time.sleep, 60)
        except WorkerDiedError as error:
            ends.append(error)

    long = threading.Thread(target=wait_long)
    long.start()
    with pytest.raises(BusyError, match="more to do"):
        while True:  # until the other thread has the process
            workers.run(abs, -3)
    workers.close()
    long.join(10)
    assert len(ends) == 1
    with pytest.raises(BusyError, match="shut down"):
        workers.run(abs, -3)


def test_folders_are_private_swept_and_kept(tmp_path):
    folders = Folders(tmp_path / "root")
    kept, old, new = folders.keep("welcome"), folders.new(), folders.new()
    assert len({old.name, new.name}) == 2
    assert len(old.name) == 32
    assert old.stat().st_mode & 0o077 == 0
    for path in (kept, old):
        os.utime(path, (1, 1))
    assert folders.sweep() == 1
    assert (kept.exists(), old.exists(), new.exists()) == (True, False, True)
    session = Session()
    gone = session.folder(folders)
    gone.rmdir()
    assert session.folder(folders) != gone
    session.close()
    folders.close()
    assert not (tmp_path / "root").exists()


def written(folder: Path, name: str, size: int, age: float) -> Path:
    """A file of so many bytes, last written so many seconds ago."""
    path = folder / name
    path.write_bytes(b"\0" * size)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_quotas_of_the_disk_take_the_oldest_files(tmp_path):
    folders = Folders(tmp_path / "base", visitor_bytes=250, all_bytes=500)
    first, second = Session(visitor="a"), Session(visitor="a")
    files = [written(first.folder(folders), f"{i}", 100, 90 - i) for i in range(2)]
    files += [written(second.folder(folders), "2", 100, 50)]
    others = written(Session(visitor="b").folder(folders), "3", 200, 99)
    assert [path.exists() for path in files] == [True] * 3
    second.folder(folders)  # whoever goes on makes room first
    assert [path.exists() for path in (*files, others)] == [False, True, True, True]
    kept, upload = written(folders.keep("welcome"), "w", 400, 200), written(folders.uploads, "u", 200, 70)
    folders.sweep()
    assert [path.exists() for path in (*files[1:], others, kept, upload)] == [True, True, False, True, True]
    assert folders.bytes() == 800
    old = written(folders.uploads, "old", 1, KEPT_SECONDS + 60)
    folders.sweep()
    assert (upload.exists(), old.exists()) == (True, False)
    folders.close()


def test_what_killed_servers_left_is_swept_and_what_lives_is_not(tmp_path):
    left, young, living, ancient, recent = (tmp_path / f"musicgpt-space-{name}" for name in "abcde")
    dead = (
        "from space.session import Folders; import os, pathlib, sys; Folders(pathlib.Path(sys.argv[1]));"
        " os.kill(os.getpid(), 9)"
    )
    for base in (left, young):
        assert subprocess.run([sys.executable, "-c", dead, str(base)]).returncode == -signal.SIGKILL
        (base / "pieces" / "piece.mid").touch()
    alive = Folders(living)
    for base in (left, living):
        os.utime(base / LOCK, (1, 1))
    for base in (ancient, recent):
        base.mkdir()
    os.utime(ancient, (1, 1))
    (tmp_path / "musicgpt-space-f").symlink_to(ancient)
    (tmp_path / "other").mkdir()
    assert sweep_dead_servers(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"musicgpt-space-{name}" for name in "bcef"),
        "other",
    ]
    alive.close()


def test_stop_reaches_only_the_present_run(tmp_path):
    folders, session = Folders(tmp_path / "root"), Session()
    first = session.begin(folders)
    second = session.begin(folders)
    session.stop()
    assert (first.is_set(), second.is_set()) == (False, True)
    # Another process sees it too: it looks for the file.
    assert type(second)(second.path).is_set()
    session.close()
    session.stop()


def test_undo_and_redo_go_take_by_take_without_limit():
    session = Session()
    takes = [Take([Candidate(Score([(0, 24, 60 + i % 12, 0)]), f"{i}")]) for i in range(40)]
    for take in takes:
        take.candidate.made["figures"] = {}
        session.add(take)
    # Engravings and figures of old takes are made again when they are needed.
    assert ["figures" in take.candidate.made for take in takes] == [False] * (40 - KEPT_MADE) + [
        True
    ] * KEPT_MADE
    while session.undo():
        pass
    assert session.takes == [takes[0]]
    while session.redo():
        pass
    assert session.takes == takes
    session.undo()
    session.add(takes[0])
    assert not session.redo(), "what was undone is forgotten when something new is made"


@pytest.mark.parametrize("libc", [True, False])
def test_threads_share_two_heaps_where_the_system_can(libc, monkeypatch):
    told = []
    library = SimpleNamespace(mallopt=lambda *what: told.append(what)) if libc else object()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    cli._share_heaps()
    assert told == ([(-8, 2)] if libc else [])
