"""`musicgpt push`: upload what `musicgpt export` wrote."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tokenization.errors import MusicGPTError

from .export import FOLDERS, KINDS, describe

DESCRIPTION = (
    "Upload exported folders to the Hub: shows the plan, asks, then makes each repository in one commit."
)
EXAMPLES = """\
examples:
  musicgpt export all --source my_scores --out hub
  musicgpt push --all USER --from hub --dry-run
  musicgpt push --all USER --from hub
  musicgpt push model --repo USER/my-fugues --from hub/model

Log in first with `hf auth login`, or set HF_TOKEN.
"""
# The repository's name after the user's, its type on the Hub, and a file that the folder must have.
_HUB = {
    "model": ("musicgpt-wtc", "model", "model.safetensors"),
    "dataset": ("musicgpt-wtc", "dataset", "README.md"),
    "metric": ("musical_metrics", "space", "musical_metrics.py"),
    "space": ("musicgpt", "space", "app.py"),
}


class Step(NamedTuple):
    """One repository of the plan."""

    kind: str
    repo: str
    repo_type: str
    folder: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("kind", nargs="?", choices=KINDS, help="push this one folder")
    parser.add_argument(
        "--all", metavar="USER", help="push all four folders below --from to repositories of this user"
    )
    parser.add_argument("--repo", metavar="USER/NAME", help="where a single folder goes")
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, metavar="DIR", help="what `musicgpt export` wrote"
    )
    parser.add_argument("--private", action="store_true", help="make new repositories private")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and upload nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def plan(args: argparse.Namespace) -> list[Step]:
    """What would be uploaded where.

    Raises:
        MusicGPTError: if a folder is missing or is not what it should be, or no repository is named.
    """
    if bool(args.all) == bool(args.kind):
        raise MusicGPTError(
            "Say what to push: --all USER, or one of model, dataset, metric, space with --repo USER/NAME."
        )
    if args.all:
        if "/" in args.all:
            raise MusicGPTError(f"--all takes the name of a user or organisation, not {args.all!r}.")
        steps = [
            Step(kind, f"{args.all}/{_HUB[kind][0]}", _HUB[kind][1], args.source / FOLDERS[kind])
            for kind in KINDS
        ]
    else:
        if not args.repo or args.repo.count("/") != 1:
            raise MusicGPTError("Name the repository: --repo USER/NAME.")
        steps = [Step(args.kind, args.repo, _HUB[args.kind][1], args.source)]
    for step in steps:
        if not (step.folder / _HUB[step.kind][2]).is_file():
            raise MusicGPTError(
                f"No {step.kind} in {step.folder}: run `musicgpt export {step.kind} --out {step.folder}`"
                " first."
            )
    return steps


def run(args: argparse.Namespace) -> int:
    """Show the plan; unless it is a dry run, ask and upload."""
    steps = plan(args)
    rows = [
        {"kind": s.kind, "repo": s.repo, "type": s.repo_type, "private": args.private, **describe(s.folder)}
        for s in steps
    ]
    if args.json:
        print(json.dumps({"plan": rows, "dry_run": args.dry_run}, indent=2))
    else:
        print("plan:")
        for row in rows:
            print(
                f"  {row['kind']:<8} {row['path']} ({row['files']} files, {row['megabytes']} MB) ->"
                f" {row['type']} {row['repo']}"
            )
    if args.dry_run:
        return 0
    if not args.yes and not _confirmed():
        print("nothing was uploaded", file=sys.stderr)
        return 1
    for step in steps:
        print(f"{step.kind}: {upload(step, args.private)}")
    return 0


def _confirmed() -> bool:
    try:
        return input("upload? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def upload(step: Step, private: bool = False, hub: Any = None) -> str:
    """Upload one folder of the plan; see `tokenization.hub.upload_folder`."""
    from tokenization.hub import upload_folder

    return upload_folder(
        step.folder, step.repo, step.repo_type, private, f"The {step.kind}, as musicgpt export wrote it", hub
    )
