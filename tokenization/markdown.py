"""Tables, in Markdown for cards and pages of figures and as text for terminals, and sections of pages that
are written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], right_from: int | None = None) -> str:
    """A Markdown table; columns of whole numbers stand on the right, and those from `right_from` on."""
    rule = [
        "---:"
        if i >= (len(head) if right_from is None else right_from)
        or (rows and all(isinstance(row[i], int) for row in rows))
        else "---"
        for i in range(len(head))
    ]
    cells = [
        [f"{cell:,}" if isinstance(cell, int) else str(cell).replace("|", "\\|") for cell in row]
        for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *cells))


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows of cells as aligned lines of text; the columns in `right` are aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def between(page: str, marks: tuple[str, str], section: str) -> str:
    """A page with a section between two marks, in place of what stands there.

    Raises:
        ValueError: if it lacks a mark.
    """
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(
            f"The page has no lines {marks[0]!r} and {marks[1]!r} around its section; put them back."
        )
    return f"{before}{begin}\n\n{section}\n\n{end}{after}"
