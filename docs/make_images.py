"""Make the README's pictures anew with the shipped model: `python docs/make_images.py` (needs the extra `space` for the score)."""

from __future__ import annotations

from pathlib import Path

from musicgpt import Composer, Settings
from musicgpt.piano_roll import write_png
from space.engraving import engrave
from tokenization import musicxml_text

IMAGES = Path(__file__).parent / "images"
SETTINGS = Settings(key="d minor", form="fugue", voices=3, seed=7)


def main() -> None:
    """Compose the piece of the README's second command and draw it."""
    [piece] = Composer.from_pretrained().compose(SETTINGS)
    IMAGES.mkdir(exist_ok=True)
    write_png(piece.score, IMAGES / "fugue.png")
    beginning = engrave(musicxml_text(piece.score.first_bars(4)))["pages"][0]
    # verovio draws in the page's text colour; in a picture of its own that is black on white.
    white = beginning.replace("<defs>", '<rect width="100%" height="100%" fill="white"/><defs>', 1)
    (IMAGES / "fugue_score.svg").write_text(white.replace("currentColor", "black"), encoding="utf-8")
    print(f"{len(piece.score)} notes, {piece.score.num_bars} bars -> {IMAGES}")


if __name__ == "__main__":
    main()
