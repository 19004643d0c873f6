"""Which tokens are legal at each place, by the grammar that `modeling_musicgpt` generates with."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@lru_cache(maxsize=1)
def _grammar() -> Any:
    from modeling_musicgpt import MusicGPTConfig
    from modeling_musicgpt.grammar_musicgpt import Grammar

    return Grammar(MusicGPTConfig())


def legal_after(ids: torch.Tensor) -> torch.Tensor:
    """Which tokens may come after each one.

    Args:
        ids: `int64` of shape `(rows, length)` on the CPU, each row from `<bos>` on, padded at the right.

    Returns:
        bool of shape `(rows, length, 150)`: row `i` says what may stand at `i + 1`.
    """
    grammar = _grammar()
    return grammar.legal[grammar.states(ids)]
