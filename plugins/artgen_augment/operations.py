"""The operations: each changes pictures (N, C, H, W) by amounts that are 0 where nothing is to change.

Amounts are relative (shares of a side, degrees, factors less 1), so one draw suits every size. All operations are
affine in the pictures, twice differentiable, and keep the dtype. What each equals in kornia, and is tested against:

    color     enhance.add_weighted with a grey (saturation), with its mean (contrast), enhance.adjust_brightness without
              its clipping; folded here into one affine map of the colours, a third of the passes over memory
    move      geometry.transform.hflip, translate (by whole pixels) and rotate, scale (about the centre). With affine it
              is one geometry.transform.warp_affine, thus grid_sample, whose backward on CUDA adds up in no fixed order:
              two runs then differ in their last bits. Without affine it is a gather that uses a pixel at most once
    cutout    geometry.bbox.bbox_to_mask, as in augmentation.RandomErasing, but the patch may hang over the edge
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor


def color(pictures: Tensor, amounts: Tensor) -> Tensor:
    """Brightness, then saturation about each pixel's grey, then contrast about the picture's mean (Zhao et al. 2020).

    With b, s, c the three, m a pixel's mean over channels and mu the picture's mean, which saturation leaves alone:
    c (s x + (1-s) m + b - mu - b) + mu + b = c s x + c (1-s) m + (1-c) mu + b.

    Args:
        pictures: (N, C, H, W).
        amounts: (N, 3): b, s - 1, c - 1.
    """
    channels = pictures.shape[1]
    b, s, c = amounts[:, 0], 1 + amounts[:, 1], 1 + amounts[:, 2]
    identity = torch.eye(channels, device=amounts.device)
    colors = (c * s)[:, None, None] * identity + (c * (1 - s) / channels)[:, None, None]  # (N, C, C)
    mean = pictures.mean(dim=(1, 2, 3), dtype=torch.promote_types(pictures.dtype, torch.float32))
    offset = ((1 - c) * mean + b)[:, None, None]
    return torch.baddbmm(offset.to(pictures), colors.to(pictures), pictures.flatten(2)).view(pictures.shape)


def cutout(pictures: Tensor, amounts: Tensor) -> Tensor:
    """Grey out one rectangle, clipped where it hangs over the edge.

    Args:
        pictures: (N, C, H, W).
        amounts: (N, 3): its centre (x, y), each -1 to 1 across the picture, and its size as a share of each side.
    """
    inside = torch.ones((), dtype=torch.bool, device=pictures.device)
    for axis, side in ((0, pictures.shape[3]), (1, pictures.shape[2])):
        size = (amounts[:, 2] * side).round()
        start = ((1 + amounts[:, axis]) / 2 * side).round() - (size / 2).floor()
        at = torch.arange(side, device=pictures.device) - start[:, None]
        within = (at >= 0) & (at < size[:, None])  # (N, side)
        inside = inside & (within[:, None, None, :] if axis == 0 else within[:, None, :, None])
    return pictures.masked_fill(inside, 0)


def move(pictures: Tensor, amounts: Mapping[str, Tensor]) -> Tensor:
    """Flip, translate, rotate and scale in one movement, zero outside.

    Args:
        pictures: (N, C, H, W).
        amounts: By word, in order. `flip` (N, 1): mirrored where negative. `translation` (N, 2): (x, y) in shares of
            the sides, to the right and down. `affine` (N, 2): degrees anticlockwise, and the factor of size less 1.
    """
    height, width = pictures.shape[2:]
    matrix = _movement(amounts, height, width)
    if "affine" not in amounts:
        return _shift(pictures, matrix[:, 0, 0].long(), matrix[:, :2, 2].round().long())
    # warp_affine wants the origin in the first pixel's centre, not in the picture's; and its grid in fp32 at least.
    x, y = (width - 1) / 2, (height - 1) / 2
    matrix[:, 0, 2] += x - matrix[:, 0, 0] * x - matrix[:, 0, 1] * y
    matrix[:, 1, 2] += y - matrix[:, 1, 0] * x - matrix[:, 1, 1] * y
    dtype = torch.promote_types(pictures.dtype, torch.float32)
    # Differentiable once on every torch. Only newer ones differentiate grid_sample twice, which no loss needs:
    # penalties differentiate with respect to the augmented picture.
    warped = warp_affine(pictures.to(dtype), matrix[:, :2].to(dtype), (height, width), align_corners=False)
    return warped.to(pictures.dtype)


def _movement(amounts: Mapping[str, Tensor], height: int, width: int) -> Tensor:
    """The matrices (N, 3, 3) that take a pixel's place, from the centre, to its new place."""
    steps = []
    for word, amount in amounts.items():
        step = torch.eye(3, device=amount.device).repeat(len(amount), 1, 1)
        if word == "flip":
            step[:, 0, 0] = 1 - 2 * (amount[:, 0] < 0).float()
        elif word == "translation":
            step[:, 0, 2] = amount[:, 0] * width
            step[:, 1, 2] = amount[:, 1] * height
        else:
            angle, size = amount[:, 0].deg2rad(), 1 + amount[:, 1]
            step[:, 0, 0] = step[:, 1, 1] = size * angle.cos()
            step[:, 0, 1] = size * angle.sin()
            step[:, 1, 0] = -step[:, 0, 1]
        steps.append(step)
    # The product after @ before, but not by `@`, which may round to TF32.
    return reduce(lambda before, after: (after[:, :, :, None] * before[:, None]).sum(dim=2), steps)


def _shift(pictures: Tensor, sign: Tensor, offset: Tensor) -> Tensor:
    """Mirror where `sign` (N,) is -1, then shift by whole pixels `offset` (N, 2), (x, y), with zeros moving in."""
    height, width = pictures.shape[2:]
    x = torch.arange(width, device=pictures.device) - offset[:, :1]  # (N, W): where each column comes from
    x = torch.where(sign[:, None] < 0, width - 1 - x, x)
    y = torch.arange(height, device=pictures.device) - offset[:, 1:]  # (N, H)
    outside = ((x < 0) | (x >= width))[:, None, None, :] | ((y < 0) | (y >= height))[:, None, :, None]
    source = y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None, :]  # (N, H, W)
    source = source.flatten(1)[:, None].expand(-1, pictures.shape[1], -1)
    return pictures.flatten(2).gather(2, source).view(pictures.shape).masked_fill_(outside, 0)
