"""The lightness of the content at all scales but the finest: what a style may not change, without a trained network."""

from __future__ import annotations

import torch
from torch import Tensor

from artgen.nn.pixels import blur
from artgen.training import Outputs
from artgen_style import LaplacianOptions

SMALLEST_PX = 8
SMALLEST_VARIANCE = 1e-5
"""Of lightness in 0..1, added to that of each band: an even one is left even."""


class Laplacian:
    """Differences of a Laplacian pyramid (Burt and Adelson 1983) of lightness, each over its variance in the content.

    The finest band is left out: strokes live there. Differs from the paper: a band is what a blur takes away, without
    enlarging the next one again, for nothing is put together from it.
    """

    def __init__(self, options: LaplacianOptions) -> None:
        self.octaves = options.octaves

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.made is not None  # the core compared `needs` with `gives` when the run was built
        assert outputs.source is not None
        terms = []
        for made, source in zip(self._bands(outputs.made), self._bands(outputs.source), strict=True):
            variance = source.var(dim=(1, 2, 3), unbiased=False) + SMALLEST_VARIANCE  # (N,)
            terms.append(((made - source).square().mean(dim=(1, 2, 3)) / variance).sum())
        return torch.stack(terms).mean()

    def _bands(self, pictures: Tensor) -> list[Tensor]:
        """Bands (N, 1, h, w), finest first, without the very finest, and what is left below them all."""
        dtype = torch.promote_types(pictures.dtype, torch.float32)
        octave = (pictures.to(dtype).mean(dim=1, keepdim=True) + 1) / 2
        bands: list[Tensor] = []
        while len(bands) < self.octaves and min(octave.shape[2:]) >= SMALLEST_PX:
            bands.append(octave - blur(octave))
            octave = blur(octave, stride=2)
        return [*bands[1:], octave]
