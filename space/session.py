"""What the server remembers of one visitor: the pieces made so far, the flag that stops the present one, a
folder for the files.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tokenization import Score

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Folders that nobody has touched for so many seconds are removed.
KEPT_SECONDS = 2 * 3600.0
# What the files of one visitor, and all files together, may take on the disk.
VISITOR_BYTES = 256 * 2**20
ALL_BYTES = 4 * 2**30
PREFIX = "musicgpt-space-"
LOCK = "server.lock"
# A lock younger than this may belong to a server that has not taken it yet.
STARTING_SECONDS = 60.0
# Of so many takes engravings and figures are kept; those of older ones are made again when they come back.
KEPT_MADE = 6


class FileFlag:
    """A flag that is set when its file exists: unlike `threading.Event` it also works from another process
    (ZeroGPU's workers).

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
    """The place of all files: visitors' folders, each with a name that cannot be guessed, and what Gradio
    keeps of uploads.

    Args:
        base (`Path`, *optional*): where; a new temporary folder when not given, and the folders of servers
            that were killed are removed then. It is removed by `close`.
        visitor_bytes (`int`): how much one visitor's files may take; beyond it the oldest go. They are made
            again when needed.
        all_bytes (`int`): how much all files may take, uploads included; beyond it the oldest go.

    Attributes:
        base (`Path`): as given.
        root (`Path`): where the visitors' folders are. Only what lies there may be served.
        uploads (`Path`): where Gradio is to keep what is sent.
    """

    def __init__(
        self, base: Path | None = None, visitor_bytes: int = VISITOR_BYTES, all_bytes: int = ALL_BYTES
    ):
        if base is None:
            sweep_dead_servers()
        self.base = Path(base or tempfile.mkdtemp(prefix=PREFIX)).resolve()
        self.root, self.uploads = self.base / "pieces", self.base / "uploads"
        self.root.mkdir(parents=True, exist_ok=True)
        self.uploads.mkdir(exist_ok=True)
        self._alive = _hold(self.base / LOCK)
        self.visitor_bytes, self.all_bytes = visitor_bytes, all_bytes
        self._kept: set[Path] = set()
        self._visitors: dict[Path, str] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def keep(self, name: str) -> Path:
        """A folder of the server's own, which is not swept."""
        path = self.root / name
        path.mkdir(mode=0o700, exist_ok=True)
        self._kept.add(path)
        return path

    def new(self, visitor: str = "") -> Path:
        """A new folder with 128 random bits in its name: to know an address in it is the permission to read
        it.
        """
        path = self.root / secrets.token_hex(16)
        path.mkdir(mode=0o700)
        with self._lock:
            self._visitors[path] = visitor
        return path

    def make_room(self, visitor: str) -> None:
        """Remove the oldest files of a visitor who has more than `visitor_bytes`."""
        with self._lock:
            folders = [path for path, whose in self._visitors.items() if whose == visitor]
        _shrink(folders, self.visitor_bytes)

    def bytes(self) -> int:
        """What all files take."""
        return sum(size for _, size, _ in _files([self.base]))

    def sweep(self, kept_seconds: float = KEPT_SECONDS) -> int:
        """Remove folders and uploads in which nothing was written for `kept_seconds`, then the oldest files
        beyond `all_bytes`.

        Returns:
            How many folders there were.
        """
        old = [
            path
            for path in self.root.iterdir()
            if path.is_dir() and path not in self._kept and time.time() - path.stat().st_mtime > kept_seconds
        ]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        for changed, _, path in _files([self.uploads]):
            if time.time() - changed > kept_seconds:
                path.unlink(missing_ok=True)
        with self._lock:
            for path in [path for path in self._visitors if not path.exists()]:
                del self._visitors[path]
        _shrink(
            [path for path in self.root.iterdir() if path not in self._kept] + [self.uploads], self.all_bytes
        )
        return len(old)

    def start_sweeping(self) -> None:
        """Sweep every minute, in a thread that ends with `close`."""

        def work() -> None:
            while not self._closed.wait(60):
                with contextlib.suppress(OSError):  # a folder that is removed while it is looked at
                    self.sweep()

        threading.Thread(target=work, name="sweep", daemon=True).start()

    def close(self) -> None:
        """Remove everything."""
        self._closed.set()
        shutil.rmtree(self.base, ignore_errors=True)
        if self._alive is not None:
            self._alive.close()


def _files(folders: Iterable[Path]) -> list[tuple[float, int, Path]]:
    """Time of the last change, size and path of every file below the folders."""
    found = []
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):  # another thread may have removed it
                    stat = os.stat(os.path.join(parent, name))
                    found.append((stat.st_mtime, stat.st_size, Path(parent, name)))
    return found


