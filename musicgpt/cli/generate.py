"""`musicgpt generate`: compose pieces and write them as MIDI, MusicXML and piano roll."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicgpt.composition import FORMATS
from musicgpt.moods import MOODS
from musicgpt.printing import PAPERS, require
from musicgpt.settings import Settings, SettingsError
from tokenization.heading import subtitle_of, title_of
from tokenization.vocabulary import FORMS, METERS, TEMPO_CLASSES

if TYPE_CHECKING:
    from musicgpt.composition import Composition

DESCRIPTION = (
    "Compose pieces and write each as MIDI (one track a voice), MusicXML, a piano roll and, with --pdf, a"
    " score to print."
)
EXAMPLES = """\
examples:
  musicgpt generate --out out
  musicgpt generate --key "d minor" --form fugue --voices 3 --meter 4/4 --seed 7 --out out
  musicgpt generate --mood melancholy --num 4 --out out
  musicgpt generate --subject "C5/8 B4/16 C5/16 G4/8 Ab4/8 C5/8 B4/16 C5/16 D5/4" --voices 3 --out out
  musicgpt generate --subject subject.mid --seed 7 --out out
  musicgpt generate --prompt beginning.musicxml --prompt-bars 4 --out out
  musicgpt generate --seed 7 --out out --pdf
  musicgpt generate --seed 7 --out out --json

