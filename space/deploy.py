"""`python -m space.deploy`: assembles a folder that is a whole Space, and uploads it.

The folder needs nothing of this repository: the packages stand in it, with the weights unless they come from
the Hub.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tokenization.errors import MusicGPTError
from tokenization.folders import replacing_folder
from tokenization.hub import upload_folder

# What is copied. The Space neither trains nor builds data sets.
PACKAGES = ("tokenization", "modeling_musicgpt", "musical_metrics", "musicgpt", "space")
TOP_FILES = ("README.md", "requirements.txt", ".gitattributes", ".gitignore")
LICENCES = ("LICENSE", "LICENSE-WEIGHTS.md")
NAMED_HERE = "USER/NAME"
MESSAGE = "The Space, assembled anew"  # of the commit

APP = '''"""The entry of the Space; what it does is in the folder `space`."""

import os

os.environ.setdefault("GRADIO_SERVER_NAME", "0.0.0.0")
{model}
# The processes beside the server import this file again, under another name: they start no server.
if __name__ == "__main__":
    import argparse

    from space.cli import add_arguments, build, serve

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args()
    demo, studio = build(options)
    serve(demo, studio, options)
'''


def _front_matter(readme: str, repo: str | None, model: str | None) -> str:
    """The README with the Space's own name, and with the model that it loads from the Hub."""
    if repo:
        readme = readme.replace(NAMED_HERE, repo)
    if model:
        head, rest = readme[4:].split("\n---\n", 1)
        readme = f"---\n{head}\nmodels:\n  - {model}\npreload_from_hub:\n  - {model}\n---\n{rest}"
    return readme


def _copy_package(name: str, out: Path, with_weights: bool) -> None:
    source = _root_of(name)
    # The engine's library is built where the Space runs, at its first use.
    ignored = ["__pycache__", "*.pyc", "lib", *([".*.part", *TOP_FILES] if name == "space" else [])]
    if name == "modeling_musicgpt" and not with_weights:
        ignored.append("checkpoint")
    shutil.copytree(source, out / name, ignore=shutil.ignore_patterns(*ignored))


def assemble(out: Path, repo: str | None = None, model: str | None = None, overwrite: bool = False) -> Path:
    """Write the Space into a folder.

    Args:
        out (`Path`): where; it appears whole or not at all, and an earlier export is replaced.
        repo (`str`, *optional*): `USER/NAME` of the Space, for the example in its README.
        model (`str`, *optional*): name of a model on the Hub to load; the shipped weights are copied when not
            given.
        overwrite (`bool`): write into a folder that holds other files, too, which stay.

    Raises:
        MusicGPTError: without `overwrite` if the folder holds anything but an earlier export, or if there are
            no weights to copy.
    """
    if model is None and not (_root_of("modeling_musicgpt") / "checkpoint" / "model.safetensors").is_file():
        raise MusicGPTError("There are no shipped weights to copy; name a model on the Hub with --model.")
    here = _root_of("space")
    with replacing_folder(out, "space", overwrite) as folder:
        for name in PACKAGES:
            _copy_package(name, folder, with_weights=model is None)
        for name in TOP_FILES:
            shutil.copy2(here / name, folder / name)
        (folder / "README.md").write_text(
            _front_matter((here / "README.md").read_text("utf-8"), repo, model), "utf-8"
        )
        for name in LICENCES:
            if (here.parent / name).is_file():
                shutil.copy2(here.parent / name, folder / name)
        line = f'os.environ.setdefault("MUSICGPT_MODEL", "{model}")\n' if model else ""
        (folder / "app.py").write_text(APP.format(model=line), "utf-8")
    return out


def _root_of(package: str) -> Path:
    """The folder of a package, found without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MusicGPTError(f"The package {package} is not installed.")
    return Path(spec.origin).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    import tempfile

    parser = argparse.ArgumentParser(
        prog="python -m space.deploy", description="Assemble the Space and upload it."
    )
    parser.add_argument("--repo", metavar="USER/NAME", help="the Space on the Hub; made if it is not there")
    parser.add_argument(
        "--dry-run", metavar="DIR", type=Path, help="write the folder there and upload nothing"
    )
    parser.add_argument(
        "--model",
        metavar="USER/MODEL",
        help="load this model from the Hub instead of copying the shipped weights",
    )
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="with --dry-run: into a folder with other files in it, too; they stay",
    )
    given = parser.parse_args(arguments)
    try:
        if given.dry_run:
            folder = assemble(given.dry_run, given.repo, given.model, given.overwrite)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            print(f"{folder}: {size / 1e6:.1f} MB; start it with: python app.py")
            return 0
        if not given.repo or given.repo.count("/") != 1:
            raise MusicGPTError(
                "Name the Space with --repo USER/NAME, or write it into a folder with --dry-run DIR."
            )
        with tempfile.TemporaryDirectory() as scratch:
            folder = assemble(Path(scratch) / "space", given.repo, given.model)
            # What the folder no longer has is deleted there.
            print(upload_folder(folder, given.repo, "space", given.private, MESSAGE, replace=True))
    except MusicGPTError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
