"""Folders that a command writes: whole or not at all, and never over what somebody else keeps there.

A folder that was written here holds a list of its files with their SHA-256 (`MANIFEST`). By it a later run
tells what is its own to replace from what is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import MusicGPTError

# Hidden, so that uploads to the Hub leave it here.
MANIFEST = ".musicgpt-export.json"
_CACHE = "__pycache__"  # Python's own, wherever a module of the folder was imported
_SHOWN = 3


class FolderError(MusicGPTError):
    """A folder that was named for output holds what would be lost, or cannot be replaced."""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that an earlier run wrote into a folder, by path; empty where none did."""
    return _manifest(folder)[1]


def _manifest(folder: Path) -> tuple[str | None, dict[str, str]]:
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return str(data["kind"]), dict(data["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}


def _paths(folder: Path) -> Iterator[Path]:
    """Everything in a folder that would be lost with it: files, links and empty folders, as relative
    paths.
    """
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != _CACHE]
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        for name in (*names, *links):
            yield (Path(root) / name).relative_to(folder)
        if not names and not folders and Path(root) != folder:
            yield Path(root).relative_to(folder)


def foreign_paths(folder: Path) -> list[Path]:
    """What is in a folder beside the files of an earlier run as that run wrote them, as relative paths."""
    known = {**manifest_of(folder), MANIFEST: None}

    def is_known(path: Path) -> bool:
        whole = folder / path
        digest = known.get(path.as_posix(), "")
        return digest is None or (
            digest != "" and whole.is_file() and not whole.is_symlink() and file_sha256(whole) == digest
        )

    return sorted(path for path in _paths(folder) if not is_known(path))


def check_folder(out: Path, kind: str, overwrite: bool = False) -> None:
    """Find out whether a folder may be written, before any work is done for it.

    Args:
        out (`Path`): the folder.
        kind (`str`): what is to be written there, such as `"model"`.
        overwrite (`bool`): allow what is there to be other than an earlier output of this kind.

    Raises:
        FolderError: if `out` is a file, a place that cannot be renamed, or holds what would be lost.
    """
    whole = Path(os.path.realpath(out))
    if whole.exists() and not whole.is_dir():
        raise FolderError(f"{out} is a file; name a folder for the {kind}.")
    here = Path.cwd()
    if whole == here or whole in here.parents or os.path.ismount(whole):
        raise FolderError(
            f"{out} is the present folder, one above it or a mount point, which cannot be replaced; name a"
            " folder inside it."
        )
    if overwrite or not whole.is_dir():
        return
    found, _ = _manifest(whole)
    if found not in (None, kind):
        raise FolderError(
            f"{out} holds a {found}, not a {kind}; name another folder, or replace it with --overwrite."
        )
    if strange := foreign_paths(whole):
        names = ", ".join(map(str, strange[:_SHOWN])) + (
            f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        )
        raise FolderError(
            f"{out} holds files that are not of an earlier {kind} written here, or were changed since:"
            f" {names}. Name another folder, or give --overwrite, which keeps all of them but those of the"
            " same name."
        )


@contextmanager
def replacing_folder(out: Path, kind: str, overwrite: bool = False) -> Iterator[Path]:
    """A new folder that takes the place of `out` when the block ends well, and vanishes when it does not.

    With `overwrite`, files in `out` that no earlier run wrote go along, unless a new one has their name.

    Args:
        out (`Path`), kind (`str`), overwrite (`bool`): as for `check_folder`, which is asked before and
            after.

    Yields:
        `Path`: the folder to fill, beside `out`.

    Raises:
        FolderError: if `out` may not be replaced.
    """
    check_folder(out, kind, overwrite)
    place = Path(os.path.realpath(out))
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        yield fresh
        files = {p.as_posix(): file_sha256(fresh / p) for p in sorted(_paths(fresh)) if (fresh / p).is_file()}
        (fresh / MANIFEST).write_text(
            json.dumps({"kind": kind, "files": files}, indent=1) + "\n", encoding="utf-8"
        )
        os.chmod(fresh, 0o755)  # mkdtemp lets nobody else in
        check_folder(out, kind, overwrite)
        if place.is_dir():
            _keep_foreign(place, fresh)
        _swap(fresh, place)
    except BaseException as error:
        error.add_note(f"{out} is as it was before." if place.exists() else f"Nothing was written to {out}.")
        raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _keep_foreign(old: Path, fresh: Path) -> None:
    """Give the new folder what is not ours in the old one, as links where the file system has them: `old`
    stays whole until the end.
    """
    for path in foreign_paths(old):
        source, target = old / path, fresh / path
        if os.path.lexists(target):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise FolderError(f"{source} stands where a file has to be written; move it away.") from error
        if source.is_dir() and not source.is_symlink():
            target.mkdir()
            continue
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:
            shutil.copy2(source, target, follow_symlinks=False)


def _swap(fresh: Path, place: Path) -> None:
    if not place.exists():
        os.replace(fresh, place)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{place.name}.old.", dir=place.parent))
    try:
        os.replace(place, old)  # onto an empty folder
    except BaseException:
        os.rmdir(old)
        raise
    try:
        os.replace(fresh, place)
    except BaseException:
        os.replace(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)
