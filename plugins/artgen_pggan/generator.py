"""The generator of progressive growing (Karras et al. 2017, section 2 and table 2)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from artgen.nn.equalised import EqualisedConvolution
from artgen.nn.grid import level_of, starting_grid
from artgen.nn.levels import DoublingLevel, FirstLevel, channels
from artgen.nn.pixels import downscale, upscale
from artgen.training import Generator, LatentSpace, Size
from artgen_pggan import GeneratorOptions
from artgen_pggan.crossfade import Crossfade


class PGGANGenerator(Generator):
    """z (N, latent), on the sphere -> pictures (N, 3, H, W) of the present level, about [-1, 1].

    The layers of every level are there from the start, and those of levels to come wait: a checkpoint of any level, the
    average and the optimizer then hold the same tensors.
    """

    grows = True

    def __init__(self, options: GeneratorOptions, size: Size) -> None:
        super().__init__()
        # Latents on the sphere are what the paper's pixel norm at the input would make of Gaussian ones.
        self.latent = LatentSpace((options.latent,), "sphere")
        self.grid = starting_grid(size, options.grid)
        widths = [channels(level, options.width, options.widest) for level in range(level_of(size, self.grid) + 1)]
        first = FirstLevel(options.latent, widths[0], self.grid)
        self.levels = nn.ModuleList([first, *(DoublingLevel(before, after) for before, after in pairwise(widths))])
        self.to_rgb = nn.ModuleList(EqualisedConvolution(width, 3, 1, gain=1.0) for width in widths)
        self.crossfade = Crossfade()
        self.begin(size)

    def begin(self, size: Size) -> None:
        self.level = level_of(size, self.grid)

    def fade(self, share: float) -> None:
        self.crossfade.set(share)

    def forward(self, z: Tensor) -> Tensor:
        before = h = self.levels[0](z)
        for level in range(1, self.level + 1):
            before, h = h, self.levels[level](h)
        new: Tensor = self.to_rgb[self.level](h)
        if not self._fading:
            return new
        faded: Tensor = self.crossfade(upscale(self.to_rgb[self.level - 1](before)), new)
        return faded

    def like(self, real: Tensor) -> Tensor:
        """Real pictures fade too, or the critic would know them by their sharpness (`process_reals`, authors' code)."""
        if not self._fading:
            return real
        faded: Tensor = self.crossfade(upscale(downscale(real)), real)
        return faded

    @property
    def _fading(self) -> bool:
        return self.level > 0 and self.crossfade.fading
