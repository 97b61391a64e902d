"""Generator and critic without a single convolution (Goodfellow et al. 2014, section 5)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from artgen.training import Critic, Generator, LatentSpace, Size
from artgen_dense import CriticOptions, GeneratorOptions


class DenseGenerator(Generator):
    """z (N, latent) -> pictures (N, 3, H, W) in [-1, 1]."""

    def __init__(self, options: GeneratorOptions, size: Size) -> None:
        super().__init__()
        self.latent = LatentSpace((options.latent,))
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((options.latent, *options.hidden))):
            norm = [nn.BatchNorm1d(after)] if options.batch_norm and i > 0 else []
            layers += [nn.Linear(before, after), *norm, nn.LeakyReLU(0.2)]
        values = 3 * size.height * size.width
        self.layers = nn.Sequential(*layers, nn.Linear(options.hidden[-1], values), nn.Tanh())
        self.picture = nn.Unflatten(1, (3, size.height, size.width))

    def forward(self, z: Tensor) -> Tensor:
        pictures: Tensor = self.picture(self.layers(z))
        return pictures


class DenseCritic(Critic):
    """Pictures (N, 3, H, W) -> logits (N,)."""

    def __init__(self, options: CriticOptions, size: Size) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((3 * size.height * size.width, *options.hidden)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2), nn.Dropout(options.dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(options.hidden[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x.flatten(1))
        return logits.flatten()
