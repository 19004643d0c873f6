"""Short pieces: does each end on the tonic triad on a strong beat, whatever its tokens, and are these used up?

    python -m benchmarks.endings [--model DIR] [--pieces 1000] [--first-seed 0] [--tokens 256 700]

Piece k has the seed first + k, and a budget of new tokens, form, meter, mode, key, number of voices and tempo drawn with this
seed, or none of what may be left out. One that fails is named with its settings; exit code 1 if one does. After
every 25 pieces it says how many have failed, and which share of their tokens the pieces have left.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenization.key import Key
from tokenization.score import DURATION, ONSET, PITCH
from tokenization.vocabulary import FORMS, METERS, TEMPO_CLASSES, TYPE_INDEX, TYPE_OF_ID

if TYPE_CHECKING:
    from musicgpt import Composition, Settings

# A share of the tokens that is much to leave.
FAR = 0.03
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def asked(seed: int, tokens: tuple[int, int]) -> Settings:
    """What the piece of a seed is asked to be; `tokens`: the fewest and the most."""
    from musicgpt import Settings

    rng = np.random.default_rng((seed, 9))

    def one(values: tuple) -> Any:
        return values[int(rng.integers(len(values)))]

    return Settings(
        key=f"{one(TONICS)} {one(('major', 'minor'))}",
        form=one((None, *FORMS)),
        meter=one(METERS),
        voices=one((None, 2, 3, 4, 5)),
        tempo=one((None, *TEMPO_CLASSES)),
        max_new_tokens=int(rng.integers(tokens[0], tokens[1], endpoint=True)),
        seed=seed,
    )


def new_tokens(piece: Composition) -> int:
    """Its tokens behind the prefix, the first step's counted."""
    return len(piece.ids) - int(np.argmax(TYPE_OF_ID[np.array(piece.ids)] == TYPE_INDEX["TIME"]))


def fault(piece: Composition) -> str | None:
    """What is wrong with the end of a piece: the first of the things that must hold, or `None`."""
    score = piece.score
    array, key = score.array, Key.parse(str(score.key))
    last = int(array[-1, ONSET])
    sounding = array[array[:, ONSET] + array[:, DURATION] > last]
    third = (4,) if key.mode == "major" else (3, 4)
    degrees = {(int(pitch) - key.pitch_class) % 12 for pitch in sounding[:, PITCH]}
    tests = {
        "it was cut off": piece.finished,
        "it has more tokens than asked for": new_tokens(piece) <= (piece.settings.max_new_tokens or 2**40),
        "the final chord is not struck at a bar line": last in score.bar_lines(),
        "the lowest voice does not have the tonic": (int(sounding[:, PITCH].min()) - key.pitch_class) % 12
        == 0,
        f"degrees {sorted(degrees)} are no tonic triad": degrees <= {0, *third, 7}
        and len(degrees & {3, 4}) < 2,
    }
    return next((what for what, holds in tests.items() if not holds), None)


def main() -> int:
    """The command line."""
    from musicgpt import Composer
    from training.models import load_model

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="shipped", help="folder, Hub id, or `shipped` (default)")
    parser.add_argument("--pieces", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds go up from here (default 0)")
    parser.add_argument(
        "--tokens", type=int, nargs=2, default=(256, 700), help="fewest and most (default 256 700)"
    )
    given = parser.parse_args()
    composer, failed, left = Composer(load_model(given.model)), 0, []
    for k in range(given.pieces):
        wanted = asked(given.first_seed + k, tuple(given.tokens))
        [piece] = composer.compose(wanted)
        if what := fault(piece):
            failed += 1
            print(f"seed {piece.seed}: {what}. {wanted.to_dict()}", flush=True)
        left.append(1 - new_tokens(piece) / wanted.max_new_tokens)
        if k % 25 == 24 or k + 1 == given.pieces:
            middle, most = 100 * np.percentile(left, [50, 95])
            far = sum(share > FAR for share in left)
            print(
                f"{failed} of {k + 1} pieces fail; of their tokens they have left {middle:.1f} % (median),"
                f" {most:.1f} % (95th percentile); more than {FAR:.0%}: {far}",
                flush=True,
            )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
