"""Ablations: short training runs that differ in one thing, on one thread each, kept in `docs/runs.jsonl`.

    python -m benchmarks.ablations --group scratch --data DIR --work DIR                  # architecture and rates, from random weights
    python -m benchmarks.ablations --table                                                # what the kept runs have found
    python -m benchmarks.ablations --group branch --data DIR --work DIR --init-from RUN   # data and regularisation, from a trained model

`scratch`: the first steps of training, the rate falling to nothing at the end; it ranks beginnings. `branch`:
what a run that is past its beginning, and near overfitting, makes of the same number of further steps with a
falling rate (the weights of `--init-from` should be taken before its own rate fell). The arms `staff-voices`
take the data set beside DIR that is named DIR-staves, built with `--staff-voices`; in its preludes VOICE
means something else, for training and for validation. A run that is already in `docs/runs.jsonl` is not made
again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenization.markdown import table
from training.crops import TERMS

from .result_text import best_of
from .runs import keep_run, kept_runs

ROOT = Path(__file__).resolve().parent.parent
BASE = {
    "schedule": "wsd",
    "warmup_ratio": "0.05",
    "decay_ratio": "0.5",
    "final_lr_ratio": "0.01",
    "musical_every": "0",
    "keep_last": "1",
}
PLAIN = "[{until: 1.0, transpose: 5, transpose_share: 0.5}]"
UNMOVED = "[{until: 1.0}]"
# from -6 to +6 semitones, each as likely: all twelve keys
EVERY_KEY = "[{until: 1.0, transpose: 6, transpose_share: 1.0}]"
STAVES = "DIR-staves"  # DIR stands for what `--data` says


def _model(**changes: Any) -> dict[str, str]:
    """Changes of the model's config, on top of what was its default when the base was run: arms of one group
    stay comparable when defaults change.
    """
    return {"config_overrides": json.dumps({"bar_encoding": "both", "prefix_encoding": False, **changes})}


SCRATCH = {
    "0-base": _model(),
    "attention-token": _model(relative_attention="token"),
    "attention-time": _model(relative_attention="time"),
    "attention-none": _model(relative_attention="none"),
    "attention-learned": _model(relative_attention="learned"),
    "bar-none": _model(bar_encoding="none"),
    "bar-position": _model(bar_encoding="position"),
    "bar-index": _model(bar_encoding="bar"),
    "prefix-embedded": _model(prefix_encoding=True),
    "voices-not-embedded": _model(voice_encoding=False),
    "no-motifs": _model(num_motifs=0),
    "no-melodic-head": _model(melodic_head=False),
    "no-imitation-head": _model(imitation_head=False),
    "no-transposition": {**_model(), "stages": UNMOVED},
    "every-key": {**_model(), "stages": EVERY_KEY},
    "staff-voices": {**_model(), "data": STAVES},
    "adamw": {**_model(), "optimizer": "adamw", "matrix_learning_rate": "null"},
    "rate-halved": {**_model(), "learning_rate": "1e-3", "matrix_learning_rate": "2e-3"},
    "rate-doubled": {**_model(), "learning_rate": "4e-3", "matrix_learning_rate": "8e-3"},
}
BRANCH = {
    "0-base": {"stages": PLAIN},
    "dropout-0.1": {"stages": PLAIN, "dropout": "0.1"},
    "no-transposition": {"stages": UNMOVED},
    "every-key": {"stages": EVERY_KEY},
    "staff-voices": {"stages": PLAIN, "data": STAVES},
    "mode-kept": {"stages": PLAIN, "mode_of_transposed": "kept"},
    "octave-rescale-voice": {"stages": PLAIN[:-2] + ", octave: 0.1, rescale: 0.1, drop_voice: 0.1}]"},
    "extra-none": {"stages": PLAIN, "extra": "none"},
    "extra-core": {"stages": PLAIN, "extra": "core"},
    "length-512": {"stages": PLAIN, "length": "512", "batch_size": "8"},
    "length-2048": {"stages": PLAIN, "length": "2048", "batch_size": "2"},
    "length-4096": {"stages": PLAIN, "length": "4096", "batch_size": "1"},
    "conditions-kept": {"stages": PLAIN, "condition_dropout": "0.0"},
    "crops-anywhere": {"stages": PLAIN, "begin_share": "0.0", "context_notes": "0"},
    "weights-averaged": {"stages": PLAIN, "ema_decay": "0.95"},
}
GROUPS = {"scratch": SCRATCH, "branch": BRANCH}


def ablation_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """The runs whose names begin with `ablation-`, against the first of their group (`ablation-GROUP-0-...`)."""
    names = {
        run["name"].removeprefix("ablation-"): best_of(run)
        for run in runs
        if run["name"].startswith("ablation-")
    }
    base: dict[str, float] = {}
    rows = []
    for name, best in sorted(names.items()):
        group = name.split("-")[0]
        reference = base.setdefault(group, best["nats_per_note"])
        terms = [f"{best[term]:.3f}" for term in TERMS]
        rows.append(
            [name, f"{best['nats_per_note']:.3f}", f"{best['nats_per_note'] - reference:+.3f}", *terms]
        )
    return table(["run", "nats a note", "difference", *TERMS], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the arms of a group one after another; the first one that fails ends it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", action="store_true", help="print what the runs that are kept have found")
    parser.add_argument("--group", choices=GROUPS)
    parser.add_argument("--data", help="DIR, a folder that dataset_builder wrote, configuration wtc-plus")
    parser.add_argument("--work", type=Path, help="where the runs live")
    parser.add_argument("--init-from", help="weights that the arms of `branch` begin with")
    parser.add_argument("--steps", type=int, default=80, help="steps an arm, of 4,096 tokens (default: 80)")
    parser.add_argument("--only", help="names of arms, by commas")
    given = parser.parse_args(argv)
    if given.table:
        print(ablation_table(kept_runs()))
        return 0
    if not (given.group and given.data and given.work):
        parser.error("give --group, --data and --work, or --table alone.")
    if (given.group == "branch") != bool(given.init_from):
        parser.error("--init-from belongs to --group branch, and that to it.")
    known = {row["name"] for row in kept_runs()}
    for name, changes in GROUPS[given.group].items():
        kept = f"ablation-{given.group}-{name}"
        if (given.only and name not in given.only.split(",")) or kept in known:
            continue
        run = given.work / kept
        fields = {**BASE, "max_steps": str(given.steps), **changes}
        if given.init_from:
            # Half the peak of the recipe, as in the middle of its fall.
            fields = {
                "init_from": given.init_from,
                "learning_rate": "1e-3",
                "matrix_learning_rate": "2e-3",
                **fields,
                "decay_ratio": "0.95",
            }
        else:
            fields = {"stages": "[{until: 1.0, transpose: 2, transpose_share: 0.5}]", **fields}
        fields["data"] = fields.get("data", "DIR").replace("DIR", given.data)
        command = [sys.executable, "-m", "training"]
        recipe = {"config": str(ROOT / "training/configs/wtc.yaml"), "output_dir": str(run)}
        for field, value in (recipe | fields).items():
            command += [f"--{field}", value]
        if code := subprocess.run(command, cwd=ROOT).returncode:
            return code
        print(keep_run(run, kept), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
