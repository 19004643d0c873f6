"""Checkpoints: folders of safetensors and JSON, written whole or not at all, verified when read.

A run's folder holds `checkpoints/step-00001200/` with `model.safetensors` and the config as `from_pretrained`
wants them, `training.safetensors` (weights, optimizer and average as training left them), `training.json`
(step, epoch, scalars, arguments, and what each piece was) and `SHA256SUMS` of all these files, which
`sha256sum -c` reads. Nothing is pickled.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenization.folders import file_sha256

from .errors import CheckpointError

if TYPE_CHECKING:
    import torch

STATE, TENSORS, SUMS = "training.json", "training.safetensors", "SHA256SUMS"


def step_folder(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lives."""
    return folder / f"step-{step:08d}"


def _not_written(target: Path, error: Exception) -> CheckpointError:
    """What to tell a user about a failed write."""
    # safetensors wraps the system's error in a text of its own.
    code = (
        error.errno
        if isinstance(error, OSError)
        else next((c for c in (errno.ENOSPC, errno.EDQUOT) if f"os error {c})" in str(error)), None)
    )
    full = code in (errno.ENOSPC, errno.EDQUOT)
    cause = "the disk is full" if full else (getattr(error, "strerror", None) or str(error))
    advice = "free some space and start again" if full else "see to it and start again"
    return CheckpointError(
        f"The checkpoint {target.name} could not be written: {cause}; {advice}, the run goes on from the one"
        " before."
    )


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder whole or not at all: `fill` writes beside it, then it takes the target's place.

    Raises:
        CheckpointError: when it cannot be written; what was there before is still there.
    """
    from safetensors import SafetensorError

    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.parent / f".{target.name}.writing-{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        fill(beside)
        for path in sorted(beside.rglob("*")):
            if path.is_file():
                _flush(path)
        _replace_folder(beside, target)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise _not_written(target, error) from error
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _replace_folder(new: Path, target: Path) -> None:
    """Rename `new` to `target`; a folder in the way is renamed first, so that a whole one exists at every
    moment.
    """
    old = target.parent / f".{target.name}.old-{os.getpid()}"
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(target.parent, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def flatten(state: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested dicts and lists as `(path, leaf)`; the parts of a path are joined by `|`."""
    for key, value in state.items():
        path = f"{prefix}|{key}" if prefix else str(key)
        if isinstance(value, dict):
            yield from flatten(value, path)
        else:
            yield path, value


def unflatten(leaves: dict[str, Any]) -> dict[str, Any]:
    """Nested dicts again."""
    nested: dict[str, Any] = {}
    for path, value in leaves.items():
        *parents, last = path.split("|")
        place = nested
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return nested


def write_state(folder: Path, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Write `training.safetensors` and `training.json` and, last, the SHA-256 of every file in the folder."""
    from safetensors.torch import save_file

    # Tied weights share memory, which safetensors refuses: each name gets its own copy.
    save_file(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
        folder / TENSORS,
    )
    (folder / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    lines = [f"{file_sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir()) if path.is_file()]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _sums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file as it was written; a checkpoint of version 0.1.0 has them in `training.json`,
    without its own.
    """
    if not (folder / SUMS).is_file():
        return json.loads((folder / STATE).read_text(encoding="utf-8"))["sha256"]
    pairs = [line.split("  ", 1) for line in (folder / SUMS).read_text(encoding="utf-8").splitlines()]
    sums = {name: digest for digest, name in pairs}
    if not {STATE, TENSORS} <= sums.keys():
        raise CheckpointError(f"The checkpoint {folder.name} is damaged: {SUMS} does not name every file.")
    return sums


def read_state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and scalars of a checkpoint.

    Raises:
        CheckpointError: naming the file that is missing, damaged or unreadable.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        for name, digest in _sums(folder).items():
            if file_sha256(folder / name) != digest:
                raise CheckpointError(
                    f"The checkpoint {folder.name} is damaged: {name} is not what was written."
                )
        return load_file(folder / TENSORS), json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"The checkpoint {folder.name} is not whole: {Path(error.filename or '').name} is missing."
        ) from error
    except (OSError, KeyError, AttributeError, ValueError, SafetensorError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"The checkpoint {folder.name} is damaged: {' '.join(str(error).split())}."
        ) from error


def list_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints, newest first."""
    return sorted(folder.glob("step-[0-9]*"), reverse=True) if folder.is_dir() else []


def newest(
    folder: Path, warn: Callable[[str], None]
) -> tuple[Path, dict[str, torch.Tensor], dict[str, Any]] | None:
    """The newest checkpoint that is whole; each damaged one is reported and passed over.

    Raises:
        CheckpointError: if there are checkpoints, but none is whole.
    """
    found = list_checkpoints(folder)
    for path in found:
        try:
            return path, *read_state(path)
        except CheckpointError as error:
            warn(f"{error} Going back to the one before.")
    if found:
        raise CheckpointError(
            f"None of the {len(found)} checkpoints in {folder} is whole: train anew with --overwrite, or with"
            " --resume false elsewhere."
        )
    return None


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints, and what an interrupted write left behind."""
    for path in list_checkpoints(folder)[keep:]:
        # Renamed first: a deletion that is interrupted leaves no half checkpoint under its name.
        gone = path.parent / f".{path.name}.gone"
        os.replace(path, gone)
        shutil.rmtree(gone, ignore_errors=True)
    for path in folder.glob(".*"):
        if path.name.startswith((".step-", ".best-")):
            shutil.rmtree(path, ignore_errors=True)