def _shrink(folders: Iterable[Path], most: int) -> None:
    """Remove the oldest files below the folders until the rest has at most so many bytes."""
    files = _files(folders)
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size


def _hold(path: Path) -> IO[str] | None:
    """Lock a file as long as this process lives, however it ends; `None` where another one holds it or none
    can be locked.
    """
    if fcntl is None:
        return None
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def sweep_dead_servers(where: Path | None = None) -> int:
    """Remove what servers left that were killed: their lock is free, or they have none and nothing has
    changed for long.

    Args:
        where (`Path`, *optional*): the folder of temporary files when not given.

    Returns:
        How many there were.
    """
    swept = 0
    for base in Path(where or tempfile.gettempdir()).glob(PREFIX + "*"):
        with contextlib.suppress(OSError):  # somebody else's, or another server sweeps it
            stat, lock = base.lstat(), base / LOCK
            if (
                not base.is_dir()
                or base.is_symlink()
                or (hasattr(os, "getuid") and stat.st_uid != os.getuid())
            ):
                continue
            age = time.time() - (lock if lock.exists() else base).stat().st_mtime
            if lock.exists() and fcntl is not None:
                held = _hold(lock) if age > STARTING_SECONDS else None
                if held is None:
                    continue
                held.close()
            elif age <= KEPT_SECONDS:
                continue
            shutil.rmtree(base, ignore_errors=True)
            swept += 1
    return swept


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
        kin (`str`, *optional*): the take that it was changed from, bar by bar the same piece.
        locked (set of rows): notes that stay when bars are composed anew: onset, duration, pitch, voice.
        link (`str`, *optional*): query of the page's address that makes it again, if settings and seed do.
        made (`dict`): results that were worked out already: files, engravings and figures.
    """

    score: Score
    stem: str
    num_prompt_notes: int = 0
    seed: int = 0
    seconds: float = 0.0
    ended: str = "the model"
    take: str = field(default_factory=lambda: secrets.token_hex(8))
    kin: str | None = None
    locked: frozenset[tuple[int, int, int, int]] = frozenset()
    link: str | None = None
    made: dict[Any, Any] = field(default_factory=dict, repr=False)


@dataclass
class Take:
    """What one press of the button made: one to four candidates, of which one is chosen. `shipped`: it is the
    piece that everybody finds.
    """

    candidates: list[Candidate]
    chosen: int = 0
    shipped: bool = False

    @property
    def candidate(self) -> Candidate:
        """The one that is looked at."""
        return self.candidates[self.chosen]


@dataclass
class Session:
    """One visitor. The page holds it in a `gr.State`, so no two visitors ever share one.

    Attributes:
        takes (list of `Take`): oldest first; the last one is on the page.
        undone (list of `Take`): what was undone, the first of them last.
        instrument (`str`): on which the pieces are played.
        visitor (`str`): the visitor's address, for the quotas; sessions of one address share them.
        layout (`str`): how wide the visitor's page is, `"wide"` or `"narrow"`.
        running (`bool`): whether something is being composed.
        growing (`Take`, *optional*): the take that is being composed, with the candidates that are whole.
        language (`str`): in which the visitor is told things, such as `"en"`.
    """

    takes: list[Take] = field(default_factory=list)
    undone: list[Take] = field(default_factory=list)
    instrument: str = "piano"
    visitor: str = ""
    layout: str = "wide"
    running: bool = False
    growing: Take | None = None
    language: str = "en"
    _folder: Path | None = None
    _stop: FileFlag | None = None

    @property
    def current(self) -> Candidate | None:
        """The piece on the page; `None` before the first."""
        return self.takes[-1].candidate if self.takes else None

    def folder(self, folders: Folders) -> Path:
        """The visitor's folder, made when first needed or when it has been swept away."""
        if self._folder is None or not self._folder.is_dir():
            self._folder = folders.new(self.visitor)
        folders.make_room(self.visitor)
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
        """Put a take on the page; what was undone before is forgotten."""
        self.takes, self.undone = [*self.takes, take], []
        for old in self.takes[:-KEPT_MADE]:
            for candidate in old.candidates:
                candidate.made.clear()

    def undo(self) -> bool:
        """Go back to the take before; whether there was one."""
        if len(self.takes) < 2:
            return False
        self.undone = [*self.undone, self.takes[-1]]
        self.takes = self.takes[:-1]
        return True

    def redo(self) -> bool:
        """Go on to the take that was undone last; whether there was one."""
        if not self.undone:
            return False
        self.takes = [*self.takes, self.undone[-1]]
        self.undone = self.undone[:-1]
        return True

    def close(self) -> None:
        """Stop what runs and remove the files."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
