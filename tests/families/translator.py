"""Picture to picture: pairs, a generator that takes a picture, a trainer of its own, and a loss that compares."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from artgen import Component, DataOptions, LossOptions, Options, hookimpl
from artgen.data.dataset import Dataset, Workshop
from artgen.training import Batch, Clock, Generator, Outputs, Parts, Phase, Size


def negatives(options: DataOptions, workshop: Workshop) -> Dataset:
    """24 random pictures, to be made from their negatives."""
    real = np.random.default_rng(0).integers(0, 256, (24, *options.size, 3), dtype=np.uint8)
    return Dataset(real, fingerprint="negatives", source=255 - real)


class Recolour(Generator):
    takes = "picture"

    def __init__(self, options: Options, size: Size) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 1)

    def forward(self, source: Tensor) -> Tensor:
        return self.convolution(source)


class Distance:
    def __init__(self, options: LossOptions) -> None:
        pass

    def generator(self, outputs: Outputs) -> Tensor:
        return (outputs.fake - outputs.real).abs().mean()


class PairTrainer:
    batches_per_step = 1

    def __init__(self, options: Options, parts: Parts) -> None:
        self.generator, self.losses, self.update = parts.generator, parts.losses, parts.update
        self.optimizer: torch.optim.Adam | None = None

    def begin(self, phase: Phase) -> None:
        if self.optimizer is None:
            self.optimizer = torch.optim.Adam(self.generator.named_parameters(), lr=0.05)

    def step(self, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        outputs = Outputs(real=batch.real, fake=self.generator(batch.source))
        loss, terms = self.losses("generator", outputs, clock.steps)
        return terms | {"generator/gradient_norm": self.update(self.optimizer, loss)}

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


@hookimpl
def artgen_datasets() -> list[Component]:
    return [
        Component(kind="data", name="negatives", summary="Pairs", options=DataOptions, factory=f"{__name__}:negatives")
    ]


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(kind="generator", name="recolour", summary="One matrix", options=Options,
                  factory=f"{__name__}:Recolour")
    ]  # fmt: skip


@hookimpl
def artgen_losses() -> list[Component]:
    return [
        Component(kind="loss", name="distance", summary="Mean distance", options=LossOptions,
                  factory=f"{__name__}:Distance", needs={"generator": ("real", "fake")})
    ]  # fmt: skip


@hookimpl
def artgen_trainers() -> list[Component]:
    return [
        Component(kind="trainer", name="pairs", summary="Generator only", options=Options,
                  factory=f"{__name__}:PairTrainer", gives={"generator": ("real", "fake")})
    ]  # fmt: skip
