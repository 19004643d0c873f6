"""The table of the 150 tokens in the documentation: `python -m tokenization.token_table [--write
docs/tokenizer.md]`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .midi_writer import write_whole
from .vocabulary import TOKENS

START, END = "<!-- tokens: begin -->", "<!-- tokens: end -->"


def token_table() -> str:
    """Every token's id, text, type, value and what may follow it, as a Markdown table."""
    lines = ["| id | token | type | value | may be followed by |", "| --- | --- | --- | --- | --- |"]
    for token in TOKENS:
        after = ", ".join(f"`{name}`" for name in token.followed_by) or "nothing"
        lines.append(f"| {token.id} | `{token.text}` | {token.type} | `{token.value}` | {after} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or put it between its marks in a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--write", type=Path, help="a Markdown file with the two marks; the table between them is replaced"
    )
    arguments = parser.parse_args()
    if arguments.write is None:
        print(token_table())
        return
    text = arguments.write.read_text(encoding="utf-8")
    if text.count(START) != 1 or text.count(END) != 1:
        parser.error(f"{arguments.write} must hold the marks {START} and {END}, once each")
    before, _, rest = text.partition(START)
    write_whole(arguments.write, f"{before}{START}\n{token_table()}\n{END}{rest.partition(END)[2]}".encode())


if __name__ == "__main__":
    main()
