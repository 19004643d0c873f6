"""The training loss and the sums from which the published units are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokenization.vocabulary import TYPE_OF_ID

from .crops import TERMS

if TYPE_CHECKING:
    import torch


def token_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of every token given those before it, in nats.

    Args:
        logits: float of shape `(rows, length, 150)`.
        targets: `int64` of shape `(rows, length)`, not shifted; -100 where nothing is to be predicted.

    Returns:
        float32 of shape `(rows, length)`; 0 where the target is -100 and at the first position, which nothing
        predicts.
    """
    import torch
    from torch.nn import functional as F

    losses = torch.zeros(targets.shape, dtype=torch.float32, device=logits.device)
    # (rows, length - 1, 150) -> (rows, 150, length - 1): cross_entropy wants the classes second
    losses[:, 1:] = F.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), targets[:, 1:], reduction="none", ignore_index=-100
    )
    return losses


def smoothed(logits: torch.Tensor, targets: torch.Tensor, losses: torch.Tensor, share: float) -> torch.Tensor:
    """`losses` with `share` of each target spread evenly over the tokens of its type.

    Spreading over all 150 tokens would teach the model to break the grammar; over those of the type it does
    not.
    """
    import torch

    table = same_type(logits.device)
    log_p = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    kin = table[targets[:, 1:].clamp(min=0)]  # (rows, length - 1, 150)
    even = -(log_p * kin).sum(-1) / kin.sum(-1)
    mixed = losses.clone()
    mixed[:, 1:] = torch.where(targets[:, 1:] >= 0, (1 - share) * losses[:, 1:] + share * even, losses[:, 1:])
    return mixed


def same_type(device: torch.device | str) -> torch.Tensor:
    """Float of shape `(150, 150)`: 1 where two tokens are of the same type."""
    import torch

    return torch.from_numpy((TYPE_OF_ID[:, None] == TYPE_OF_ID[None, :]).astype(np.float32)).to(device)


def term_sums(losses: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
    """Nats in each of the four terms and the number of notes, float64 of shape `(5,)`.

    A row that ends inside a note counts as the share of the note's tokens that it has of each term, so the
    count is that of NOTEs.
    """
    import torch

    sums = [losses[terms == place].double().sum() for place in range(len(TERMS))]
    return torch.stack([*sums, (terms == 0).sum().double()])
