"""Markdown tables, for cards and for pages of figures."""

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


__all__ = ["table"]
