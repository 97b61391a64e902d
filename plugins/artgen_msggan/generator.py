"""The generator of MSG-GAN on the body of progressive growing (Karnewar and Wang 2019, section 2)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from artgen.nn.equalised import EqualisedConvolution
from artgen.nn.grid import level_of, starting_grid
from artgen.nn.levels import DoublingLevel, FirstLevel, channels
from artgen.nn.pixels import pyramid
from artgen.training import Generator, LatentSpace, Size
from artgen_msggan import GeneratorOptions


class MSGGANGenerator(Generator):
    """z (N, latent), on the sphere -> pictures (N, 3, h, w) at every size from the grid up, about [-1, 1]."""

    def __init__(self, options: GeneratorOptions, size: Size) -> None:
        super().__init__()
        self.latent = LatentSpace((options.latent,), "sphere")
        grid = starting_grid(size, options.grid)
        widths = [channels(level, options.width, options.widest) for level in range(level_of(size, grid) + 1)]
        first = FirstLevel(options.latent, widths[0], grid)
        self.levels = nn.ModuleList([first, *(DoublingLevel(before, after) for before, after in pairwise(widths))])
        self.to_rgb = nn.ModuleList(EqualisedConvolution(width, 3, 1, gain=1.0) for width in widths)

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        h, pictures = z, []
        for level, to_rgb in zip(self.levels, self.to_rgb, strict=True):
            h = level(h)
            pictures.append(to_rgb(h))
        return tuple(pictures)

    def like(self, real: Tensor) -> tuple[Tensor, ...]:
        return pyramid(real, len(self.levels))
