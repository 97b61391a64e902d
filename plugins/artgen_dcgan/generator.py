"""The generator of DCGAN (Radford et al. 2015, section 3 and figure 1)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from artgen.training import Generator, LatentSpace, Size
from artgen_dcgan import GeneratorOptions
from artgen_dcgan.grid import starting_grid


class SelfModulatedBatchNorm(nn.Module):
    """Batch norm whose scale and shift are small functions of the latent (Chen et al. 2019, eq. 2 and 3).

    h -> norm(h) (1 + a(z)) + b(z), with one hidden layer of 32 for a and b together.
    """

    def __init__(self, channels: int, latent: int, hidden: int = 32) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        first, last = nn.Linear(latent, hidden), nn.Linear(hidden, 2 * channels)
        nn.init.normal_(last.weight, 0.0, 0.02)
        nn.init.zeros_(last.bias)
        self.modulation = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        a, b = self.modulation(z)[:, :, None, None].chunk(2, dim=1)  # (N, C, 1, 1) each
        modulated: Tensor = self.norm(h) * (1 + a) + b
        return modulated


class Level(nn.Module):
    """Enlarge by two (or draw the starting grid), normalise, activate."""

    def __init__(self, enlarge: nn.Module, channels: int, options: GeneratorOptions) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.batch_norm = nn.BatchNorm2d(channels) if options.norm == "batch" else None
        self.modulated_norm = (
            SelfModulatedBatchNorm(channels, options.latent) if options.norm == "self-modulated" else None
        )
        self.activation = nn.ReLU() if options.activation == "relu" else nn.LeakyReLU(0.2)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        h = self.enlarge(h)
        if self.batch_norm is not None:
            h = self.batch_norm(h)
        if self.modulated_norm is not None:
            h = self.modulated_norm(h, z)
        activated: Tensor = self.activation(h)
        return activated


class DCGANGenerator(Generator):
    """z (N, latent) -> pictures (N, 3, H, W) in [-1, 1] (any value with `output = "linear"`)."""

    def __init__(self, options: GeneratorOptions, size: Size) -> None:
        super().__init__()
        self.latent = LatentSpace((options.latent,), options.prior)
        grid, doublings = starting_grid(size)
        widths = [min(options.width * 2 ** (doublings - 1 - i), options.widest) for i in range(doublings)]
        first = nn.ConvTranspose2d(options.latent, widths[0], grid, bias=False)
        self.levels = nn.ModuleList([Level(first, widths[0], options)])
        for before, after in pairwise(widths):
            self.levels.append(Level(_doubling(before, after, options, bias=False), after, options))
        self.to_rgb = _doubling(widths[-1], 3, options, bias=options.upsample == "nearest")
        self.output = nn.Tanh() if options.output == "tanh" else nn.Identity()
        self.apply(_initialise)

    def forward(self, z: Tensor) -> Tensor:
        h = z[:, :, None, None]  # (N, latent, 1, 1)
        for level in self.levels:
            h = level(h, z)
        pictures: Tensor = self.output(self.to_rgb(h))
        return pictures


def _doubling(before: int, after: int, options: GeneratorOptions, *, bias: bool) -> nn.Module:
    if options.upsample == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1, bias=bias))
    k = options.kernel
    return nn.ConvTranspose2d(before, after, k, stride=2, padding=(k - 1) // 2, output_padding=k % 2, bias=bias)


def _initialise(module: nn.Module) -> None:
    """All weights from N(0, 0.02), those of batch norm from N(1, 0.02) (section 4, and PyTorch's example)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
