"""How much a film flickers: what changes from frame to frame beside what moves (the warping error of Lai et al. 2018).

Lai et al., "Learning blind video temporal consistency" (arXiv 1808.00449), section 4.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from artgen import DataError
from artgen.data.pixels import to_float
from artgen.metrics import Measured
from artgen.training import Features
from artgen_style import FlickerOptions
from artgen_style.flow import motion_between, warp


class Flicker:
    """Flicker. Values: `flicker`, the same of the contents, `flicker_content`, and `trusted_share`.

    Flicker is the root of the mean square, in levels of 0 to 255, by which a made frame differs from the one before it
    once this is moved as the contents move. Only pixels count whose flow is trusted: `trusted_share` of all. Where none
    is, both figures are 0. That of the contents is what an untouched film has, and errors of the flow with it.
    """

    def __init__(self, options: FlickerOptions) -> None:
        self.options = options

    @torch.no_grad()
    def measure(self, fake: Tensor, real: Tensor, features: Features | None, source: Tensor) -> Measured:
        """Compare each made frame with the next.

        Raises:
            DataError: There are fewer than two frames, or the contents have another size.
        """
        if len(fake) == 1 and fake.shape == source.shape:  # a still does not flicker
            return Measured({"flicker": 0.0, "flicker_content": 0.0, "trusted_share": 0.0})
        if len(fake) < 2 or fake.shape != source.shape:
            (count, _, height, width), (given, _, *size) = fake.shape, source.shape
            raise DataError(
                f"{count} made frame(s) of {width}x{height} px and {given} content(s) of {size[1]}x{size[0]} px",
                place="metrics.flicker",
                remedy="Flicker is measured in two or more frames of a film, beside contents of their size.",
            )
        squares, pixels = torch.zeros(2, dtype=torch.float64), 0.0
        for index in range(len(fake) - 1):  # one by one, for a film is long
            contents = to_float(source[index : index + 2])
            grid, trusted = motion_between(contents)
            # Of the made frame and its content, (2, 3, H, W): what moves, and what it should come to look like.
            before, after = torch.stack([to_float(fake[index : index + 2]), contents], dim=1)
            difference = (warp(before, grid.expand(2, -1, -1, -1)) - after) * 127.5
            squares += (difference.square() * trusted).mean(dim=1).sum(dim=(1, 2)).double().cpu()
            pixels += trusted.sum().item()
        flicker, of_contents = (squares / max(pixels, 1)).sqrt().tolist()
        every = (len(fake) - 1) * fake[0, 0].numel()
        return Measured({"flicker": flicker, "flicker_content": of_contents, "trusted_share": pixels / every})
