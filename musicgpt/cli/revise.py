"""`musicgpt revise`: some bars of a piece composed anew."""

from __future__ import annotations

import argparse
import re

from musicgpt.cli.generate import add_output, add_sampling, compose_and_write, settings_from
from musicgpt.given import Given, GivenError

DESCRIPTION = "Compose some bars of a piece anew; what stands before, beside and after them stays."
EXAMPLES = """\
examples:
  musicgpt revise piece.mid --bars 9-12 --seed 5 --out out
  musicgpt revise piece.musicxml --bars 9-12 --voices 2 --seed 5 --out out
  musicgpt revise piece.mid --bars 4 --voices 1,3 --particles 32 --out out
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", metavar="FILE", help="a score: .mid, .musicxml, .mxl or a note table")
    parser.add_argument(
        "--bars",
        dest="span",
        required=True,
        help="first and last, such as 9-12, or one bar; an upbeat is bar 0",
    )
    parser.add_argument(
        "--voices", dest="chosen", help="such as 2 or 1,3, counted from the highest; default all of them"
    )
    parser.add_argument("--key", help='which it is in: "d minor", ...; default as the file says or sounds')
    add_sampling(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Compose, write and report."""
    from tokenization import read_score

    settings = settings_from(args)
    bars, voices = numbers(args.span, "--bars", "-"), None
    if args.chosen is not None:
        voices = [number - 1 for number in numbers(args.chosen, "--voices", ",")]
    given = Given.around(read_score(args.file, key=args.key), (bars[0], bars[-1]), voices)
    return compose_and_write(args, settings, threads=2, given=given)


def numbers(text: str, option: str, between: str) -> list[int]:
    """Whole numbers from an option's text; of those with `-` between them two at most.

    Raises:
        GivenError: naming the option.
    """
    parts = [part.strip() for part in text.split(between)]
    if not all(re.fullmatch(r"\d{1,6}", part) for part in parts) or (between == "-" and len(parts) > 2):
        raise GivenError(
            f"{option} is {text!r}; write numbers such as {'9-12' if between == '-' else '1,3'}."
        )
    return [int(part) for part in parts]
