"""Write a folder that can be pushed to the Hub as a metric Space: `python -m musical_metrics.hub_folder --out
DIR`.

The folder holds this package, flat, and the modules of `tokenization` that it needs, so that the metric loads
from it (or from the Hub) with the packages of `requirements.txt` alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenization.interruption import errors_in_one_line

PACKAGE = Path(__file__).parent
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.part")


def write_hub_folder(out: Path, overwrite: bool = False) -> Path:
    """Write the folder, whole or not at all; an earlier export is replaced.

    Args:
        out (`Path`): where; its name is the metric's name.
        overwrite (`bool`): write into a folder that holds other files, too, which stay.

    Returns:
        `out`.

    Raises:
        FolderError: without `overwrite`, if `out` holds anything but an earlier export.
    """
    import tokenization
    from tokenization.folders import replacing_folder

    out = Path(out)
    with replacing_folder(out, "metric", overwrite) as folder:
        shutil.copytree(PACKAGE, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
        shutil.copytree(Path(tokenization.__file__).parent, folder / "tokenization", ignore=LEFT_OUT)
    return out


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m musical_metrics.hub_folder", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write; an earlier export is replaced"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="write into a folder with other files in it, too; they stay"
    )
    given = parser.parse_args(argv)
    print(write_hub_folder(given.out, given.overwrite))
    return 0


if __name__ == "__main__":
    sys.exit(main())
