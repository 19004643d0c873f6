"""`musicgpt export`: folders that can be uploaded to the Hub as they are."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tokenization.errors import MusicGPTError

DESCRIPTION = (
    "Write a folder that can be uploaded to the Hub as it is, and that needs nothing of this project: model,"
    " dataset, metric or space."
)
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
    parser.add_argument(
        "kind",
        nargs="?",
        default="model",
        choices=(*KINDS, "all"),
        help="what to export (default: model); all: the four below --out",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder to write; an earlier export there is replaced",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=(
            "write into a folder with other files in it, too; they stay unless one has the name of a new one"
        ),
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="model, all: a checkpoint; default the shipped one"
    )
    parser.add_argument(
        "--source", action="append", metavar="SOURCE", help="dataset, all: as for `musicgpt build-dataset`"
    )
    parser.add_argument(
        "--config", action="append", metavar="CONFIG", help="dataset, all: as for `musicgpt build-dataset`"
    )
    parser.add_argument("--repo", metavar="USER/NAME", help="space: its name on the Hub, for its README")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Write the folders and say where they are."""
    from tokenization.folders import check_folder

    kinds = KINDS if args.kind == "all" else (args.kind,)
    places = {kind: args.out / FOLDERS[kind] if args.kind == "all" else args.out for kind in kinds}
    for kind, out in places.items():
        check_folder(out, kind, args.overwrite)  # all of them before the first is written
    written: dict[str, dict[str, object]] = {}
    for kind, out in places.items():
        try:
            _WRITERS[kind](args, out)
        except KeyboardInterrupt as error:
            error.add_note(f"Already written: {', '.join(str(places[k]) for k in written) or 'nothing'}.")
            raise
        written[kind] = describe(out)
        if not args.json:
            print(f"{kind}: {out}, {written[kind]['files']} files, {written[kind]['megabytes']} MB")
    if args.json:
        print(json.dumps(written, indent=2))
    return 0


def describe(folder: Path) -> dict[str, object]:
    """Path, number of files and size of a folder."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {
        "path": str(folder),
        "files": len(files),
        "megabytes": round(sum(p.stat().st_size for p in files) / 1e6, 1),
    }


def _model(args: argparse.Namespace, out: Path) -> None:
    from musicgpt.hub_model import write_model_folder

    write_model_folder(out, args.model, args.overwrite)


def _dataset(args: argparse.Namespace, out: Path) -> None:
    from dataset_builder.build import BuildOptions, build_dataset

    if not args.source:
        raise MusicGPTError(
            "A data set needs scores: give --source with a folder of scores, or --source music21."
        )
    configs = tuple(args.config or ("wtc-plus",))
    build_dataset(BuildOptions(out=out, source=tuple(args.source), configs=configs, overwrite=args.overwrite))


def _metric(args: argparse.Namespace, out: Path) -> None:
    from musical_metrics.hub_folder import write_hub_folder

    write_hub_folder(out, args.overwrite)


def _space(args: argparse.Namespace, out: Path) -> None:
    from space.deploy import assemble

    assemble(out, args.repo, overwrite=args.overwrite)


_WRITERS = {"model": _model, "dataset": _dataset, "metric": _metric, "space": _space}
