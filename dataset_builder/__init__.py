"""The Well-Tempered Clavier, and anyone's scores, as a Hugging Face dataset.

    python -m dataset_builder --source ../shared/data --config wtc-plus --out DIR

What importing this costs: nothing; each name below loads its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "WTCDataset": "builder",
    "WTCConfig": "builder",
    "BuildOptions": "build",
    "build_dataset": "build",
    "score_of_row": "features",
    "features": "features",
    "clean": "cleaning",
    "Piece": "pieces",
    "open_source": "sources",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
