"""A generator that makes layers as it grows: what `begin` draws follows the seed, so a resume makes the same ones."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate

from artgen import Component, Options, hookimpl
from artgen.training import Generator, LatentSpace, Size


class AddingGenerator(Generator):
    grows = True

    def __init__(self, options: Options, size: Size) -> None:
        super().__init__()
        self.latent = LatentSpace((8,))
        self.first = nn.Linear(8, 8 * 16)
        self.convolutions = nn.ModuleList()
        self.to_rgb = nn.Conv2d(8, 3, 1)

    def begin(self, size: Size) -> None:
        while 4 * 2 ** len(self.convolutions) < size.height:
            self.convolutions.append(nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        h = self.first(z).view(-1, 8, 4, 4)
        for convolution in self.convolutions:
            h = convolution(interpolate(h, scale_factor=2)).relu()
        return self.to_rgb(h)


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(kind="generator", name="adding", summary="Adds layers", options=Options, partner="growing",
                  factory=f"{__name__}:AddingGenerator")
    ]  # fmt: skip
