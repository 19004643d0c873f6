"""What the server remembers of one visitor: the pieces made so far, the flag that stops the present one, a folder for the files."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenization import Score

# Folders that nobody has touched for so many seconds are removed.
KEPT_SECONDS = 2 * 3600.0
# How many takes a visitor can go back.
HISTORY = 20


class FileFlag:
    """A flag that is set when its file exists: unlike `threading.Event` it also works from another process (ZeroGPU's workers).

    Has the two methods of `threading.Event` that are needed, `set` and `is_set`.
    """

    def __init__(self, path: Path):
        self.path = str(path)
        self._here = False

    def set(self) -> None:
        """Raise the flag; in this process it also holds when the visitor's folder is gone."""
        self._here = True
        with contextlib.suppress(OSError):
            Path(self.path).touch()

    def is_set(self) -> bool:
        """Whether it has been raised."""
        return self._here or os.path.exists(self.path)


class Folders:
    """The root of all visitors' folders, each with a name that cannot be guessed.

    Args:
        root (`Path`, *optional*): where; a new temporary folder when not given. It is removed by `close`.
    """

    def __init__(self, root: Path | None = None):
        self.root = Path(root or tempfile.mkdtemp(prefix="musicgpt-space-")).resolve()
        self.root.mkdir(parents=True, exist_ok=True)
        self._kept: set[Path] = set()
        self._closed = threading.Event()

    def keep(self, name: str) -> Path:
        """A folder of the server's own, which is not swept."""
        path = self.root / name
        path.mkdir(mode=0o700, exist_ok=True)
        self._kept.add(path)
        return path

    def new(self) -> Path:
        """A new folder with 128 random bits in its name: to know an address in it is the permission to read it."""
        path = self.root / secrets.token_hex(16)
        path.mkdir(mode=0o700)
        return path

    def sweep(self, kept_seconds: float = KEPT_SECONDS) -> int:
        """Remove the folders in which nothing was written for `kept_seconds`; how many there were."""
        old = [
            path
            for path in self.root.iterdir()
            if path.is_dir() and path not in self._kept and time.time() - path.stat().st_mtime > kept_seconds
        ]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    def start_sweeping(self, every: float = 600.0) -> None:
        """Sweep every so many seconds, in a thread that ends with `close`."""

        def work() -> None:
            while not self._closed.wait(every):
                self.sweep()

        threading.Thread(target=work, name="sweep", daemon=True).start()

    def close(self) -> None:
        """Remove everything."""
        self._closed.set()
        shutil.rmtree(self.root, ignore_errors=True)


@dataclass
class Candidate:
    """One piece that a visitor can choose.

    Attributes:
        score (`Score`): its notes.
        stem (`str`): file name without suffix; holds settings and seed.
        num_prompt_notes (`int`): how many of the first notes were given.
        seed (`int`): what makes it again.
        seconds (`float`): what the model took.
        ended (`str`): `"the model"`, `"the limit"` or `"you"`: who ended it.
        take (`str`): a name for it on the page.
        made (`dict`): results that were worked out already: files, engravings and figures.
    """

    score: Score
    stem: str
    num_prompt_notes: int = 0
    seed: int = 0
    seconds: float = 0.0
    ended: str = "the model"
    take: str = field(default_factory=lambda: secrets.token_hex(8))
    made: dict[Any, Any] = field(default_factory=dict, repr=False)


@dataclass
class Take:
    """What one press of the button made: one to four candidates, of which one is chosen."""

    candidates: list[Candidate]
    chosen: int = 0

    @property
    def candidate(self) -> Candidate:
        """The one that is looked at."""
        return self.candidates[self.chosen]


@dataclass
class Session:
    """One visitor. The page holds it in a `gr.State`, so no two visitors ever share one.

    Attributes:
        takes (list of `Take`): oldest first; the last one is on the page.
        layout (`str`): how wide the visitor's page is, `"wide"` or `"narrow"`.
        running (`bool`): whether something is being composed.
    """

    takes: list[Take] = field(default_factory=list)
    layout: str = "wide"
    running: bool = False
    _folder: Path | None = None
    _stop: FileFlag | None = None

    @property
    def current(self) -> Candidate | None:
        """The piece on the page; `None` before the first."""
        return self.takes[-1].candidate if self.takes else None

    def folder(self, folders: Folders) -> Path:
        """The visitor's folder, made when first needed or when it has been swept away."""
        if self._folder is None or not self._folder.is_dir():
            self._folder = folders.new()
        return self._folder

    def keep_in(self, folder: Path) -> None:
        """Use a folder that is there already."""
        self._folder = folder

    def begin(self, folders: Folders) -> FileFlag:
        """The stop flag of a new run; the one of an earlier run no longer has any effect on it."""
        self._stop = FileFlag(self.folder(folders) / f"stop-{secrets.token_hex(8)}")
        return self._stop

    def stop(self) -> None:
        """End the present run, if there is one, after its current token."""
        if self._stop is not None:
            self._stop.set()

    def add(self, take: Take) -> None:
        """Put a take on the page; the oldest is forgotten beyond `HISTORY`."""
        self.takes = [*self.takes, take][-HISTORY:]

    def undo(self) -> bool:
        """Go back to the take before; whether there was one."""
        if len(self.takes) < 2:
            return False
        self.takes = self.takes[:-1]
        return True

    def close(self) -> None:
        """Stop what runs and remove the files."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
