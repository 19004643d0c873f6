"""Write a folder that can be pushed to the Hub as a metric Space: `python -m musical_metrics.hub_folder --out DIR`.

The folder holds this package, flat, and the modules of `tokenization` that it needs, so that the metric loads from it (or from the
Hub) with the packages of `requirements.txt` alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parent
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.part")


def write_hub_folder(out: Path) -> Path:
    """Write the folder, whole or not at all; an existing one is replaced.

    Args:
        out (`Path`): where; its name is the metric's name.

    Returns:
        `out`.
    """
    import tokenization

    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        folder = Path(temporary) / "folder"
        shutil.copytree(PACKAGE, folder, ignore=LEFT_OUT)
        shutil.copytree(Path(tokenization.__file__).parent, folder / "tokenization", ignore=LEFT_OUT)
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    print(write_hub_folder(parser.parse_args().out))


if __name__ == "__main__":
    main()
