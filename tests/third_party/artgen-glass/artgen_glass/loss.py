"""A loss of its own: the colours that there are."""

from __future__ import annotations

import torch
from artgen.training import Outputs
from torch import Tensor

from artgen_glass import PaletteOptions


class Palette:
    """Mean squared distance of each pixel to the nearest colour of the palette, in [-1, 1]."""

    def __init__(self, options: PaletteOptions) -> None:
        self.colours = torch.tensor(options.colours) / 127.5 - 1  # (P, 3)

    def generator(self, outputs: Outputs) -> Tensor:
        assert outputs.fake is not None  # the component needs it
        levels = (outputs.fake,) if isinstance(outputs.fake, Tensor) else outputs.fake
        return torch.stack([self._distance(pictures) for pictures in levels]).mean()

    def _distance(self, pictures: Tensor) -> Tensor:
        colours = self.colours.to(pictures)[None, :, :, None, None]  # (1, P, 3, 1, 1)
        return (pictures[:, None] - colours).square().mean(dim=2).amin(dim=1).mean()
