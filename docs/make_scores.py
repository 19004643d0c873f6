"""Twelve pieces to look at as sheet music: `python docs/make_scores.py FOLDER` (extra `pdf`).

Composed by the shipped model with 2 to 5 voices, in simple and compound meters, in few and many flats, and
written as MusicXML and PDF. Three of the PDFs replace those in `docs/samples`. With `--mscore PROGRAM`
MuseScore prints its own pages of each beside them; pieces that are in the folder already are only printed
anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

from musicgpt import Composer, Settings
from musicgpt.printing import write_pdf
from tokenization import read_score, write_musicxml

SAMPLES = Path(__file__).resolve().parent / "samples"
# Key, form, voices, meter; each has its own seed, so that a changed line leaves the others as they are.
PIECES = (
    ("C major", "prelude", 2, "4/4"),
    ("C minor", "fugue", 3, "4/4"),
    ("B-flat minor", "fugue", 5, "4/4"),
    ("E-flat minor", "fugue", 4, "3/4"),
    ("F minor", "prelude", 2, "6/8"),
    ("G major", "fugue", 3, "6/8"),
    ("E major", "prelude", 2, "9/8"),
    ("A-flat major", "fugue", 4, "3/8"),
    ("D-flat major", "prelude", 3, "3/8"),
    ("D minor", "fugue", 2, "12/16"),
    ("B minor", "prelude", 4, "3/4"),
    ("G minor", "prelude", 3, "12/8"),
)
SHOWN = (1, 2, 11)  # those whose PDFs stand in `docs/samples`
FIRST_SEED = 100


def print_again(scores: list[Path], mscore: str | None) -> None:
    """Write each score anew as MusicXML and PDF, and MuseScore's pages beside them as `NAME_mscore.pdf`."""
    for path in scores:
        score = read_score(path)
        write_musicxml(score, path)
        write_pdf(score, path.with_suffix(".pdf"))
        if mscore is not None:
            target = path.with_name(f"{path.stem}_mscore.pdf")
            environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
            subprocess.run([mscore, "-o", target, path], check=True, capture_output=True, env=environment)


def main() -> None:
    """Compose what is not there yet, print all, and put three into `docs/samples`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mscore", help="the program that prints MuseScore's pages, such as mscore3")
    arguments = parser.parse_args()
    scores: list[Path] = []
    composer = Composer.from_pretrained()
    for number, (key, form, voices, meter) in enumerate(PIECES):
        seed = FIRST_SEED + number
        found = list(arguments.folder.glob(f"*_seed-{seed}.musicxml"))
        if not found:
            [piece] = composer.compose(Settings(key=key, form=form, voices=voices, meter=meter, seed=seed))
            found = piece.write(arguments.folder, ("musicxml",))
        scores += found
    print_again(scores, arguments.mscore)
    for old in SAMPLES.glob("*.pdf"):
        old.unlink()
    for number in SHOWN:
        shutil.copy(scores[number].with_suffix(".pdf"), SAMPLES)
    print("\n".join(str(path) for path in scores))


if __name__ == "__main__":
    main()
