"""Five pieces around what is given, engraved for docs/given.md: `python docs/make_given.py` (extra `pdf`, and
poppler's `pdftoppm`). Composed by the shipped model; `--pdf FOLDER` keeps the pages to print, too.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from musicgpt import Composer, Composition, Given, Settings, parse_melody
from musicgpt.given import PARTS, RANGES, Region
from musicgpt.printing import write_pdf
from tokenization import Score

IMAGES = Path(__file__).resolve().parent / "images" / "given"
DOTS_PER_INCH, GREYS, EDGE = 110, 8, 12
SUBJECT = (
    "B4/4 E5/8 D#5/8 E5/8 G4/8 F#4/8 E4/8 | A4/8 C5/8 B4/8 E5/8 C#5/8 A#4/8 B4/4"  # goes to the dominant
)
HYMN = (
    "r/2. D5/4 | D5/4 B4 C5 D5 | E5/4 D5 D5/2 | B4/4 C5 D5 B4 | A4/2. A4/4 | B4/4 G4 A4 B4 | C5/4 B4 A4/2"
    " | D5/4 B4 A4 A4 | G4/2."
)
ALTO = "F4/4 G4 A4 F4 | Bb4/4 A4 G4/2 | A4/4 Bb4 A4 G4 | F4/4 E4 F4/2"
OUTER = (
    "A4/4 B4 C5 D5 | E5/2 D5 | C5/4 B4 A4 B4 | C5/4 B4 A4/2",
    "A3/4 G#3 A3 B3 | C4/2 B3 | A3/4 G#3 F3 E3 | E3/2 A2/2",
)


def results(composer: Composer) -> Iterator[tuple[str, Composition]]:
    """The pieces and their names."""
    settings = Settings(voices=3, key="E minor", seed=11, bars=16)
    [fugue] = composer.compose(settings, subject=SUBJECT)
    yield "fugue", fugue
    yield "revised", composer.revise(fugue, bars=(11, 12), voices=[1], seed=3)
    yield "hymn", composer.harmonize(HYMN, settings=Settings(key="G major", seed=2))
    yield "alto", composer.harmonize(ALTO, "alto", settings=Settings(key="F major", seed=4))
    high, low = (parse_melody(text).array for text in OUTER)
    low[:, 3] = 3
    outer = Score(np.concatenate([high, low]), key="A minor")
    ranges = tuple(RANGES[part] for part in PARTS)
    given = Given(outer, (Region(0, outer.end, (1, 2)),), 4, ranges=ranges, work="harmonized")
    yield "outer", composer.compose(Settings(seed=5), given=given)[0]


def draw(pdf: Path, png: Path) -> None:
    """All pages of a PDF in one picture, below each other, without their white edges."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["pdftoppm", "-r", str(DOTS_PER_INCH), "-gray", "-png", pdf, f"{scratch}/page"]
        subprocess.run(command, check=True)
        pages = [Image.open(file).copy() for file in sorted(Path(scratch).iterdir())]
    boxes = [ImageOps.invert(page).getbbox() for page in pages]
    parts = [
        page.crop((0, box[1] - EDGE, page.width, box[3] + EDGE))
        for page, box in zip(pages, boxes, strict=True)
    ]
    sheet = Image.new("L", (pages[0].width, sum(part.height for part in parts)), 255)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    sheet.quantize(GREYS).save(png, optimize=True)


def main() -> None:
    """Compose, engrave, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pdf", type=Path, help="folder for the pages")
    folder = parser.parse_args().pdf
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, piece in results(Composer.from_pretrained()):
        with tempfile.TemporaryDirectory() as scratch:
            pdf = (folder or Path(scratch)) / f"{name}.pdf"
            pdf.parent.mkdir(parents=True, exist_ok=True)
            write_pdf(piece.score, pdf)
            draw(pdf, IMAGES / f"{name}.png")
        print(f"{name}: {piece.num_prompt_notes} notes given, {piece.num_new_notes} new", flush=True)


if __name__ == "__main__":
    main()
