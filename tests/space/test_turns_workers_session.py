"""Whose turn it is, what happens when a process dies, and what is remembered of a visitor."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from space.session import HISTORY, Candidate, Folders, Session, Take
from space.turns import BusyError, Turns
from space.workers import Workers
from tokenization import MusicGPTError, Score, guarded
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


def test_undo_goes_back_take_by_take():
    session = Session()
    takes = [Take([Candidate(Score([(0, 24, 60 + i % 12, 0)]), f"{i}")]) for i in range(HISTORY + 5)]
    for take in takes:
        session.add(take)
    assert len(session.takes) == HISTORY
    assert session.current is takes[-1].candidate
    while session.undo():
        pass
    assert session.takes == [takes[5]]


def test_error_of_turns_is_for_visitors():
    assert issubclass(BusyError, MusicGPTError)
