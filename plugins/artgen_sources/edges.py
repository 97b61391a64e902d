"""The lines of a picture: Canny 1986, "A Computational Approach to Edge Detection".

Blur, take the slope of the lightness, keep what is steepest across a line, and of that what is steep or hangs together
with something steep.
"""

from __future__ import annotations

import torch
from kornia.color import rgb_to_grayscale
from kornia.filters import canny, spatial_gradient
from torch import Tensor
from torch.nn.functional import max_pool2d

from artgen.training import Source
from artgen_sources import EdgesOptions
from artgen_sources.detail import Blur

FOLLOWED_PX = 32
"""So far a weak line is followed from a strong one. Canny follows it to its end, for which a GPU would have to wait."""


class Edges(Source):
    """Dark lines, one pixel wide, on white."""

    def __init__(self, options: EdgesOptions) -> None:
        super().__init__()
        self.weak, self.strong, self.blur = options.weak, options.strong, Blur(options.blur_px)
        self.steepest = _slope_of_a_step(self.blur)

    def forward(self, pictures: Tensor) -> Tensor:
        lightness = self.blur(rgb_to_grayscale((pictures + 1) / 2)) / self.steepest  # (N, 1, H, W)
        _, edges = canny(lightness, self.weak, self.strong, kernel_size=1, hysteresis=False)  # 0, 0.5 or 1
        line, anywhere = (edges == 1).to(edges), (edges > 0).to(edges)
        for _ in range(FOLLOWED_PX):
            line = max_pool2d(line, 3, stride=1, padding=1) * anywhere
        return (1 - 2 * line).expand_as(pictures)


def _slope_of_a_step(blur: Blur) -> float:
    """The slope where black meets white: thresholds are shares of it, so they mean the same under any blur."""
    step = torch.zeros(1, 1, 8, 512)
    step[..., 256:] = 1
    return float(spatial_gradient(blur(step), normalized=False)[0, 0, 0].max())
