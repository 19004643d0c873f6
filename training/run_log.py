"""The log of a run: one JSON object a line, beside accelerate's trackers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tokenization.midi_writer import write_whole

from .errors import TrainingError

LOG = "log.jsonl"
# What the run was trained on, for its card.
DATA = "data.json"
# By which steps it came about, where it was made in several (`training.reproduce`).
MADE = "made.json"


def read_log(run: str | os.PathLike) -> list[dict[str, Any]]:
    """All entries of a run's log; a last line that was cut by a crash is left out.

    Raises:
        TrainingError: if the folder has no log.
    """
    path = Path(run) / LOG
    if not path.is_file():
        raise TrainingError(f"No run in {run}: there is no {LOG}.")
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return entries


class RunLog:
    """Appends entries to a run's log.

    Args:
        folder: the run's folder.
        step (`int`): the step at which the run goes on; later entries, which will come again, are cut off.
    """

    def __init__(self, folder: Path, step: int = 0):
        self.path = folder / LOG
        folder.mkdir(parents=True, exist_ok=True)
        kept = (
            [entry for entry in read_log(folder) if entry.get("step", 0) <= step]
            if self.path.is_file() and step
            else []
        )
        write_whole(self.path, "".join(json.dumps(entry) + "\n" for entry in kept).encode())

    def add(self, kind: str, **values: Any) -> None:
        """One entry; it is on disk when this returns."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")
            file.flush()
