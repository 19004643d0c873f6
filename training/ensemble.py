"""Several models as one, whose probabilities are the mean of theirs: measured by `training.validate`, learnt
from by `--teachers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import CausalLMOutput

from .errors import TrainingError
from .models import load_model


class Ensemble(nn.Module):
    """A causal language model that is the mean of others.

    Args:
        models (sequence of `PreTrainedModel`): over the same vocabulary.
    """

    def __init__(self, models: Sequence[Any]):
        super().__init__()
        self.models = nn.ModuleList(models)
        self.config = models[0].config

    @classmethod
    def load(cls, names: Sequence[str]) -> Ensemble:
        """Read every model (see `models.load_model`), frozen and without dropout.

        Raises:
            TrainingError: if one cannot be read, or their contexts differ.
        """
        models = [load_model(name).eval().requires_grad_(False) for name in names]
        contexts = {
            name: int(model.config.max_position_embeddings) for name, model in zip(names, models, strict=True)
        }
        if len(set(contexts.values())) > 1:
            told = ", ".join(f"{name} {context}" for name, context in contexts.items())
            raise TrainingError(
                f"Models of different contexts cannot be one: {told} tokens. Leave out those that differ."
            )
        return cls(models)

    def forward(self, **inputs: Any) -> CausalLMOutput:
        """`logits` of shape `(rows, length, vocab)`: the logarithm of the mean of the models' probabilities,
        float32.
        """
        log_p = torch.stack(
            [torch.log_softmax(model(**inputs).logits.float(), dim=-1) for model in self.models]
        )
        return CausalLMOutput(
            logits=torch.logsumexp(log_p, dim=0) - torch.log(torch.tensor(float(len(self.models))))
        )


def distilled(
    logits: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor, losses: torch.Tensor, share: float
) -> torch.Tensor:
    """`losses` with `share` of each target replaced by the teacher's distribution (Hinton, Vinyals and Dean
    2015, at temperature 1).

    Args:
        logits, teacher: of the student, and log-probabilities of the teacher, `(rows, length, vocab)`.
        targets: `int64` of shape `(rows, length)`, -100 where nothing is to be predicted.
        losses: cross-entropy of the targets, `(rows, length)`, as `losses.token_losses` gives it.
        share: 0 (the data alone) to 1 (the teacher alone).
    """
    log_q = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    soft = -(teacher[:, :-1].exp() * log_q).sum(dim=-1)  # (rows, length - 1)
    mixed = losses.clone()
    part = torch.tensor(share, dtype=losses.dtype, device=losses.device)
    mixed[:, 1:] = torch.where(targets[:, 1:] >= 0, (1 - part) * losses[:, 1:] + part * soft, losses[:, 1:])
    return mixed
