"""`musicgpt harmonize`: the other voices to a melody."""

from __future__ import annotations

import argparse

from musicgpt.cli.generate import add_output, add_sampling, compose_and_write, settings_from
from musicgpt.given import PARTS, as_melody, voice_of
from tokenization.vocabulary import METERS, TEMPO_CLASSES

DESCRIPTION = "Compose the other voices to a melody, which stays as it is."
EXAMPLES = """\
examples:
  musicgpt harmonize "G4/4 G4 A4 B4 | C5/2 B4 | D5/4 C5 B4 A4 | G4/1" --seed 7 --out out
  musicgpt harmonize hymn.mid --as soprano --voices 4 --out out
  musicgpt harmonize bass.musicxml --as bass --voices 3 --key "g minor" --out out
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "melody",
        metavar="FILE|TEXT",
        help="a score of one voice, or notes such as C5/8: name, octave, value",
    )
    parser.add_argument(
        "--as", dest="part", default="soprano", help=f"which voice it is: {', '.join(PARTS)}; default soprano"
    )
    parser.add_argument("--voices", type=int, default=4, help="2 to 5; default 4")
    parser.add_argument("--key", help='which it is in: "d minor", ...; default as the file says, or sounds')
    parser.add_argument("--meter", help=f"of a melody that is text: one of {', '.join(METERS)}; default 4/4")
    parser.add_argument("--tempo", help=f"{', '.join(TEMPO_CLASSES)}")
    add_sampling(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Compose, write and report."""
    settings = settings_from(args)
    voice_of(args.part, args.voices)
    melody = as_melody(args.melody, settings.meter)
    return compose_and_write(args, settings, threads=2, melody=melody, part=args.part)
