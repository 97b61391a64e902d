"""The critic of MSG-GAN on the body of progressive growing (Karnewar and Wang 2019, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from artgen import RecipeError
from artgen.nn.equalised import EqualisedConvolution
from artgen.nn.grid import level_of, starting_grid
from artgen.nn.levels import HalvingLevel, LastLevel, activate, channels
from artgen.training import Critic, Form, Size
from artgen_msggan import CriticOptions


class MSGGANCritic(Critic):
    """A pyramid of pictures (N, 3, h, w), smallest first -> logits (N,).

    The largest pictures enter by a 1x1 convolution. The others stand, as their three colours, beside the features that
    have come down to their size: phi_simple, which of three ways the paper found best for this body.

    Differs from the paper's table, as the authors' first code (BMSG-GAN) does: the minibatch deviation is taken before
    the last level only, not before each.
    """

    def __init__(self, options: CriticOptions, size: Size) -> None:
        super().__init__()
        grid = starting_grid(size, options.grid)
        top = level_of(size, grid)
        widths = [channels(level, options.width, options.widest) for level in range(-1, top + 1)]
        hidden, widths = widths[0], widths[1:]
        self.from_rgb = EqualisedConvolution(3, widths[top], 1)
        before = [width + 3 for width in widths[:top]] + widths[top:]
        last = LastLevel(before[0], widths[0], hidden, grid, options.minibatch_deviation)
        halving = (HalvingLevel(before[i], widths[i], widths[i - 1]) for i in range(1, top + 1))
        self.levels = nn.ModuleList([last, *halving])

    def forward(self, pictures: Form) -> Tensor:
        if isinstance(pictures, Tensor) or len(pictures) != len(self.levels):
            raise RecipeError(
                f"this critic takes pictures of {len(self.levels)} sizes at once, and its generator makes "
                f"{1 if isinstance(pictures, Tensor) else len(pictures)}",
                place="critic",
                remedy="Choose [generator.msggan] for it, and give both the same `grid`.",
            )
        h = activate(self.from_rgb(pictures[-1]))
        for index in range(len(self.levels) - 1, 0, -1):
            h = self.levels[index](h)
            h = torch.cat([pictures[index - 1].to(h.dtype), h], dim=1)
        logits: Tensor = self.levels[0](h)
        return logits
