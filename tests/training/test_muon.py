"""Muon against PyTorch's own, which works in bfloat16."""

import torch

from training.muon import Muon, orthogonalised

SHAPES = (64, 16), (16, 64), (16, 16), (64, 16)


def stepped(kind, **settings):
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer = kind(parameters, lr=0.01, weight_decay=0.1, **settings)
    for _ in range(3):
        for parameter in parameters[:3]:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return [parameter.detach() - old for parameter, old in zip(parameters, before, strict=True)]


def test_steps_are_those_of_pytorch_but_for_bfloat16():
    ours, theirs = stepped(Muon), stepped(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")
    for mine, other in zip(ours[:3], theirs[:3], strict=True):
        assert (mine - other).norm() < 0.02 * other.norm()
    assert not ours[3].any()  # no gradient, no step


def test_singular_values_are_near_one():
    matrices = torch.randn(3, 40, 12, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalised(matrices, (3.4445, -4.7750, 2.0315), 5, 1e-7))
    assert values.min() > 0.6 and values.max() < 1.3
