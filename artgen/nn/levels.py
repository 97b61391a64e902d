"""The levels that grown networks are made of, one for each doubling (Karras et al. 2017, appendix A, table 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from artgen.nn.equalised import EqualisedConvolution, EqualisedLinear
from artgen.nn.minibatch import MinibatchDeviation
from artgen.nn.pixels import pixel_norm
from artgen.training import Size


def channels(level: int, width: int, widest: int) -> int:
    """How many channels a level has: `width` at level 3 (32 px from a 4x4 grid), half of it at the next, twice before.

    Never more than `widest`. Level -1 is the critic's last hidden layer. With 512 and 512 these are the published ones.
    """
    return max(1, min(width << 3 - level if level <= 3 else width >> level - 3, widest))


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2; not in place, since penalties differentiate it twice."""
    return leaky_relu(x, 0.2)


class FirstLevel(nn.Module):
    """A generator's first: z (N, latent) -> (N, width, *grid)."""

    def __init__(self, latent: int, width: int, grid: Size) -> None:
        super().__init__()
        self.shape = (width, *grid)
        # The gain is that of the authors' code, a quarter of He's.
        self.dense = EqualisedLinear(latent, math.prod(self.shape), gain=math.sqrt(2) / 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))
        self.convolution = EqualisedConvolution(width, width, 3)

    def forward(self, z: Tensor) -> Tensor:
        h = self.dense(z).unflatten(1, self.shape)  # (N, width, h, w)
        h = pixel_norm(activate(h + self.bias.to(h.dtype)))
        return pixel_norm(activate(self.convolution(h)))


class DoublingLevel(nn.Module):
    """A generator's next: (N, before, H, W) -> (N, after, 2 H, 2 W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = EqualisedConvolution(before, after, 3, resize="up")
        self.convolution = EqualisedConvolution(after, after, 3)

    def forward(self, h: Tensor) -> Tensor:
        h = pixel_norm(activate(self.up(h)))
        return pixel_norm(activate(self.convolution(h)))


class HalvingLevel(nn.Module):
    """A critic's: (N, before, H, W) -> (N, after, H / 2, W / 2), with `width` channels in between.

    Differs from table 2, as the authors' code does: features shrink before the activation, not after it.
    """

    def __init__(self, before: int, width: int, after: int) -> None:
        super().__init__()
        self.convolution = EqualisedConvolution(before, width, 3)
        self.down = EqualisedConvolution(width, after, 3, resize="down")

    def forward(self, h: Tensor) -> Tensor:
        return activate(self.down(activate(self.convolution(h))))


class LastLevel(nn.Module):
    """A critic's last: (N, before, *grid) -> logits (N,). `group` pictures share a minibatch deviation; 0: none."""

    def __init__(self, before: int, width: int, hidden: int, grid: Size, group: int) -> None:
        super().__init__()
        self.deviation = MinibatchDeviation(group) if group else nn.Identity()
        self.convolution = EqualisedConvolution(before + bool(group), width, 3)
        self.hidden = EqualisedLinear(width * math.prod(grid), hidden)
        self.score = EqualisedLinear(hidden, 1, gain=1.0)

    def forward(self, h: Tensor) -> Tensor:
        h = activate(self.convolution(self.deviation(h)))
        logits: Tensor = self.score(activate(self.hidden(h.flatten(1))))
        return logits.flatten()
