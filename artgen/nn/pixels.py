"""What networks and losses do to each pixel, or to a few neighbours."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad


def pixel_norm(x: Tensor) -> Tensor:
    """Scale the channels of each pixel to a mean square of 1 (Karras et al. 2017, section 4.2). (N, C, H, W) -> same.

    The squares are summed in fp32 at least.
    """
    full = torch.promote_types(x.dtype, torch.float32)
    h = x.movedim(1, -1)  # (N, H, W, C): in channels_last memory the sum runs along it, twice as fast
    scale = (h.square().mean(dim=-1, keepdim=True, dtype=full) + 1e-8).rsqrt()
    return (h * scale.to(x.dtype)).movedim(-1, 1)


def upscale(x: Tensor) -> Tensor:
    """Double both sides by repeating pixels. (N, C, H, W) -> (N, C, 2 H, 2 W)."""
    return interpolate(x, scale_factor=2.0)


def downscale(x: Tensor) -> Tensor:
    """Halve both sides by the mean of two by two pixels. (N, C, H, W) -> (N, C, H / 2, W / 2)."""
    return avg_pool2d(x, 2)


def pyramid(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """Pictures at `count` sizes, smallest first, each the `downscale` of the next; the last is `x`."""
    levels = [x]
    while len(levels) < count:
        levels.append(downscale(levels[-1]))
    return tuple(reversed(levels))


def blur(x: Tensor, stride: int = 1) -> Tensor:
    """Average neighbours by the binomial weights 1, 4, 6, 4, 1 in both directions, and keep every `stride`-th.

    (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride)); sides of 3 px or more. The border reflects. With a
    stride of 2 it is the step of a Gaussian pyramid (Burt and Adelson 1983). In fp32 at least, under autocast too.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    weights = torch.tensor([1, 4, 6, 4, 1], dtype=x.dtype, device=x.device) / 16
    with torch.autocast(x.device.type, enabled=False):
        single = pad(x, (2, 2, 2, 2), mode="reflect").flatten(0, 1).unsqueeze(1)  # (N * C, 1, H + 4, W + 4)
        rows = conv2d(single, weights.view(1, 1, 5, 1), stride=(stride, 1))
        blurred = conv2d(rows, weights.view(1, 1, 1, 5), stride=(1, stride))
    return blurred.view(*x.shape[:2], *blurred.shape[2:])
