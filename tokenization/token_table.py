"""The table of the 150 tokens in the documentation: `python -m tokenization.token_table [--write
docs/tokenizer.md]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from . import markdown
from .midi_writer import write_whole
from .vocabulary import TOKENS

START, END = "<!-- tokens: begin -->", "<!-- tokens: end -->"


def token_table() -> str:
    """Every token's id, text, type, value and what may follow it, as a Markdown table."""
    rows = []
    for token in TOKENS:
        after = ", ".join(f"`{name}`" for name in token.followed_by) or "nothing"
        rows.append((str(token.id), f"`{token.text}`", token.type, f"`{token.value}`", after))
    return markdown.table(("id", "token", "type", "value", "may be followed by"), rows)


def main() -> None:
    """Print the table, or put it between its marks in a file."""
    table_command(__doc__, lambda folders: token_table(), START, END, of_folders=False)


def table_command(
    doc: str, table: Callable[[list[Path]], str], start: str, end: str, of_folders: bool = True
) -> None:
    """A command that makes a table, and prints it or puts it between two marks in a file.

    Args:
        doc (`str`): what it says of itself; its first line.
        table (callable): from the folders on the command line to Markdown.
        start, end (`str`): the marks.
        of_folders (`bool`): whether there are folders; one at least.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if of_folders:
        parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument(
        "--write", type=Path, help="a Markdown file with the two marks; the table between them is replaced"
    )
    arguments = parser.parse_args()
    made = table(arguments.folders if of_folders else [])
    if arguments.write is None:
        print(made)
        return
    text = arguments.write.read_text(encoding="utf-8")
    if text.count(start) != 1 or text.count(end) != 1:
        parser.error(f"{arguments.write} must hold the marks {start} and {end}, once each")
    before, _, rest = text.partition(start)
    write_whole(arguments.write, f"{before}{start}\n{made}\n{end}{rest.partition(end)[2]}".encode())


if __name__ == "__main__":
    main()
