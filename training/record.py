"""The record of a reproduction: what each step was made of, what it gave, how long it took.

One file, `record.json`, replaced whole after every step; what it says is whole is not made again.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tokenization.folders import file_sha256

from .crops import Piece
from .errors import TrainingError
from .validate import write_json

RECORD = "record.json"
_CODE = ("dataset_builder", "modeling_musicgpt", "musicgpt", "tokenization", "training")
_LIBRARIES = ("torch", "transformers", "accelerate", "datasets", "numpy")


def fingerprint(*parts: Any) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def data_fingerprint(pieces: Mapping[str, Sequence[Piece]]) -> str:
    """SHA-256 of all that training and validation take from the pieces of each split."""
    return fingerprint(
        {split: sorted(piece.fingerprint() for piece in part) for split, part in pieces.items()}
    )


def code_fingerprint() -> str:
    """SHA-256 over the code that decides what is trained: readers, data set, model, composer,
    training.
    """
    root = Path(__file__).resolve().parent.parent
    paths = [path for folder in _CODE for path in sorted((root / folder).rglob("*.py"))]
    return fingerprint([(path.relative_to(root).as_posix(), file_sha256(path)) for path in paths])


def machine() -> dict[str, str]:
    """What the figures may depend on besides: Python, processor and libraries."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


class Record:
    """What stands in `record.json`.

    Args:
        folder: of the whole reproduction.

    Raises:
        TrainingError: if there is a record that cannot be read.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / RECORD
        self.values: dict[str, Any] = {"steps": {}}
        if self.path.is_file():
            try:
                self.values = json.loads(self.path.read_text(encoding="utf-8"))
                self.steps.items()
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                raise TrainingError(
                    f"The record {self.path} cannot be read: {' '.join(str(error).split())}; begin anew in"
                    " another --out."
                ) from error

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """By name, what each step was made of (`inputs`), gave (`outputs`, `figures`) and took
        (`seconds`).
        """
        return self.values["steps"]

    def save(self) -> None:
        """Write it, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, self.values)

    def set(self, **values: Any) -> None:
        """Put values beside the steps."""
        self.values |= values
        self.save()

    def begin(self, name: str, inputs: str, kept_until: float | None = None) -> None:
        """A step begins, or goes on after an end that nobody noted.

        Args:
            inputs (`str`): fingerprint of what it is made of.
            kept_until (`float`, *optional*): the time of the last thing that an earlier try of it left; what
                that try took until then counts.
        """
        step = self.steps.setdefault(name, {"seconds": 0.0})
        if kept_until is not None and "began" in step:
            step["seconds"] += max(0.0, kept_until - step["began"])
        step |= {"inputs": inputs, "code": code_fingerprint(), "began": time.time()}
        self.save()

    def finish(self, name: str, outputs: dict[str, Path], **more: Any) -> None:
        """A step is whole.

        Args:
            outputs (`dict`): files by what they are, kept with their SHA-256 and their place in the folder.
        """
        step = self.steps[name]
        step["seconds"] = round(step["seconds"] + time.time() - step.pop("began"), 1)
        step["outputs"] = {
            what: {"file": path.relative_to(self.folder).as_posix(), "sha256": file_sha256(path)}
            for what, path in outputs.items()
        }
        step |= more
        self.save()

    def is_whole(self, name: str) -> bool:
        """Whether a step ended and its files are what it wrote."""
        outputs = self.steps.get(name, {}).get("outputs")
        return outputs is not None and all(
            (path := self.folder / one["file"]).is_file() and file_sha256(path) == one["sha256"]
            for one in outputs.values()
        )

    def output(self, name: str, what: str) -> Path:
        """The folder of the model that a step gave."""
        return (self.folder / self.steps[name]["outputs"][what]["file"]).parent

    def sums(self, names: Sequence[str]) -> list[Any]:
        """What steps gave, as inputs of another."""
        return [{k: v["sha256"] for k, v in self.steps[name]["outputs"].items()} for name in names]
