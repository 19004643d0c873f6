"""Optimisers, the learning rate over the run, and the average of the weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .arguments import FitArguments

if TYPE_CHECKING:
    import torch


def parameter_groups(model: torch.nn.Module) -> dict[str, list[torch.nn.Parameter]]:
    """Trainable parameters by how they are treated: `matrices` (of the blocks), `tables` (embeddings, the
    output tied to them, relative distances) and `vectors` (biases, norms). Of tied parameters each is listed
    once.
    """
    from torch import nn

    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    groups: dict[str, list[torch.nn.Parameter]] = {"matrices": [], "tables": [], "vectors": []}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim < 2:
            groups["vectors"].append(parameter)
        elif id(parameter) in tables or parameter.ndim > 2 or not _inside_block(name):
            groups["tables"].append(parameter)
        else:
            groups["matrices"].append(parameter)
    return groups


def _inside_block(name: str) -> bool:
    """Whether a parameter belongs to a numbered layer (`layers.0.`, `h.0.`) and is the weight of a map."""
    parts = name.split(".")
    return any(part.isdigit() for part in parts) and parts[-1] == "weight"


def build_optimizers(model: torch.nn.Module, fit: FitArguments) -> list[torch.optim.Optimizer]:
    """AdamW, or Muon for the matrices of the blocks and AdamW for the rest; weight decay on matrices and
    tables only.
    """
    import torch

    from .muon import Muon

    groups = parameter_groups(model)
    table_decay = fit.weight_decay if fit.embedding_weight_decay is None else fit.embedding_weight_decay
    rest = [
        {"params": groups["tables"], "weight_decay": table_decay},
        {"params": groups["vectors"], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = []
    if fit.optimizer == "muon":
        rate = fit.learning_rate if fit.matrix_learning_rate is None else fit.matrix_learning_rate
        optimizers.append(
            Muon(groups["matrices"], lr=rate, weight_decay=fit.weight_decay, momentum=fit.momentum)
        )
    else:
        rest.insert(0, {"params": groups["matrices"], "weight_decay": fit.weight_decay})
    rest = [group for group in rest if group["params"]]
    optimizers.append(torch.optim.AdamW(rest, lr=fit.learning_rate, betas=fit.betas))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def rate_factor(progress: float, fit: FitArguments) -> float:
    """Learning rate as a share of its peak.

    Args:
        progress (`float`): share of the run that is over, 0 to 1.
    """
    floor = fit.final_lr_ratio
    if progress < fit.warmup_ratio:
        return progress / fit.warmup_ratio
    if fit.schedule == "cosine":
        rest = (progress - fit.warmup_ratio) / max(1e-12, 1 - fit.warmup_ratio)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))
    if fit.schedule == "wsd" and progress > 1 - fit.decay_ratio:
        return floor + (1 - floor) * max(0.0, 1 - progress) / fit.decay_ratio
    return 1.0


def set_rate(optimizers: list[Any], factor: float) -> None:
    """Set every group's learning rate to its peak times `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor


class WeightAverage:
    """Exponential moving average of a model's parameters, in fp32.

    The decay rises with the number of updates, min(decay, (1 + n) / (10 + n)), so that the average forgets
    the random beginning.

    Args:
        model: whose parameters are averaged.
        decay (`float`): the final decay.
    """

    def __init__(self, model: torch.nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        self.values = {name: p.detach().float().clone() for name, p in model.named_parameters()}

    def update(self, model: torch.nn.Module) -> None:
        """Take one step towards the model's present parameters."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in model.named_parameters():
            self.values[name].lerp_(parameter.detach().float(), 1 - decay)

    @contextlib.contextmanager
    def swapped(self, model: torch.nn.Module) -> Iterator[None]:
        """A context in which the model carries the averaged weights."""
        kept = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        try:
            for name, parameter in model.named_parameters():
                parameter.data.copy_(self.values[name])
            yield
        finally:
            for name, parameter in model.named_parameters():
                parameter.data.copy_(kept[name])
