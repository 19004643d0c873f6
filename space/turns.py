"""One model, many visitors: whose turn it is, in the order in which they came."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tokenization.errors import MusicGPTError


class BusyError(MusicGPTError):
    """Too many visitors, or too many calls of one visitor, are being served already."""


class Turns:
    """A fair queue for the model.

    A lock of `threading` wakes whoever it likes and cannot tell how many are in front; here everybody sees
    their place, may give up at any moment, and a piece of several candidates lets others in between them.

    Args:
        most_waiting (`int`): how many may wait; who comes after that is turned away at once.
    """

    def __init__(self, most_waiting: int = 40):
        self.most_waiting = most_waiting
        self._tickets: OrderedDict[object, threading.Event] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many wait or work."""
        return len(self._tickets)

    @contextmanager
    def waiting(self) -> Iterator[Callable[[float], int]]:
        """Stand in the queue as long as the context lasts.

        Yields:
            A function that waits at most so many seconds and returns how many are still in front; 0: the
            model is ours until the context ends.

        Raises:
            BusyError: if `most_waiting` are in the queue.
        """
        ticket, ready = object(), threading.Event()
        with self._lock:
            if len(self._tickets) > self.most_waiting:
                raise BusyError(
                    f"{len(self._tickets)} visitors are being served or waiting; please try again in a"
                    " minute."
                )
            self._tickets[ticket] = ready
            if len(self._tickets) == 1:
                ready.set()

        def places_in_front(seconds: float) -> int:
            ready.wait(seconds)
            with self._lock:
                return list(self._tickets).index(ticket)

        try:
            yield places_in_front
        finally:
            with self._lock:
                del self._tickets[ticket]
                if self._tickets:
                    next(iter(self._tickets.values())).set()


class Calls:
    """How many calls of each visitor are under way, so that nobody fills the queue alone.

    Args:
        most_each (`int`): how many one visitor may have.
    """

    def __init__(self, most_each: int = 8):
        self.most_each = most_each
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def of(self, visitor: str) -> Iterator[None]:
        """One call of a visitor, as long as the context lasts.

        Raises:
            BusyError: if the visitor has `most_each` already.
        """
        with self._lock:
            if self._running[visitor] >= self.most_each:
                raise BusyError(
                    f"{self.most_each} of your calls are being served or waiting already; please wait for one"
                    " of them."
                )
            self._running[visitor] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[visitor] -= 1
                self._running += Counter()  # forget those who have none
