"""Layers with an equalised learning rate (Karras et al. 2017, Progressive Growing of GANs, section 4.1).

Weights are drawn from N(0, 1) and scaled at run time by He's constant, gain / sqrt(fan_in). Adam's steps do not follow
the size of the gradient; with weights of one range they mean the same in every layer.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, linear


class EqualisedConvolution(nn.Module):
    """A square convolution, (N, before, H, W) -> (N, after, H', W'), that can double or halve the size by the way.

    `resize="up"` is `upscale` and then the convolution, `"down"` the convolution and then `downscale`, each in one
    pass: the four shifts of the kernel by one pixel, added or averaged, are a kernel a pixel longer whose stride is 2,
    and of 3x3 that takes 2.25 times less arithmetic (`fused_scale` in the authors' code).

    Args:
        before: Channels that enter.
        after: Channels that leave.
        kernel: Side of the kernel in pixels, odd.
        gain: Of He's constant: sqrt(2) before a leaky ReLU, 1 before nothing.
        resize: Whether H' is H, 2 H or H / 2.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        gain: float = math.sqrt(2),
        resize: Literal["same", "up", "down"] = "same",
    ) -> None:
        super().__init__()
        # A transposed convolution takes its weight with the channels that enter first.
        channels = (before, after) if resize == "up" else (after, before)
        self.weight = nn.Parameter(torch.randn(*channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale = gain / math.sqrt(before * kernel**2)
        self.padding = kernel // 2
        self.resize = resize

    def forward(self, x: Tensor) -> Tensor:
        if self.resize == "up":
            return conv_transpose2d(x, _shifted(self.weight * (4 * self.scale)), self.bias, 2, self.padding)
        if self.resize == "down":
            return conv2d(x, _shifted(self.weight * self.scale), self.bias, 2, self.padding)
        return conv2d(x, self.weight * self.scale, self.bias, 1, self.padding)


class EqualisedLinear(nn.Module):
    """(N, before) -> (N, after)."""

    def __init__(self, before: int, after: int, gain: float = math.sqrt(2), *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        self.scale = gain / math.sqrt(before)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * self.scale, self.bias)


def _shifted(weight: Tensor) -> Tensor:
    """The mean of a kernel's four shifts by one pixel, a side longer."""
    return avg_pool2d(weight, 2, stride=1, padding=1)
