"""What many pieces cost: the data set builder's time and memory, on made-up scores.

    python -m benchmarks.scale --pieces 20000 [--notes 400] [--processes 1 2] [--folder DIR]

Writes so many MIDI files of three voices each (random walks in C major: what a build costs does not depend on how
they sound), builds them once with each number of processes, and prints seconds by the wall and of the processor, those of
the longest way (of the main process and the busiest worker, one after the other: what the wall would show on an idle
machine), the largest memory of all processes together (proportional set size: what they share counts once, psutil)
and the files of the train split. With `--folder` the scores stay there for the next time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from tqdm import tqdm

from tokenization import write_midi

from .metrics import random_walks


def write_scores(folder: Path, pieces: int, notes: int) -> None:
    """`pieces` MIDI files, a thousand a folder; those that are there stay."""
    for number in tqdm(range(pieces), desc="Writing scores", unit="piece", disable=None):
        path = folder / f"{number // 1000:03d}" / f"piece{number:06d}.mid"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Lengths as uneven as those of a real collection.
            length = int(notes * np.random.default_rng([number, 1]).uniform(0.3, 1.7))
            write_midi(random_walks(number, length, voices=3), path)


def watched(command: Sequence[str]) -> dict[str, float]:
    """Run a command: seconds of the wall, seconds of the processor with all children's, those of the longest way,
    and the largest memory of all its processes together in MB.
    """
    began, before = time.perf_counter(), psutil.Process().cpu_times()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    peak, busy = 0, {process.pid: 0.0}
    while process.poll() is None:
        together = 0
        for one in [process, *children(process)]:
            try:
                together += one.memory_full_info().pss
                busy[one.pid] = sum(one.cpu_times()[:2])  # of the user and of the system
            except psutil.Error:  # it has just ended
                continue
        peak = max(peak, together)
        time.sleep(0.2)
    after = psutil.Process().cpu_times()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {process.returncode}.")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    way = busy.pop(process.pid) + max(busy.values(), default=0.0)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "processor": spent, "way": way, "memory": peak / 2**20}


def children(process: psutil.Process) -> list[psutil.Process]:
    """All processes below one; none where it has ended."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def main(argv: Sequence[str] | None = None) -> int:
    """Write, build, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--pieces", type=int, default=20_000)
    parser.add_argument("--notes", type=int, default=400, help="of a piece in the mean (default 400)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path, help="where the scores are kept; a temporary one if not given")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="musicgpt-scale-") as temporary:
        scores = given.folder or Path(temporary) / "scores"
        write_scores(scores, given.pieces, given.notes)
        print(
            f"{'processes':>9}{'pieces':>9}{'notes':>12}{'files':>7}{'seconds':>9}{'of the processor':>18}{'longest way':>13}{'MB':>7}"
        )
        for processes in given.processes:
            out = Path(temporary) / f"built-{processes}"
            command = [sys.executable, "-m", "dataset_builder", "--source", str(scores), "--out", str(out)]
            row = watched([*command, "--num-proc", str(processes)])
            [report] = json.loads((out / "report.json").read_text(encoding="utf-8")).values()
            counts = [sum(split[name] for split in report["splits"].values()) for name in ("pieces", "notes")]
            files = len(list((out / "wtc-plus").glob("train*.parquet")))
            print(
                f"{processes:>9}{counts[0]:>9,}{counts[1]:>12,}{files:>7}{row['seconds']:>9.1f}{row['processor']:>18.1f}"
                f"{row['way']:>13.1f}{row['memory']:>7.0f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
