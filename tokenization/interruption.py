"""How a command ends. SIGINT and SIGTERM end it in order: what was begun is cleared away, and one line says
what was kept. Bad input ends it with one line, too.

Both signals arrive as a `KeyboardInterrupt`. Whoever knows what was kept adds a note to it
(`BaseException.add_note`) on its way up.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

from .errors import MusicGPTError

_Given = ParamSpec("_Given")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption(KeyboardInterrupt):
    """A signal that ends the command.

    Args:
        number (`int`): the signal's.
    """

    def __init__(self, number: int):
        super().__init__()
        self.signal = signal.Signals(number)


def interruptible(work: Callable[[], int]) -> int:
    """Do some work; SIGINT and SIGTERM end it with one line on standard error.

    Args:
        work (callable): returns an exit code.

    Returns:
        `int`: that code, or 128 and the number of the signal, as a shell reports it: 130 or 143.
    """
    owner = os.getpid()

    def handle(number: int, frame: Any) -> None:
        if os.getpid() != owner:
            os._exit(128 + number)  # a worker process that was forked: its parent tells
        raise Interruption(number)

    before: dict[int, Any] = {}
    try:
        for number in _SIGNALS:
            before[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread: whoever runs it handles signals
        return work()
    try:
        return work()
    except KeyboardInterrupt as error:
        for number in _SIGNALS:  # a second signal must not cut the line off
            signal.signal(number, signal.SIG_IGN)
        ended = error.signal if isinstance(error, Interruption) else signal.SIGINT
        kept = " ".join(getattr(error, "__notes__", [])) or "Nothing was written."
        print(f"ended by {ended.name}: {kept}", file=sys.stderr)
        return 128 + ended
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def errors_in_one_line(command: Callable[_Given, int]) -> Callable[_Given, int]:
    """A command whose `MusicGPTError` becomes one line on standard error and exit code 2."""

    @functools.wraps(command)
    def told(*args: _Given.args, **kwargs: _Given.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except MusicGPTError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2

    return told
