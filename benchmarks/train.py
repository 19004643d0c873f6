"""Tokens a second of one training step, MusicGPT beside a GPT-2 of the same size, in one run on the same
tokens.

    python benchmarks/train.py [--lengths 1024 4096] [--threads 1 2] [--dtypes fp32 bf16] [--steps 5] [--json FILE]

A step is forward, backward, clipping and AdamW on 4,096 tokens. The two models take turns, so that a busy
machine hits both; the median counts. Memory is the peak of a fresh process for one row of each length: it
must grow in proportion to the length, not to its square.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

TOKENS = 4096
KINDS = ("gpt2", "musicgpt")


def rows_of(length: int, rows: int) -> Any:
    """Ids of made-up legal pieces, `(rows, length)`: what a step costs does not depend on what the
    notes are.
    """
    import numpy as np
    import torch

    from tokenization.score import Score
    from training.crops import cut_prefix, cut_segment

    rng = np.random.default_rng(0)
    notes = length // 4 + 8
    array = np.stack(
        [
            np.arange(notes) * 6,
            rng.choice([6, 12, 24], notes),
            rng.integers(48, 84, notes),
            rng.integers(0, 4, notes),
        ],
        axis=1,
    )
    score = Score(array, key="C major", form="fugue").quantised()
    ids = cut_segment(score, 0, length, cut_prefix(score, 0)).ids
    return torch.from_numpy(np.tile(ids, (rows, 1))).long()


class Step:
    """One model with its optimiser, ready to take steps."""

    def __init__(self, kind: str, length: int, dtype: str, rows: int | None = None):
        from training.arguments import FitArguments, ModelArguments
        from training.models import build_model
        from training.optimization import build_optimizers

        self.model = build_model(ModelArguments(model=kind), seed=0)
        self.optimizers = build_optimizers(self.model, FitArguments())
        self.ids = rows_of(length, rows or max(1, TOKENS // length))
        self.dtype = dtype

    def take(self, clock: str = "wall") -> float:
        """Seconds of one step, by the wall or of processor time."""
        import contextlib

        import torch

        from training.losses import token_losses

        now = time.process_time if clock == "cpu" else time.perf_counter
        begun = now()
        with (
            torch.autocast("cpu", dtype=torch.bfloat16) if self.dtype == "bf16" else contextlib.nullcontext()
        ):
            logits = self.model(input_ids=self.ids, use_cache=False).logits
        token_losses(logits, self.ids).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return now() - begun


def speed(length: int, threads: int, dtype: str, steps: int, clock: str) -> dict[str, Any]:
    """Median tokens a second of both models."""
    import torch

    torch.set_num_threads(threads)
    both = {kind: Step(kind, length, dtype) for kind in KINDS}
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(steps + 1):
        for kind, step in both.items():
            seconds = step.take(clock)
            if turn:  # the first step allocates
                times[kind].append(seconds)
    tokens = both["gpt2"].ids.numel()
    found = {kind: tokens / statistics.median(seconds) for kind, seconds in times.items()}
    return {
        "length": length,
        "threads": threads,
        "dtype": dtype,
        **found,
        "ratio": found["musicgpt"] / found["gpt2"],
    }


def peak_memory(kind: str, length: int) -> float:
    """MB that one training step on one row adds to a fresh process."""
    code = (
        "import torch; from benchmarks.generate import memory; from benchmarks.train import Step;"
        f" torch.set_num_threads(1); Step({kind!r}, 128, 'fp32', 1).take(); before = memory('VmHWM');"
        f" Step({kind!r}, {length}, 'fp32', 1).take(); print(memory('VmHWM') - before)"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print the tables."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dtypes", nargs="+", default=["fp32", "bf16"], choices=("fp32", "bf16"))
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each model")
    parser.add_argument(
        "--clock",
        default="wall",
        choices=("wall", "cpu"),
        help="cpu: processor time, for a machine that others use too (one thread)",
    )
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory table")
    parser.add_argument("--json", help="also write the figures to this file")
    given = parser.parse_args()
    print(
        f"torch {torch.__version__}, {os.cpu_count()} cores; forward, backward, clipping and AdamW on"
        f" {TOKENS} tokens; {given.clock} clock\n"
    )
    print(f"{'length':>7}{'threads':>9}{'dtype':>7}{'GPT-2 tok/s':>13}{'MusicGPT tok/s':>16}{'ratio':>7}")
    rows = []
    for length in given.lengths:
        for threads in given.threads:
            for dtype in given.dtypes:
                row = speed(length, threads, dtype, given.steps, given.clock)
                rows.append(row)
                print(
                    f"{length:>7}{threads:>9}{dtype:>7}{row['gpt2']:>13,.0f}{row['musicgpt']:>16,.0f}{row['ratio']:>7.2f}",
                    flush=True,
                )
    memory = []
    if not given.no_memory:
        print(
            f"\n{'length':>7}{'GPT-2 MB':>11}{'MusicGPT MB':>13}   (peak of one step on one row, fp32, above"
            " a step of 128 tokens)"
        )
        for length in (1024, 2048, 4096):
            memory.append({"length": length, **{kind: peak_memory(kind, length) for kind in KINDS}})
            print(f"{length:>7}{memory[-1]['gpt2']:>11,.0f}{memory[-1]['musicgpt']:>13,.0f}", flush=True)
    if given.json:
        from training.validate import write_json

        write_json(given.json, {"speed": rows, "memory": memory})


if __name__ == "__main__":
    main()
