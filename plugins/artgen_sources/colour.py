"""Pictures without their colours."""

from __future__ import annotations

import torch
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from torch import Tensor

from artgen.training import Source
from artgen_sources import GreyOptions

_LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Share of red, green and blue in the luminance of linear light (ITU-R BT.709, whose primaries sRGB has)."""


class Grey(Source):
    """The grey of the same luminance, and so of the same lightness L* (CIE 1976). Grey pictures stay as they are."""

    def __init__(self, options: GreyOptions) -> None:
        super().__init__()

    def forward(self, pictures: Tensor) -> Tensor:
        linear = rgb_to_linear_rgb((pictures + 1) / 2)
        luminance = torch.stack([share * linear[:, i] for i, share in enumerate(_LUMINANCE)]).sum(0)  # (N, H, W)
        grey = linear_rgb_to_rgb(luminance[:, None].expand_as(pictures))
        return (grey * 2 - 1).clamp(-1, 1)