moods (a setting that is given beside a mood wins):
""" + "\n".join(
    f"  {name:<14}{mood.mode}, {mood.tempo}, temperature {mood.temperature:g}, top-p {mood.top_p:g}:"
    f" {mood.description}"
    for name, mood in MOODS.items()
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    music = parser.add_argument_group("what to compose")
    music.add_argument(
        "--key", help='"d minor", "Eb major", ...; default C major; with a prompt: the key it is in'
    )
    music.add_argument("--form", help=f"{' or '.join(FORMS)}")
    music.add_argument("--meter", help=f"one of {', '.join(METERS)}; default 4/4")
    music.add_argument("--voices", type=int, help="2 to 5")
    music.add_argument("--tempo", help=f"{', '.join(TEMPO_CLASSES)}")
    music.add_argument("--mood", help=f"{', '.join(MOODS)}")
    music.add_argument(
        "--prompt", metavar="FILE", help="a score to continue: .mid, .musicxml, .mxl or a note table"
    )
    music.add_argument(
        "--prompt-bars", type=int, metavar="N", help="keep only the first N bars of the prompt"
    )
    music.add_argument("--bars", type=int, help="so many bars, 4 to 200; default as many as Bach's have")
    music.add_argument(
        "--subject",
        metavar="FILE|TEXT",
        help="the subject of a fugue: a score of one voice, or notes such as C5/8 (name, octave, value)",
    )
    add_sampling(parser)
    parser.add_argument(
        "--num", type=int, default=1, help="how many pieces; piece k has the seed plus k; default 1"
    )
    add_output(parser)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say how tokens are drawn."""
    how = parser.add_argument_group("how to sample")
    how.add_argument("--temperature", type=float, help="above 0, at most 5; default 0.83")
    how.add_argument(
        "--rhythm-temperature",
        type=float,
        help="that for durations and steps in time; default 1.05 times the temperature",
    )
    how.add_argument("--top-k", type=int, help="sample among the k likeliest tokens; default 0: among all")
    how.add_argument(
        "--top-p",
        type=float,
        help="sample among the likeliest tokens that hold this probability; default 0.95",
    )
    how.add_argument(
        "--rhythm-top-p", type=float, help="that for durations and steps in time; default 1: all of them"
    )
    how.add_argument(
        "--min-p", type=float, help="leave out tokens less likely than this share of the likeliest; default 0"
    )
    how.add_argument(
        "--max-new-tokens",
        type=int,
        help=(
            "four tokens a note; closes before they are used up; default: what as many bars as Bach's take"
        ),
    )
    how.add_argument("--min-bars", type=int, help="do not end before so many bars; default 16")
    how.add_argument("--min-notes", type=int, help="do not end before so many notes; default 200")
    how.add_argument(
        "--seed", type=int, help="the same settings and seed give the same files; default random"
    )
    how.add_argument(
        "--particles",
        type=int,
        help="rows that compose one piece together, 1 to 32; default 8 between given notes, else 1",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the model and the files."""
    parser.add_argument(
        "--model", metavar="DIR", help="a folder that save_pretrained wrote; default the shipped model"
    )
    parser.add_argument("--out", metavar="DIR", default="out", help="where the files go; default out")
    parser.add_argument(
        "--flat",
        action="store_true",
        help="all notes of the MIDI file equally loud; default shaped (docs/quickstart.md)",
    )
    parser.add_argument(
        "--pdf", action="store_true", help="write the score as PDF too (needs the extra `pdf`)"
    )
    parser.add_argument("--paper", choices=PAPERS, default="a4", help="of the PDF; default a4")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def settings_from(args: argparse.Namespace) -> Settings:
    """The settings that the options ask for.

    Raises:
        MusicGPTError: naming the option that cannot be used.
    """
    return Settings(**{field.name: getattr(args, field.name, None) for field in fields(Settings)})


def run(args: argparse.Namespace) -> int:
    """Compose, write and report."""
    settings = settings_from(args)  # checked before the seconds that loading a model takes
    if args.num < 1:
        raise SettingsError(f"--num is {args.num}; it must be at least 1.")
    prompt, subject = _read_prompt(args), None
    if args.subject is not None:
        from musicgpt.given import as_melody

        subject = as_melody(args.subject, settings.meter)

    given = {"prompt": prompt, "prompt_bars": args.prompt_bars, "subject": subject}
    return compose_and_write(args, settings, args.num, **given)


def compose_and_write(
    args: argparse.Namespace, settings: Settings, num: int = 1, threads: int = 1, **given: Any
) -> int:
    """Load the model, compose, write the files and report.

    Args:
        args (`Namespace`): with the options of `add_output`.
        settings (`Settings`), num (`int`), given: of `Composer.compose`.
        threads (`int`): of the model.

    Returns:
        0.
    """
    begun = time.perf_counter()
    formats = (*FORMATS, "pdf") if args.pdf else FORMATS
    for package in ("typst", "verovio") if args.pdf else ():
        require(package)
    import torch

    from musicgpt.composer import Composer

    # A step of so small a model is over before a second thread has begun; but particles are several rows.
    torch.set_num_threads(threads)
    composer = Composer.from_pretrained(args.model)
    reports: list[dict[str, Any]] = []
    try:
        with _Progress(quiet=args.json) as progress, warnings.catch_warnings():
            warnings.showwarning = _note  # one line, without the place in the code
            pieces = composer.compose(settings, num, progress=progress, **given)
        for piece in pieces:
            paths = piece.write(args.out, formats, args.paper, args.flat)
            reports.append(_report(piece, paths))
            if not args.json:
                print(_describe(piece, paths))
    except KeyboardInterrupt as error:
        whole = (
            f"{len(reports)} of {num} pieces are whole in {args.out}."
            if reports
            else "no piece was written; that begins when all are composed."
        )
        error.add_note(whole)
        raise
    seconds = time.perf_counter() - begun
    if args.json:
        print(json.dumps({"pieces": reports, "seconds": round(seconds, 2)}, indent=2))
    else:
        new = _count(sum(p.num_new_notes for p in pieces), "new note")
        print(f"{_count(len(pieces), 'piece')}, {new}, {seconds:.1f} s in all")
    return 0


def _note(
    message: Warning | str, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """A warning as `warnings.showwarning` is called with it, in one line."""
    print(f"note: {message}", file=sys.stderr)


def _read_prompt(args: argparse.Namespace) -> Any:
    if args.prompt is None:
        if args.prompt_bars is not None:
            raise SettingsError("--prompt-bars was given without --prompt.")
        return None
    from tokenization import read_score

    prompt = read_score(args.prompt, key=args.key, form=args.form)
    for notice in prompt.notices:
        print(f"note: {Path(args.prompt).name}: {notice}", file=sys.stderr)
    return prompt


def _report(piece: Composition, paths: list[Path]) -> dict[str, Any]:
    """What `--json` says of one piece."""
    return {
        "files": {path.suffix[1:]: str(path) for path in paths},
        "settings": piece.settings.to_dict(),
        "seed": piece.seed,
        "title": title_of(piece.score),
        "key": str(piece.score.key),
        "meter": piece.score.meters[0].name,
        "notes": len(piece.score),
        "prompt_notes": piece.num_prompt_notes,
        "bars": piece.score.num_bars,
        "voices": piece.score.num_voices,
        "tokens": len(piece.ids),
        "finished": piece.finished,
        "music_seconds": round(piece.music_seconds, 1),
        "seconds": round(piece.seconds, 2),
    }


def _describe(piece: Composition, paths: list[Path]) -> str:
    score = piece.score
    what = f"{title_of(score)} · {score.meters[0].name} · {subtitle_of(score)}"
    minutes, seconds = divmod(round(piece.music_seconds), 60)
    rate = piece.num_new_notes / max(piece.seconds, 1e-9)
    lines = [
        what,
        f"  {_count(len(score), 'note')}, {_count(score.num_bars, 'bar')}, {minutes}:{seconds:02d} of music",
        f"  composed in {piece.seconds:.1f} s ({rate:.0f} notes a second)",
        *(f"  wrote {path}" for path in paths),
    ]
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


class _Progress:
    """A tqdm bar over tokens on a terminal; nothing where the output is read by a program."""

    def __init__(self, quiet: bool):
        self.quiet = quiet
        self.bar: Any = None

    def __enter__(self) -> _Progress:
        return self

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            from tqdm import tqdm

            # disable=None: only where stderr is a terminal.
            self.bar = tqdm(
                total=total, unit="token", desc="composing", leave=False, disable=True if self.quiet else None
            )
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()
