"""Tables that come with the code: counts and indices of the train split."""

from __future__ import annotations

from pathlib import Path

# The n-gram and the index of the train split.
TABLES = Path(__file__).parent / "analysis" / "tables"


def read_table(module_file: str, name: str) -> bytes:
    """The bytes of a file that is named by its path from the module that reads it.

    Args:
        module_file (`str`): `__file__` of that module.
        name (`str`): such as `"tables/index.npz"`.
    """
    return (Path(module_file).parent / name).read_bytes()
