"""`musicgpt listening-test`: write a blind listening test as one page, and analyse what listeners saved."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Write a listening test: one HTML page that works offline, in which listeners say which of two pieces is by
Bach and how much they like each. Beside the page stands its key, which listeners must not get. `analyse`
reads the answers that they saved."""
EXAMPLES = """\
examples:
  musicgpt listening-test --bach bach --pieces out --out test.html
  musicgpt listening-test --bach bach --pieces out --out test.html --trials 12 --whole --seed 3
  musicgpt listening-test analyse answers-*.json --key test.key.json

It needs the extra `listening`: pip install 'musicgpt-wtc[listening]'.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="analyse FILE ...",
        help="analyse these answers in place of writing a test",
    )
    parser.add_argument("--bach", metavar="FOLDER", help="scores by Bach")
    parser.add_argument("--pieces", metavar="FOLDER", help="the other scores")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("test.html"),
        metavar="HTML",
        help="the page (default test.html); its key is named after it",
    )
    parser.add_argument(
        "--trials", type=int, default=24, help="pairs, without three catch trials (default 24)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        nargs=2,
        default=(30.0, 60.0),
        metavar=("LEAST", "MOST"),
        help="length of excerpts (default 30 60)",
    )
    parser.add_argument("--whole", action="store_true", help="whole pieces in place of excerpts")
    parser.add_argument(
        "--instrument",
        default="piano",
        choices=("piano", "harpsichord", "organ"),
        help="one for all (default piano)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default 0)")
    parser.add_argument("--key", type=Path, metavar="JSON", help="with analyse: the key of the test")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="with analyse: also write all figures to this file"
    )


def run(args: argparse.Namespace) -> int:
    """Write the test, or analyse answers.

    Raises:
        MusicGPTError: what is wrong with the arguments, the scores or the answers.
    """
    from tokenization.errors import MusicGPTError

    if args.words and args.words[0] != "analyse":
        raise MusicGPTError(
            f"Unknown word {args.words[0]!r}: it must be `analyse`, followed by files of answers."
        )
    return _analyse(args) if args.words else _write(args)


def _write(args: argparse.Namespace) -> int:
    from space.listening.design import design, listeners_needed, read_folder
    from space.listening.page import write_test
    from tokenization.errors import MusicGPTError

    if not args.bach or not args.pieces:
        raise MusicGPTError(
            "Both --bach FOLDER and --pieces FOLDER are needed; `analyse FILE ...` reads answers."
        )
    trials = design(
        read_folder(args.bach),
        read_folder(args.pieces),
        args.trials,
        None if args.whole else tuple(args.seconds),
        args.seed,
    )
    key = write_test(trials, args.out, args.seed, args.instrument)
    answers, listeners = listeners_needed(args.trials)
    print(
        f"wrote {args.out} ({args.out.stat().st_size / 2**20:.1f} MB, {len(trials)} pairs) and {key}, which"
        " listeners must not get"
    )
    print(
        f"to show less than 55 % detection with 80 % power: about {answers} independent answers, so about"
        f" {listeners} listeners"
    )
    return 0


def _analyse(args: argparse.Namespace) -> int:
    import json

    from space.listening.analysis import analyse, collect, read_json, report
    from tokenization.errors import MusicGPTError
    from tokenization.midi_writer import write_whole

    if len(args.words) < 2 or args.key is None:
        raise MusicGPTError(
            "`analyse` needs files of answers and --key JSON, the key that was written beside the page."
        )
    found = analyse(collect([read_json(path) for path in args.words[1:]], read_json(args.key)))
    print(report(found))
    if args.json:
        write_whole(args.json, json.dumps(found, indent=1).encode())
    return 0
