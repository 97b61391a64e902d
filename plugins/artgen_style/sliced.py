"""Style as a heap of activations: how far each must move so that the picture has those of the style.

In one dimension the best plan is to sort: the smallest goes to the smallest. So activations are projected on
directions, and sorted along each (Heitz et al. 2021); or on the axes, which is matching of each channel's histogram
(Risser et al. 2017).

Differs from both papers: activations are taken on a lattice, not everywhere, for sorting a million of them takes long;
and pictures of different sizes, or regions of them, are compared by their quantiles, for which all their positions
count by their share. Where two pictures have equally many positions, quantiles are the sorted activations.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from artgen_style import HistogramOptions, SlicedOptions
from artgen_style.activations import Gathered, StyleLoss, full


class Histogram(StyleLoss):
    """The mean squared way from the activations of a channel to the style's, averaged over channels.

    Matching a histogram and then taking the squared difference, as Risser et al. do, is the same.
    """

    tensors = 1
    tensors_of_shares = 1

    def __init__(self, options: HistogramOptions) -> None:
        super().__init__(options)
        self.positions = options.positions

    def gather(self, activations: Tensor, share: Tensor | None, place: tuple[int, int, int, int] | None) -> Gathered:
        """Activations (N, C, P) on the lattice, 0 where it leaves the tile; and shares (N or 1, P), of a region."""
        top, left, rows, columns = place or (0, 0, *activations.shape[2:])
        step = math.ceil(math.sqrt(rows * columns / self.positions))
        row = lattice(rows, step, activations.device) - top
        column = lattice(columns, step, activations.device) - left
        values = taken(full(activations), row, column).flatten(2)
        return (values,) if share is None else (values, taken(full(share), row, column).flatten(1))

    def distance(self, made: Gathered, style: Gathered) -> Tensor:
        levels = made[0].shape[2]
        made_values, style_values = self.project(made[0], style[0])
        x, s = quantiles(made_values, *made[1:], levels=levels), quantiles(style_values, *style[1:], levels=levels)
        distance = (x - s).square().mean(dim=(1, 2))
        for shares in (*made[1:], *style[1:]):
            distance = torch.where(shares.sum(dim=1) > 0, distance, 0)
        return distance

    def project(self, made: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Both along the same directions: here the channels themselves."""
        return made, style


class SlicedWasserstein(Histogram):
    """The mean squared way along random directions, each of length 1."""

    def __init__(self, options: SlicedOptions) -> None:
        super().__init__(options)
        self.directions = options.directions

    def project(self, made: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        channels = made.shape[1]
        directions = torch.randn(self.directions or channels, channels, dtype=made.dtype, device=made.device)
        directions = normalize(directions, dim=1)
        with torch.autocast(made.device.type, enabled=False):
            return directions @ made, directions @ style


def lattice(length: int, step: int, device: torch.device) -> Tensor:
    """Every `step`-th of so many rows, from one drawn anew, round the end; each is as likely as any other."""
    return (torch.randint(length, (1,), device=device) + torch.arange(0, length, step, device=device)) % length


def taken(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The values of x (N, C, h, w) at rows and columns; 0 at those that it does not have."""
    height, width = x.shape[2:]
    there = ((row >= 0) & (row < height))[:, None] & ((column >= 0) & (column < width))
    found = x.index_select(2, row.clamp(0, height - 1)).index_select(3, column.clamp(0, width - 1))
    return torch.where(there, found, 0)


def quantiles(values: Tensor, shares: Tensor | None = None, *, levels: int) -> Tensor:
    """The quantiles of values (N, D, P) at the middles of so many equal levels, (N, D, levels).

    Args:
        values: N pictures, D directions, P positions.
        shares: How much each position counts, (N or 1, P); None: all alike.
        levels: With as many as positions, of which all count alike, these are the sorted values.
    """
    ordered, order = values.sort(dim=2)
    middles = torch.arange(levels, device=values.device) * 2 + 1  # in halves of a level
    count = values.shape[2]
    if shares is None:
        return ordered if levels == count else ordered.index_select(2, (middles * count - 1) // (2 * levels))
    reached = shares[:, None].expand_as(values).gather(2, order).cumsum(dim=2)
    wanted = reached[:, :, -1:] * (middles / (2 * levels))
    return ordered.gather(2, torch.searchsorted(reached, wanted).clamp(max=count - 1))
