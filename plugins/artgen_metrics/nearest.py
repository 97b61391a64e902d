"""Is it copying? The nearest real picture of each made one, against how near the data is to itself.

After the nearest-neighbour tests of GAN papers, made a figure: a made picture counts as a copy if it lies nearer to a
real one than all but 5 % of the real pictures lie to their own nearest other.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from artgen import DataError
from artgen.data.pixels import grid, to_float
from artgen.metrics import Measured
from artgen.training import Features
from artgen_metrics import NearestOptions

PERCENTILE = 0.05
ROUNDING = 0.1
"""Distances this far apart are equal: `torch.cdist` leaves a little where pictures are the same."""
REAL = 1024
"""Real pictures compared at once."""


class Nearest:
    """Copying. Value: `copied_share`, 0.05 for the data itself. Sheet `nearest`: made | its nearest, side by side."""

    def __init__(self, options: NearestOptions) -> None:
        self.options = options

    @torch.no_grad()
    def measure(self, fake: Tensor, real: Tensor, features: Features | None) -> Measured:
        """Find the nearest real picture of each made one, in pixels.

        Raises:
            DataError: There is no made picture, or fewer than two real ones.
        """
        if not len(fake) or len(real) < 2:
            raise DataError(
                f"{len(fake)} made and {len(real)} real picture(s) to measure",
                place="metrics.nearest",
                remedy="Give at least 1 made and 2 real ones.",
            )
        own = torch.randperm(len(real))[: self.options.real_queries].to(real.device)
        nobody = own.new_full((len(fake),), -1)
        distance, index = nearest(torch.cat([fake, real[own]]), real, torch.cat([nobody, own]), self.options.side)
        threshold = distance[len(fake) :].quantile(PERCENTILE)
        made = distance[: len(fake)]
        first = made.argsort(stable=True)[: self.options.shown]
        pairs = torch.stack([fake[first], real[index[first]]], dim=1)  # (shown, 2, 3, H, W)
        return Measured(
            {"copied_share": (made <= threshold + ROUNDING).double().mean().item()},
            {"nearest": torch.from_numpy(grid(pairs.flatten(0, 1), columns=8))},
        )


def nearest(queries: Tensor, real: Tensor, themselves: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Distance to and index of the nearest real picture of each query, (N,) and (N,).

    The distance is Euclidean, in pixels shrunk to `side`, to the query or its mirror image, whichever is nearer: data
    is often shown mirrored.

    Args:
        queries: Pictures (N, 3, H, W) uint8.
        real: Pictures (M, 3, H, W) uint8; only a part is turned into floats at a time.
        themselves: (N,): the index of the real picture that a query is and that does not count; -1 if it is none.
        side: Height and width in pixels at which pictures are compared.
    """
    x = _shrunk(queries, side)
    mirrored = x.view(len(x), 3, side, side).flip(3).flatten(1)
    distance = torch.full((len(x),), torch.inf, device=x.device)
    index = torch.zeros(len(x), dtype=torch.long, device=x.device)
    for start in range(0, len(real), REAL):
        y = _shrunk(real[start : start + REAL], side)
        near = torch.minimum(torch.cdist(x, y), torch.cdist(mirrored, y))  # (N, at most REAL)
        numbers = torch.arange(start, start + len(y), device=x.device)
        near.masked_fill_(themselves.unsqueeze(1) == numbers, torch.inf)
        best, at = near.min(dim=1)
        index = torch.where(best < distance, at + start, index)
        distance = torch.minimum(distance, best)
    return distance, index


def _shrunk(pictures: Tensor, side: int) -> Tensor:
    """Pictures (N, 3, H, W) uint8 -> floats (N, 3 * side * side)."""
    return torch.cat(
        [
            interpolate(to_float(chunk), size=(side, side), mode="bilinear", antialias=True).flatten(1)
            for chunk in torch.split(pictures, REAL)
        ]
    )
