"""Which piece goes where: by key number for the Well-Tempered Clavier, by a hash of the opening for
everything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

SPLITS = ("train", "validation", "test")
# The two books share material of a key (and some pieces an ancestor), so a split is made of whole key
# numbers.
TEST_NUMBERS = (9, 16)
VALIDATION_NUMBERS = (11, 14)


def split_of_number(number: int) -> str:
    """The split of a movement of the WTC by its number in its book, 1 to 24."""
    if number in TEST_NUMBERS:
        return "test"
    return "validation" if number in VALIDATION_NUMBERS else "train"


def split_of_path(parts: Sequence[str]) -> str | None:
    """The split that a folder's name declares (`train`, `validation`/`valid`/`val`/`dev`, `test`), if any
    does.
    """
    names = {
        "train": "train",
        "validation": "validation",
        "valid": "validation",
        "val": "validation",
        "dev": "validation",
        "test": "test",
    }
    return next((names[part.lower()] for part in parts if part.lower() in names), None)


def hashed_splits(groups: Sequence[str], validation_share: float = 0.1) -> list[str]:
    """Splits for pieces that declare none: whole groups, in the order of their hashes, until the validation
    share is full.

    Args:
        groups: one label a piece; pieces with the same label (two settings of one tune) stay together.
        validation_share: share of the groups that go to `validation`; at least one group as soon as there are
            two.

    Returns:
        One split a piece, in the same order. It does not depend on the order of the pieces.
    """
    names = sorted(set(groups), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    count = round(validation_share * len(names))
    if validation_share > 0 and len(names) > 1:
        count = max(1, count)
    held_out = set(names[:count])
    return ["validation" if group in held_out else "train" for group in groups]
