"""`musicgpt evaluate FILES...`: measure pieces, with Bach's band beside each value."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenization.analysis.view import View
from tokenization.errors import ScoreReadError
from tokenization.score import Score

from .compare import Comparison, compare
from .pieces import as_score, describe
from .tables import comparison_table, name_of, piece_table

DESCRIPTION = (
    "Measure pieces against Bach: every metric with the band of held-out Bach, one musical score, the nearest"
    " passage."
)
EXAMPLES = """\
examples:
  musicgpt evaluate fugue.mid
  musicgpt evaluate out --form fugue --plot
  musicgpt evaluate out --reference my_scores --json

In the table ▲ and ▼ mark what lies above or below Bach's band (90 % of the held-out movements). 100 would
be a piece at Bach's median in everything; the line below the table says what Bach himself has. Scores of
this scale cannot be set beside those of other projects, nor beside the 59.55 and 60.12 of this project's
first version."""
SUFFIXES = (
    ".mid",
    ".midi",
    ".musicxml",
    ".mxl",
    ".xml",
    ".tsv",
)  # of two files with one stem the first of these is read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        type=Path,
        help="scores (.mid, .musicxml, .mxl, .tsv) or folders of them",
    )
    parser.add_argument(
        "--reference",
        metavar="DIR",
        type=Path,
        help="compare with the scores of this folder instead of Bach, and report what is copied from them",
    )
    parser.add_argument(
        "--key",
        help='the key that the pieces are meant to be in, such as "d minor"; default what each file declares',
    )
    parser.add_argument(
        "--form", choices=("prelude", "fugue"), help="compare with Bach's preludes or fugues only"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        nargs="?",
        type=Path,
        const=Path("evaluation.png"),
        help="draw where Bach lies and where these pieces lie; default evaluation.png",
    )


def score_files(paths: Sequence[Path]) -> list[Path]:
    """The files given, and those in the folders given; one of each stem, sorted.

    Raises:
        ScoreReadError: if a folder has no scores.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        best: dict[Path, Path] = {}
        for file in path.rglob("*"):
            suffix = file.suffix.lower()
            if suffix in SUFFIXES and file.is_file():
                stem = file.with_suffix("")
                if stem not in best or SUFFIXES.index(suffix) < SUFFIXES.index(best[stem].suffix.lower()):
                    best[stem] = file
        if not best:
            raise ScoreReadError(f"The folder {path} holds no scores ({', '.join(SUFFIXES)}).")
        found += sorted(best.values())
    return found


def _read(paths: Sequence[Path], key: str | None, form: str | None) -> tuple[list[Score], list[str]]:
    """The scores that can be read and what was wrong with the others; a lone bad file raises."""
    from tqdm import tqdm

    scores, problems = [], []
    for path in tqdm(
        paths, desc="reading", unit="file", disable=len(paths) < 5, file=sys.stderr, leave=False
    ):
        try:
            scores.append(as_score(path, key, form).replace(source=str(path)))
        except ScoreReadError as error:
            if len(paths) == 1:
                raise
            problems.append(str(error))
    if not scores:
        raise ScoreReadError(f"None of the {len(paths)} files can be read; the first: {problems[0]}")
    return scores, problems


def _copied(views: Sequence[View], reference: Sequence[Score]) -> list[dict[str, Any]]:
    """The exact originality report of each piece against the reference, in short."""
    from tqdm import tqdm

    from .originality import originality_report

    found = []
    for view in tqdm(views, desc="originality", unit="piece", file=sys.stderr, leave=False):
        windows = originality_report(view.score, reference)
        worst = max(windows, key=lambda w: w.share, default=None)
        found.append(
            {
                "mean_similarity": sum(w.share for w in windows) / len(windows) if windows else None,
                "highest_similarity": worst.share if worst else None,
                "nearest": f"{worst.name}, bar {worst.bar}" if worst else None,
            }
        )
    return found


def run(args: argparse.Namespace) -> int:
    """Carry the subcommand out; the exit code (1 when some of several files could not be read)."""
    if args.plot:
        from .plot import check_plot

        check_plot(args.plot)
    scores, problems = _read(score_files(args.files), args.key, args.form)
    views = [View(score) for score in scores]
    reference = _read(score_files([args.reference]), None, None)[0] if args.reference else None
    comparison = compare(views, [View(score) for score in reference] if reference else None)
    copied = _copied(views, reference) if reference else None
    if args.json:
        print(json.dumps(_as_dict(views, comparison, copied, problems), allow_nan=False))
    else:
        print(_as_text(views, comparison, copied))
    if args.plot:
        from .plot import write_plot

        write_plot(views, args.plot)
        if not args.json:
            print(f"\nwritten: {args.plot}")
    for problem in problems:
        print(f"not read: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _as_dict(
    views: Sequence[View], comparison: Comparison, copied: list | None, problems: list[str]
) -> dict[str, Any]:
    pieces = [{"file": view.score.source, **describe(view)} for view in views]
    for piece, report in zip(pieces, copied or [], strict=False):
        piece["originality_report"] = report
    return {"pieces": pieces, "comparison": comparison.to_dict(), "not_read": problems}


def _as_text(views: Sequence[View], comparison: Comparison, copied: list | None) -> str:
    blocks = [piece_table(view, comparison.reference_score if copied is None else None) for view in views[:3]]
    if len(views) > 3:
        blocks.append(f"... and {len(views) - 3} more pieces (--json has them all)")
    if copied:
        lines = [
            f"  {name_of(view.score)}: mean similarity {report['mean_similarity']:.3f}, highest"
            f" {report['highest_similarity']:.3f} ({report['nearest']})"
            for view, report in zip(views, copied, strict=True)
            if report["mean_similarity"] is not None
        ]
        what = "Originality report against the reference (windows of 16 beats, share of notes in common):"
        blocks.append("\n".join([what, *lines]))
    if len(views) > 1 or copied:
        blocks.append(comparison_table(comparison))
    return "\n\n".join(blocks)


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m musical_metrics.cli`, the same command without the console script."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
