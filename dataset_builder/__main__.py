"""`python -m dataset_builder`: build a dataset from scores, and push it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenization.interruption import errors_in_one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on a parser (the console command `musicgpt build-dataset` shares
    them).
    """
    _add_what_is_read(parser)
    _add_how_it_is_read(parser)
    _add_what_is_written(parser)


def _add_what_is_read(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        action="append",
        metavar="SOURCE",
        help=(
            "a folder of scores, 'music21' (its own corpus, nothing to download; the default) or 'download';"
            " may be given several times"
        ),
    )
    parser.add_argument(
        "--config",
        action="append",
        dest="configs",
        metavar="CONFIG",
        help=(
            "preludes, fugues, wtc or wtc-plus (the default); may be given several times, the first is then"
            " the default of the dataset"
        ),
    )
    parser.add_argument(
        "--route",
        default="notes",
        choices=("notes", "midi", "musicxml"),
        help="which form of catalogued pieces to read",
    )
    parser.add_argument("--preset", help="a named selection: seed33")
    parser.add_argument(
        "--without-source",
        action="append",
        dest="without_sources",
        metavar="NAME",
        help="leave out the pieces of one source, such as open_music_score",
    )
    parser.add_argument(
        "--manifest", metavar="CSV", help="for 'download': a list of files other than the built-in one"
    )
    parser.add_argument(
        "--base-url",
        metavar="URL",
        help="for 'download': where to fetch from in place of the files' own address",
    )
    parser.add_argument("--download-dir", metavar="DIR", help="for 'download': where the files are kept")


def _add_how_it_is_read(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--written-out",
        action="store_true",
        help="the files write out repeats and trills as notes: fold them back",
    )
    parser.add_argument(
        "--staff-voices",
        action="store_true",
        help=(
            "where the notation has layers in place of parts (most preludes), make each staff one voice, in"
            " place of separating voices"
        ),
    )
    parser.add_argument(
        "--validation-share",
        type=float,
        default=0.1,
        help="for pieces whose split nothing declares (default 0.1)",
    )
    parser.add_argument(
        "--num-proc",
        type=int,
        metavar="N",
        help="processes that read scores; as many as there are cores when not given",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at a piece that cannot be used, in place of skipping it by name",
    )


def _add_what_is_written(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to build; an earlier build there is replaced as a whole when this one has succeeded",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=(
            "build into a folder with other files in it, too; they stay unless one has the name of a new one"
        ),
    )
    parser.add_argument("--force", action="store_true", help="build even if nothing has changed")
    parser.add_argument("--plots", action="store_true", help="draw the plots into DIR/plots")
    parser.add_argument("--push", metavar="REPO", help="push the built dataset to this repository of the Hub")
    parser.add_argument("--private", action="store_true", help="with --push: make the repository private")


def run(args: argparse.Namespace) -> int:
    """Build as the parsed options say, print the closing table, push if asked.

    Raises:
        MusicGPTError: whatever cannot be done, in one sentence.
    """
    from dataclasses import fields

    from .build import BuildOptions, build_dataset
    from .errors import DatasetError
    from .processing import available_cores
    from .report import table

    if args.num_proc is not None and args.num_proc < 1:
        raise DatasetError(f"--num-proc is {args.num_proc}; it must be at least 1.")
    if not 0 <= args.validation_share < 1:
        raise DatasetError(
            f"--validation-share is {args.validation_share}; it must be at least 0 and below 1."
        )
    given = {field.name: getattr(args, field.name) for field in fields(BuildOptions)}
    given = {name: value for name, value in given.items() if value is not None}
    options = BuildOptions(**{"num_proc": available_cores(), **given})
    result = build_dataset(options)
    for config, report in result.reports.items():
        print(table(config, report))
        if options.preset == "seed33":
            from .presets import seed33_comparison

            train = report["splits"]["train"]
            print(seed33_comparison(train["notes"], train["tokens"]))
    state = "is up to date, nothing had to be built" if result.up_to_date else "built"
    print(f"{result.out} {state} ({result.seconds:.1f} s). Load it with load_dataset({str(result.out)!r}).")
    if args.push:
        from .push import push_dataset

        print(f"Pushed to {push_dataset(result.out, args.push, private=args.private)}.")
    return 0


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 if all went well, 2 for bad input with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m dataset_builder", description=__doc__)
    add_arguments(parser)
    args = parser.parse_args(argv)
    from tokenization.interruption import interruptible

    return interruptible(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
