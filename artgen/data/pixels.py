"""Pixels between rest and networks: uint8 <-> float in [-1, 1], and sheets of many pictures. Imports torch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from artgen.data.images import Picture
from artgen.training import Size

MARGIN_PX = 2
"""Between the pictures of a sheet and around it."""


def to_float(pictures: Tensor) -> Tensor:
    """Uint8 -> float32 in [-1, 1], by x / 127.5 - 1; shape and memory layout stay as they are."""
    return pictures.to(torch.float32).div_(127.5).sub_(1)


def to_uint8(pictures: Tensor) -> Tensor:
    """Floats -> uint8, rounded to the nearest and clamped; shape and memory layout stay as they are.

    `to_uint8(to_float(x))` equals x for all 256 values.
    """
    return pictures.detach().to(torch.float32).add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def over_white(pictures: Tensor) -> Tensor:
    """Pictures (N, 4, H, W) in [-1, 1], the last channel being how opaque they are -> (N, 3, H, W), laid over white."""
    if pictures.shape[1] == 3:
        return pictures
    share = (pictures[:, 3:] + 1) / 2
    return pictures[:, :3] * share + (1 - share)


def enlarged(pictures: Tensor, size: Size) -> Tensor:
    """Pictures (N, 3, h, w) uint8 at a larger size, by repeating pixels; those of that size as they are."""
    return pictures if tuple(pictures.shape[2:]) == size else interpolate(pictures, size=tuple(size), mode="nearest")


def grid(pictures: Tensor, columns: int | None = None) -> Picture:
    """Lay pictures (N, 3, H, W) uint8 out row by row on one white sheet (h, w, 3) uint8; a single one as it is.

    Args:
        pictures: At least one picture, on any device.
        columns: Pictures side by side; by default about as many as rows.
    """
    count, _, height, width = pictures.shape
    if count == 1:
        return pictures[0].permute(1, 2, 0).cpu().numpy()
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    step_h, step_w = height + MARGIN_PX, width + MARGIN_PX
    sheet = np.full((rows * step_h + MARGIN_PX, columns * step_w + MARGIN_PX, 3), 255, np.uint8)
    for index, picture in enumerate(pictures.permute(0, 2, 3, 1).cpu().numpy()):
        top, left = MARGIN_PX + index // columns * step_h, MARGIN_PX + index % columns * step_w
        sheet[top : top + height, left : left + width] = picture
    return sheet
