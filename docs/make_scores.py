"""Twelve pieces to look at as sheet music: `python docs/make_scores.py FOLDER` (extra `pdf`).

Composed by the shipped model with 2 to 5 voices, in simple and compound meters, in few and many flats, and
written as MusicXML and PDF. Three of the PDFs replace those in `docs/samples`. With `--mscore PROGRAM`
MuseScore prints its own pages of each beside them, and `docs/samples/pages` gets a picture of all pages of
each piece, ours above MuseScore's (by poppler's `pdftoppm`); pieces that are in the folder already are only
printed anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

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
DOTS_PER_INCH, GREYS = 60, 8


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


def pages(pdf: Path) -> list[Image.Image]:
    """Pictures of the pages of a PDF."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["pdftoppm", "-r", str(DOTS_PER_INCH), "-gray", "-png", pdf, f"{scratch}/page"]
        subprocess.run(command, check=True)
        return [Image.open(file).copy() for file in sorted(Path(scratch).iterdir())]


def draw_pages(score: Path, folder: Path) -> None:
    """All pages of a score in one picture, ours in the first row, MuseScore's in the second."""
    rows = [pages(score.with_suffix(".pdf")), pages(score.with_name(f"{score.stem}_mscore.pdf"))]
    width, height = (max(getattr(page, side) for row in rows for page in row) for side in ("width", "height"))
    sheet = Image.new("L", (width * max(map(len, rows)), height * len(rows)), 255)
    for y, row in enumerate(rows):
        for x, page in enumerate(row):
            sheet.paste(page, (x * width, y * height))
    sheet.quantize(GREYS).save(folder / f"{score.stem}.png", optimize=True)


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
    if arguments.mscore is not None:
        shutil.rmtree(SAMPLES / "pages", ignore_errors=True)
        (SAMPLES / "pages").mkdir()
        for score in scores:
            draw_pages(score, SAMPLES / "pages")
    print("\n".join(str(path) for path in scores))


if __name__ == "__main__":
    main()
