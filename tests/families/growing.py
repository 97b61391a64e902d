"""A generator that grows: every phase doubles its pictures, and the new level is faded in, in real pictures too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from artgen import Component, Options, hookimpl
from artgen.training import Critic, Generator, LatentSpace, Size


class GrowingGenerator(Generator):
    grows = True

    def __init__(self, options: Options, size: Size) -> None:
        super().__init__()
        self.latent = LatentSpace((8,), "sphere")
        self.first = nn.Linear(8, 8 * 16)
        self.convolutions = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(levels_of(size)))
        self.to_rgb = nn.ModuleList(nn.Conv2d(8, 3, 1) for _ in range(levels_of(size)))
        self.level, self.share = levels_of(size) - 1, 1.0

    def begin(self, size: Size) -> None:
        self.level = levels_of(size) - 1

    def fade(self, share: float) -> None:
        self.share = share

    def forward(self, z: Tensor) -> Tensor:
        h = self.first(z).view(-1, 8, 4, 4)
        before = h
        for level in range(self.level + 1):
            before, h = h, self.convolutions[level](interpolate(h, scale_factor=2)).relu()
        new = self.to_rgb[self.level](h)
        if self.share == 1.0 or self.level == 0:
            return new
        old = interpolate(self.to_rgb[self.level - 1](before), scale_factor=2)
        return torch.lerp(old, new, self.share)

    def like(self, real: Tensor) -> Tensor:
        if self.share == 1.0 or self.level == 0:
            return real
        return torch.lerp(interpolate(avg_pool2d(real, 2), scale_factor=2), real, self.share)


class GrowingCritic(Critic):
    grows = True

    def __init__(self, options: Options, size: Size) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, padding=1)
        self.score = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.convolution(x).relu().mean(dim=(2, 3))).flatten()


def levels_of(size: Size) -> int:
    return (size.height // 4).bit_length() - 1


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(kind="generator", name="growing", summary="Grows", options=Options, partner="growing",
                  factory=f"{__name__}:GrowingGenerator")
    ]  # fmt: skip


@hookimpl
def artgen_critics() -> list[Component]:
    return [
        Component(kind="critic", name="growing", summary="Takes any size", options=Options,
                  factory=f"{__name__}:GrowingCritic")
    ]  # fmt: skip
