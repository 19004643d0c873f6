"""Make anew what the README shows of its second command, with the shipped model: `python docs/make_images.py`
(needs the extra `space` for the score).

The command stands in the README alone: to show another piece, change it there and run this.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from musicgpt.cli import generate
from space.engraving import engrave
from tokenization import musicxml_text, read_score

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
_COMMAND = re.compile(
    r'```bash\nmake generate ARGS="(?P<arguments>[^"]+)"\n```\n\n<!-- test: output'
    r" -->\n```text\n(?P<output>.*?)```",
    re.DOTALL,
)
NUM_LINES = 6  # description, three lines of notes, time and files


def main() -> None:
    """Run the README's second command, draw its piece, and put what it printed into the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = _COMMAND.search(readme)
    if found is None:
        raise SystemExit("The README has no second command with an output below it.")
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    with tempfile.TemporaryDirectory() as scratch:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.chdir(scratch):
            generate.run(parser.parse_args(shlex.split(found["arguments"])))
        [roll] = Path(scratch, "out").glob("*.png")
        IMAGES.mkdir(exist_ok=True)
        shutil.copyfile(roll, IMAGES / "fugue.png")
        [score] = Path(scratch, "out").glob("*.musicxml")
        beginning = engrave(musicxml_text(read_score(score).first_bars(4)))["pages"][0]
    # verovio draws in the page's text colour; in a picture of its own that is black on white.
    white = beginning.replace("<defs>", '<rect width="100%" height="100%" fill="white"/><defs>', 1)
    (IMAGES / "fugue_score.svg").write_text(white.replace("currentColor", "black"), encoding="utf-8")
    shown = "\n".join(said.getvalue().splitlines()[:NUM_LINES]) + "\n"
    (ROOT / "README.md").write_text(
        readme[: found.start("output")] + shown + readme[found.end("output") :], encoding="utf-8"
    )
    print(shown, end="")


if __name__ == "__main__":
    main()
