"""The critic of progressive growing (Karras et al. 2017, section 2 and table 2)."""

from __future__ import annotations

from torch import Tensor, nn

from artgen.nn.equalised import EqualisedConvolution
from artgen.nn.grid import level_of, starting_grid
from artgen.nn.levels import HalvingLevel, LastLevel, activate, channels
from artgen.nn.pixels import downscale
from artgen.training import Critic, Size
from artgen_pggan import CriticOptions
from artgen_pggan.crossfade import Crossfade


class PGGANCritic(Critic):
    """Pictures (N, 3, H, W) of the present level -> logits (N,)."""

    grows = True

    def __init__(self, options: CriticOptions, size: Size) -> None:
        super().__init__()
        self.grid = starting_grid(size, options.grid)
        top = level_of(size, self.grid)
        widths = [channels(level, options.width, options.widest) for level in range(-1, top + 1)]
        hidden, widths = widths[0], widths[1:]
        last = LastLevel(widths[0], widths[0], hidden, self.grid, options.minibatch_deviation)
        halving = (HalvingLevel(widths[i], widths[i], widths[i - 1]) for i in range(1, top + 1))
        self.levels = nn.ModuleList([last, *halving])
        self.from_rgb = nn.ModuleList(EqualisedConvolution(3, width, 1) for width in widths)
        self.crossfade = Crossfade()
        self.begin(size)

    def begin(self, size: Size) -> None:
        self.level = level_of(size, self.grid)

    def fade(self, share: float) -> None:
        self.crossfade.set(share)

    def forward(self, x: Tensor) -> Tensor:
        h = activate(self.from_rgb[self.level](x))
        for level in range(self.level, 0, -1):
            h = self.levels[level](h)
            if level == self.level and self.crossfade.fading:
                h = self.crossfade(activate(self.from_rgb[level - 1](downscale(x))), h)
        logits: Tensor = self.levels[0](h)
        return logits
