"""A generator that answers with a pyramid, and a critic that takes one: multi-scale gradients."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from artgen import Component, Options, hookimpl
from artgen.training import Critic, Form, Generator, LatentSpace, Size


class PyramidGenerator(Generator):
    def __init__(self, options: Options, size: Size) -> None:
        super().__init__()
        self.latent = LatentSpace((8,), "uniform")
        self.first = nn.Sequential(nn.Linear(8, 8 * size.height * size.width // 4), nn.ReLU())
        self.grid = (8, size.height // 2, size.width // 2)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.to_rgb = nn.ModuleList(nn.Conv2d(8, 3, 1) for _ in range(2))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        small = self.first(z).unflatten(1, self.grid)
        large = self.second(interpolate(small, scale_factor=2)).relu()
        return self.to_rgb[0](small).tanh(), self.to_rgb[1](large).tanh()

    def like(self, real: Tensor) -> Form:
        return avg_pool2d(real, 2), real


class PyramidCritic(Critic):
    def __init__(self, options: Options, size: Size) -> None:
        super().__init__()
        self.large, self.small = nn.Conv2d(3, 8, 4, 2, 1), nn.Conv2d(3, 8, 1)
        self.score = nn.Linear(16, 1)

    def forward(self, pyramid: tuple[Tensor, Tensor]) -> Tensor:
        small, large = pyramid
        h = [self.small(small).relu().mean(dim=(2, 3)), self.large(large).relu().mean(dim=(2, 3))]
        return self.score(nn.functional.leaky_relu(nn.functional.pad(h[0], (0, 8)) + nn.functional.pad(h[1], (8, 0))))


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(kind="generator", name="pyramid", summary="Two sizes at once", options=Options, partner="pyramid",
                  factory=f"{__name__}:PyramidGenerator")
    ]  # fmt: skip


@hookimpl
def artgen_critics() -> list[Component]:
    return [
        Component(kind="critic", name="pyramid", summary="Two sizes at once", options=Options,
                  factory=f"{__name__}:PyramidCritic")
    ]  # fmt: skip
