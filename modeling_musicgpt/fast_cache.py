# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Machine code kept between runs, so that only the first start on a computer compiles.

One file of some 50 KB for each combination of kernels, llvmlite and processor, in the user's cache folder; the environment variable
`MUSICGPT_CACHE` names another folder, or none if it is empty. Whatever goes wrong here, the code is compiled again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = "MUSICGPT_CACHE"
# Files that stay in the folder; the oldest go first.
MOST_FILES = 8
_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path | None:
    """Where machine code is kept; `None` if it is not."""
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        return Path(named) if named else None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "musicgpt" / "machine-code"


def key_of(*circumstances: str) -> str:
    """A name for the code that comes of these circumstances and of the sources beside this file.

    All sources count, since kernels take constants from modules that are no kernels.

    Raises:
        OSError: if the sources cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.name} {len(source)} ".encode() + source)
    for text in circumstances:
        digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()


def kept(key: str) -> bytes | None:
    """The code of that name, if it is there, whole, and was written by this user: foreign code is not run."""
    folder = cache_folder()
    try:
        if folder is None or not _is_ours(folder) or not _is_ours(folder / f"{key}.o"):
            return None
        data = (folder / f"{key}.o").read_bytes()
    except OSError:
        return None
    digest, code = data[:_DIGEST], data[_DIGEST:]
    return code if code and hashlib.sha256(code).digest() == digest else None


def keep(key: str, code: bytes) -> None:
    """Writes the code whole or not at all. Nothing happens where that is not possible."""
    folder, temporary = cache_folder(), None
    if folder is None:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder):
            return
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(temporary, folder / f"{key}.o")
        for old in sorted(folder.glob("*.o"), key=lambda path: path.stat().st_mtime)[:-MOST_FILES]:
            old.unlink(missing_ok=True)
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether only this user can have written here."""
    if os.name != "posix":
        return True
    status = path.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


__all__ = ["ENVIRONMENT", "cache_folder", "keep", "kept", "key_of"]
