"""`musicgpt export`: folders that can be uploaded to the Hub as they are."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tokenization.errors import MusicGPTError

DESCRIPTION = "Write a folder that can be uploaded to the Hub as it is, and that needs nothing of this project: model, dataset, metric or space."
EXAMPLES = """\
examples:
  musicgpt export model --out hub/model
  musicgpt export metric --out hub/metric
  musicgpt export space --out hub/space --repo USER/musicgpt
  musicgpt export dataset --source my_scores --out hub/dataset
  musicgpt export all --source my_scores --out hub
"""
KINDS = ("model", "dataset", "metric", "space")
# The name of the metric's folder is the metric's name for `evaluate.load`.
FOLDERS = {"model": "model", "dataset": "dataset", "metric": "musical_metrics", "space": "space"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("kind", nargs="?", default="model", choices=(*KINDS, "all"), help="what to export (default: model); all: the four below --out")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write; an existing one is replaced")
    parser.add_argument("--model", type=Path, metavar="DIR", help="model, all: a checkpoint; default the shipped one")
    parser.add_argument("--source", action="append", metavar="SOURCE", help="dataset, all: as for `musicgpt build-dataset`")
    parser.add_argument("--config", action="append", metavar="CONFIG", help="dataset, all: as for `musicgpt build-dataset`")
    parser.add_argument("--repo", metavar="USER/NAME", help="space: its name on the Hub, for its README")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Write the folders and say where they are."""
    kinds = KINDS if args.kind == "all" else (args.kind,)
    written = {}
    for kind in kinds:
        out = args.out / FOLDERS[kind] if args.kind == "all" else args.out
        _WRITERS[kind](args, out)
        written[kind] = describe(out)
        if not args.json:
            print(f"{kind}: {out}, {written[kind]['files']} files, {written[kind]['megabytes']} MB")
    if args.json:
        print(json.dumps(written, indent=2))
    return 0


def describe(folder: Path) -> dict[str, object]:
    """Path, number of files and size of a folder."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {"path": str(folder), "files": len(files), "megabytes": round(sum(p.stat().st_size for p in files) / 1e6, 1)}


def _model(args: argparse.Namespace, out: Path) -> None:
    from musicgpt.hub_model import write_model_folder

    write_model_folder(out, args.model)


def _dataset(args: argparse.Namespace, out: Path) -> None:
    from dataset_builder.build import BuildOptions, build_dataset

    if not args.source:
        raise MusicGPTError("A data set needs scores: give --source with a folder of scores, or --source music21.")
    build_dataset(BuildOptions(out=out, source=tuple(args.source), configs=tuple(args.config or ("wtc-plus",))))


def _metric(args: argparse.Namespace, out: Path) -> None:
    from musical_metrics.hub_folder import write_hub_folder

    write_hub_folder(out)


def _space(args: argparse.Namespace, out: Path) -> None:
    import shutil

    from space.deploy import assemble

    if (out / "app.py").is_file():
        shutil.rmtree(out)  # an earlier export; any other folder with something in it is refused
    assemble(out, args.repo)


_WRITERS = {"model": _model, "dataset": _dataset, "metric": _metric, "space": _space}
