"""The piece that is on the page when it opens: composed by the shipped model, kept as notes, performed when
the server starts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from tokenization import MusicGPTError, Score

from .session import Candidate, Session, Take
from .studio import Studio

PIECE = Path(__file__).parent / "examples" / "welcome.json"


def load_welcome() -> Candidate:
    """The shipped piece, without files."""
    data = json.loads(PIECE.read_text("utf-8"))
    return Candidate(
        Score.from_dict(data["score"]),
        data["stem"],
        seed=data["seed"],
        seconds=data["seconds"],
        ended=data["ended"],
    )


class Welcome:
    """The shipped piece and what is made of it once for all visitors.

    Args:
        studio (`Studio`): makes the files, in a folder that is never swept.
    """

    def __init__(self, studio: Studio):
        self._studio = studio
        self._candidate = load_welcome()
        self._made: Future[None] | None = None

    def start(self) -> None:
        """Make files, score, figures and sound in the background."""
        session = Session(takes=[Take([self._candidate])])
        session.keep_in(self._studio.folders.keep("welcome"))

        def work() -> None:
            for _ in self._studio.finish(session, "wide"):
                pass

        self._made = self._studio.in_background(work)

    def wait(self, seconds: float) -> bool:
        """Whether everything is made, or cannot be, after waiting at most so long; what is missing then is
        made for each visitor.
        """
        if self._made is None:
            return True
        try:
            self._made.result(seconds)
        except TimeoutError:
            return self._made.done()
        except MusicGPTError:
            pass
        return True

    def candidate(self) -> Candidate:
        """The piece for one visitor: what is made is shared, what the visitor makes of it is not."""
        return replace(self._candidate, made=dict(self._candidate.made))


def main(arguments: Sequence[str] | None = None) -> None:
    """Compose the piece anew: `python -m space.welcome --seed 7 --key "C minor" ...`, writing
    `space/examples/welcome.json`.
    """
    from musicgpt import Composer, Settings
    from tokenization.midi_writer import write_whole

    parser = argparse.ArgumentParser(description="Compose the piece that is on the page when it opens.")
    parser.add_argument("--model", help="folder or Hub name; the shipped model when not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--key", default="C minor")
    parser.add_argument("--form", default="fugue")
    parser.add_argument("--meter", default="4/4")
    parser.add_argument("--voices", type=int, default=3)
    parser.add_argument("--tempo", default="moderate")
    parser.add_argument("--max-tokens", dest="max_new_tokens", metavar="MAX_TOKENS", type=int, default=1000)
    given = vars(parser.parse_args(arguments))
    model, settings = given.pop("model"), Settings(**given)
    [piece] = Composer.from_pretrained(model).compose(settings)
    data = {
        "stem": piece.file_stem(),
        "seed": piece.seed,
        "seconds": round(piece.seconds, 1),
        "ended": "the model" if piece.finished else "the limit",
        "settings": settings.to_dict(),
        "score": piece.score.to_dict(),
    }
    PIECE.parent.mkdir(exist_ok=True)
    write_whole(PIECE, json.dumps(data, indent=None, separators=(",", ":")).encode())
    print(f"{PIECE}: {len(piece.score)} notes, {piece.score.num_bars} bars")


if __name__ == "__main__":
    main()
