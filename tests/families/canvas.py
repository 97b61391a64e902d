"""A picture that is optimised itself, coarse to fine: by Adam with warm-started moments, or by L-BFGS."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from artgen import Component, LossOptions, Options, hookimpl
from artgen.training import Batch, Clock, Generator, Outputs, Parts, Phase, Size


class CanvasOptions(Options):
    optimizer: Literal["adam", "lbfgs"] = "adam"


class Canvas(Generator):
    takes = "nothing"
    grows = True

    def __init__(self, options: Options, size: Size) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.rand(1, 3, *size) - 0.5)

    def begin(self, size: Size) -> None:
        if self.picture.shape[2:] != tuple(size):
            self.picture = nn.Parameter(_resized(self.picture.data, size))

    def forward(self, given: None) -> Tensor:
        return self.picture


class Likeness:
    def __init__(self, options: LossOptions) -> None:
        pass

    def generator(self, outputs: Outputs) -> Tensor:
        return (outputs.fake - outputs.real).square().mean()


class CanvasTrainer:
    batches_per_step = 1

    def __init__(self, options: CanvasOptions, parts: Parts) -> None:
        self.options, self.generator, self.losses, self.update = options, parts.generator, parts.losses, parts.update
        self.optimizer: torch.optim.Optimizer | None = None

    def begin(self, phase: Phase) -> None:
        canvas, before = self.generator.picture, self.optimizer
        if before is not None and before.param_groups[0]["params"][0] is canvas:
            return
        if self.options.optimizer == "lbfgs":
            self.optimizer = torch.optim.LBFGS([canvas], lr=0.5, max_iter=4, history_size=4)
            return
        self.optimizer = torch.optim.Adam([canvas], lr=0.05)
        if before is not None:  # moments of the coarser canvas, enlarged
            (moments,) = before.state.values()
            self.optimizer.state[canvas] = {
                name: _resized(value, phase.size) if value.dim() == 4 else value for name, value in moments.items()
            }

    def step(self, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        def loss() -> Tensor:
            return self.losses("generator", Outputs(real=batch.real, fake=self.generator(None)), clock.steps)[0]

        return {"generator/gradient_norm": self.update(self.optimizer, loss)}

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


def _resized(picture: Tensor, size: Size) -> Tensor:
    return interpolate(picture, tuple(size), mode="bilinear", antialias=True)


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator", name="toy-canvas", summary="The picture", options=Options, factory=f"{__name__}:Canvas"
        )
    ]


@hookimpl
def artgen_losses() -> list[Component]:
    return [
        Component(kind="loss", name="likeness", summary="Squared distance", options=LossOptions,
                  factory=f"{__name__}:Likeness", needs={"generator": ("real", "fake")})
    ]  # fmt: skip


@hookimpl
def artgen_trainers() -> list[Component]:
    return [
        Component(kind="trainer", name="toy-canvas", summary="Moves the picture", options=CanvasOptions,
                  factory=f"{__name__}:CanvasTrainer", gives={"generator": ("real", "fake")})
    ]  # fmt: skip
