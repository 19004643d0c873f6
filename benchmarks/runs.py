"""What training runs said of themselves: `docs/runs.jsonl`, one line a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenization.midi_writer import write_whole

FILE = Path(__file__).resolve().parent.parent / "docs" / "runs.jsonl"


def kept_runs() -> list[dict[str, Any]]:
    """All of them: `name`, `arguments` and `evaluations` of each, in the order of their names."""
    if not FILE.exists():
        return []
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def keep_run(run: Path, name: str) -> dict[str, Any]:
    """Add a run's recipe and validations, in place of what has the same name; returns its line.

    Args:
        run (`Path`): the folder of a training run.
        name (`str`): how the pages call it; spaces become hyphens.
    """
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    arguments = json.loads((run / "training_arguments.json").read_text(encoding="utf-8"))
    for group in arguments.values():
        for field in ("output_dir", "data", "scores", "init_from"):
            if isinstance(group, dict) and isinstance(group.get(field), str):
                group[field] = Path(group[field]).name  # no folder of the machine it ran on
    evaluations = [
        {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in line.items()
            if not isinstance(value, (list, dict))
        }
        for line in lines
        if line["kind"] == "eval"
    ]
    kept = {"name": name, "arguments": arguments, "evaluations": evaluations}
    rows = sorted([row for row in kept_runs() if row["name"] != name] + [kept], key=lambda row: row["name"])
    write_whole(FILE, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return kept
