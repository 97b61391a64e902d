"""Sliced Wasserstein distance of small patches (Elnekave and Weiss 2022): stars, foam and even areas."""

from __future__ import annotations

import torch
from torch import Tensor

from artgen import DataError
from artgen.nn.pixels import blur
from artgen.training import Outputs
from artgen_style import PatchesOptions

SIDE_PX = 5
SMALLEST_PX = 16
SMALLEST_VARIANCE = 1e-6


class Patches:
    """Mean distance of sorted projections of patches, over their deviation in the style, averaged over octaves.

    Each step draws directions and places anew. Differs from Elnekave and Weiss 2022: patches of a few octaves at once,
    5 px wide, at drawn places only.
    """

    def __init__(self, options: PatchesOptions) -> None:
        self.options = options

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.made is not None  # the core compared `needs` with `gives` when the run was built
        assert outputs.styles is not None
        distances = []
        for wanted in outputs.styles:
            region = outputs.regions[wanted.region]
            made = self._octaves(outputs.made, None if region is None else region["pixels"])
            style = self._octaves(wanted.picture, wanted.part)
            terms = [self._distance(*ours, *theirs) for ours, theirs in zip(made, style, strict=False)]
            distances.append(wanted.weight * torch.stack(terms).mean())
        return torch.stack(distances).sum()

    def _octaves(self, pictures: Tensor, share: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """A Gaussian pyramid of pictures (N, 3, h, w) and of how much of each pixel counts, (1 or N, 1, h, w)."""
        octave = pictures.to(torch.promote_types(pictures.dtype, torch.float32))
        if min(octave.shape[2:]) < SIDE_PX:
            height, width = octave.shape[2:]
            raise DataError(
                f"pictures of {width}x{height} px have no patch of {SIDE_PX} px",
                place="losses.patches",
                remedy="Begin with larger ones ([[phase]] from, resolution), or raise `style_scale`.",
            )
        share = octave.new_ones(1, 1, *octave.shape[2:]) if share is None else share.to(octave.dtype)
        octaves = [(octave, share)]
        while len(octaves) < self.options.octaves and min(octave.shape[2:]) >= 2 * SMALLEST_PX:
            octave, share = blur(octave, stride=2), blur(share, stride=2)
            octaves.append((octave, share))
        return octaves

    def _distance(self, made: Tensor, made_share: Tensor, style: Tensor, style_share: Tensor) -> Tensor:
        """That of one octave, summed over pictures."""
        directions = torch.randn(self.options.directions, 3 * SIDE_PX**2, dtype=made.dtype, device=made.device)
        directions = directions / directions.norm(dim=1, keepdim=True)
        count = min(self.options.positions, made[0, 0].numel())
        # One draw for all pictures, so that each comes out alike in whatever company.
        places = torch.rand(2, count, dtype=made.dtype, device=made.device)
        x, s = patches(made, made_share, places[0]), patches(style, style_share, places[1])
        with torch.autocast(made.device.type, enabled=False):
            x, s = directions @ x, directions @ s  # (N, D, P), (1, D, P)
        deviation = (s.var(dim=2, unbiased=False).mean() + SMALLEST_VARIANCE).sqrt()
        distances = (x.sort(dim=2).values - s.sort(dim=2).values).abs().mean(dim=(1, 2)) / deviation  # (N,)
        there = made_share.sum(dim=(1, 2, 3)) > 0  # a region may be nowhere in a picture
        return torch.where(there, distances, 0).sum()


def patches(pictures: Tensor, share: Tensor, places: Tensor) -> Tensor:
    """Patches of pictures (N, C, h, w), as columns (N, C * 25, P).

    Args:
        pictures: Where from.
        share: How likely the middle of a patch is at each pixel, but for a factor, (1 or N, 1, h, w).
        places: Which ones, (P,) in 0..1: a share of all that is in `share`, row by row.
    """
    width, margin = pictures.shape[3], SIDE_PX // 2
    likely = share[:, 0, margin:-margin, margin:-margin]
    reached = likely.flatten(1).cumsum(dim=1)  # (1 or N, places for a middle)
    found = torch.searchsorted(reached, places * reached[:, -1:], right=True).clamp(max=reached.shape[1] - 1)
    corner = found // likely.shape[2] * width + found % likely.shape[2]  # (1 or N, P)
    side = torch.arange(SIDE_PX, device=pictures.device)
    within = (side.unsqueeze(1) * width + side).flatten()  # (25,)
    pixels = (corner.unsqueeze(1) + within.unsqueeze(1)).flatten(1).unsqueeze(1)  # (1 or N, 1, 25 * P)
    taken = pictures.flatten(2).gather(2, pixels.expand(*pictures.shape[:2], -1))
    return taken.view(len(pictures), -1, len(places))
