"""A loss of second order: it differentiates the critic's gradient. It needs no more than a pure function."""

from __future__ import annotations

import torch
from torch import Tensor

from artgen import Component, LossOptions, hookimpl
from artgen.training import Outputs


class Steepness:
    """The critic's gradient at real pictures should have norm 1."""

    def __init__(self, options: LossOptions) -> None:
        pass

    def critic(self, outputs: Outputs) -> Tensor:
        x = outputs.real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(outputs.critic(x).sum(), x, create_graph=True)
        return (gradient.square().sum(dim=(1, 2, 3)) - 1).square().mean()


@hookimpl
def artgen_losses() -> list[Component]:
    return [
        Component(kind="loss", name="steepness", summary="Gradient of norm 1", options=LossOptions,
                  factory=f"{__name__}:Steepness", needs={"critic": ("real", "critic")})
    ]  # fmt: skip
