"""`musicgpt SUBCOMMAND ...`: finds the subcommand, and turns errors into exit codes.

Exit codes: 0 done; 1 it could not be done (no space, no permission, a subcommand's own verdict); 2 bad input:
an unknown option, a setting out of range, a file that is no score; 130 and 143 ended by SIGINT (Ctrl-C) and
SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from musicgpt.version import __version__

# Name -> (module, one line of help). The modules are imported only when they are asked for.
SUBCOMMANDS = {
    "generate": ("generate", "compose pieces: MIDI, MusicXML and a piano roll of each"),
    "harmonize": ("harmonize", "compose the other voices to a melody"),
    "revise": ("revise", "compose some bars of a piece anew"),
    "evaluate": ("evaluate", "measure pieces against Bach: metrics, score and nearest passage"),
    "listening-test": ("listening_test", "write a blind listening test as one page, and analyse the answers"),
    "demo": ("demo", "open the web page in which to compose, see and hear"),
    "build-dataset": ("build_dataset", "make a data set of tokens from a folder of scores"),
    "train": ("train", "train a model from a recipe"),
    "export": ("export", "write a folder that can be uploaded to the Hub: model, data set, metric or Space"),
    "push": ("push", "upload those folders to the Hub, after showing the plan"),
}

_USAGE = """\
usage: musicgpt SUBCOMMAND [options]
       musicgpt --version

Composes keyboard music in the style of Bach's Well-Tempered Clavier.

subcommands:
{subcommands}

examples:
  musicgpt generate --key "d minor" --form fugue --voices 3 --seed 7 --out out
  musicgpt generate --prompt beginning.mid --num 3 --out out
  musicgpt evaluate out

`musicgpt SUBCOMMAND --help` tells more.
exit codes: 0 done, 1 could not be done, 2 bad input, 130 and 143 ended by SIGINT and SIGTERM"""


def usage() -> str:
    """What `musicgpt --help` prints."""
    width = max(map(len, SUBCOMMANDS))
    return _USAGE.format(
        subcommands="\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in SUBCOMMANDS.items())
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        argv (sequence of `str`, *optional*): the arguments; those of the process when not given.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"musicgpt {__version__}")
        return 0
    name, *rest = arguments
    if name not in SUBCOMMANDS:
        return _complain(f"unknown subcommand {name!r}: it must be one of {', '.join(SUBCOMMANDS)}")
    from tokenization.interruption import interruptible

    return interruptible(lambda: _guarded(name, rest))


def _guarded(name: str, rest: list[str]) -> int:
    """Run a subcommand; what a user can cause ends in one line, not in a traceback."""
    from tokenization.errors import MusicGPTError

    # transformers reports a model's own progress and advice; a console command has its own words.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        module = import_module(f".{SUBCOMMANDS[name][0]}", __package__)
        if hasattr(module, "call"):
            return module.call(rest)
        parser = _Parser(
            prog=f"musicgpt {name}",
            description=module.DESCRIPTION,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parser)
        return module.run(parser.parse_args(rest)) or 0
    except MusicGPTError as error:
        return _complain(str(error))
    except ModuleNotFoundError as error:
        return _missing(name, error)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone; there is nobody to tell
        return 1
    except OSError as error:
        return _complain(
            f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", code=1
        )


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        """Print the line and leave with exit code 2."""
        self.exit(2, f"musicgpt: error: {message}; `{self.prog} --help` lists the options\n")


def _missing(name: str, error: ModuleNotFoundError) -> int:
    """Say which extra holds a package that a plain install does not have."""
    extra = {"demo": "space", "listening-test": "listening", "generate": "pdf"}.get(name, "train")
    if (error.name or "").split(".")[0] in ("musicgpt", "tokenization", "modeling_musicgpt"):
        raise error
    return _complain(f"{name} needs the package {error.name}: pip install 'musicgpt-wtc[{extra}]'", code=1)


def _complain(text: str, code: int = 2) -> int:
    print(f"musicgpt: error: {' '.join(text.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
