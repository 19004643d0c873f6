"""Which tokens are legal at each place, by the grammar that `modeling_musicgpt` generates with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def legal_after(ids: torch.Tensor) -> torch.Tensor:
    """Which tokens may come after each one.

    Args:
        ids: `int64` of shape `(rows, length)`, right-padded.

    Returns:
        bool of shape `(rows, length, 150)`: row `i` says what may stand at `i + 1`.
    """
    import torch

    from tokenization.codec import SUCCESSORS

    return torch.from_numpy(SUCCESSORS)[ids]
