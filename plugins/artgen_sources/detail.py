"""Pictures without their detail."""

from __future__ import annotations

import math

import torch
from kornia.filters import filter2d_separable, get_gaussian_kernel1d
from torch import Tensor, nn
from torch.nn.functional import interpolate

from artgen.training import Source
from artgen_sources import BlurredOptions, SmallOptions


class Small(Source):
    """A smaller copy of each picture, at the old size."""

    def __init__(self, options: SmallOptions) -> None:
        super().__init__()
        self.factor, self.enlarge = options.factor, options.enlarge

    def forward(self, pictures: Tensor) -> Tensor:
        height, width = pictures.shape[2:]
        fewer = (max(1, round(height / self.factor)), max(1, round(width / self.factor)))
        return interpolate(interpolate(pictures, size=fewer, mode="area"), size=(height, width), mode=self.enlarge)


class Blurred(Source):
    """A copy of each picture under a Gaussian; its border is repeated outwards."""

    def __init__(self, options: BlurredOptions) -> None:
        super().__init__()
        self.blur = Blur(options.sigma_px)

    def forward(self, pictures: Tensor) -> Tensor:
        blurred: Tensor = self.blur(pictures)
        return blurred.clamp(-1, 1)


class Blur(nn.Module):
    """A Gaussian of this deviation, cut off at three of them, over pictures (N, C, H, W). Of deviation 0, nothing."""

    window: Tensor

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        reach_px = math.ceil(3 * sigma_px)
        window = get_gaussian_kernel1d(2 * reach_px + 1, sigma_px) if sigma_px else torch.ones(1, 1)
        self.register_buffer("window", window, persistent=False)  # (1, 2 reach + 1)

    def forward(self, pictures: Tensor) -> Tensor:
        # `reflect`, the usual border, wants pictures that are larger than half of the window.
        blurred: Tensor = filter2d_separable(pictures, self.window, self.window, border_type="replicate")
        return blurred
