"""Pictures -> the integers that encoders take: the one owner of the matrix of BT.709. Imports no torch.

Everything here is told in operations that NumPy and torch share, so pictures are converted where they lie: from a GPU
only the finished integers travel, an eighth of what the pictures weigh. Single additions and multiplications of 32
bits, in a fixed order, give the same integers everywhere.

Where the pixels of colour lie: in 4:2:0 in the middle of the four pixels that share it; in 4:2:2 at the left one of the
two, as ProRes and all of television have it.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np

PixelForm = Literal["yuv420-8", "yuv420-10", "yuv422-10", "rgb-8", "rgb-16"]
"""How the pixels of a frame are laid out, and the bits of each number.

- yuv420: luma, (H, W), then the differences of blue and red, each (H/2, W/2), read row by row: (3/2 H, W).
- yuv422: the same with differences of (H, W/2): (2 H, W).
- rgb: (H, W, 3).

More than 8 bits are kept in uint16. An odd side of a yuv form is made even: it repeats its last row or column.
"""

RED, GREEN, BLUE = (float(np.float32(share)) for share in (0.2126, 0.7152, 0.0722))
"""Shares of luma (ITU-R BT.709-6, item 3.2)."""
_OF_LUMA = float(np.float32(219 / 255))
# Of the sum of four differences; each of them is from -2 (1 - share) to 2 (1 - share) halves of 255.
_QUARTER = np.float32(224 / 255 / 4)
_OF_BLUE, _OF_RED = (float(_QUARTER / (np.float32(2) * (np.float32(1) - np.float32(of)))) for of in (BLUE, RED))


def as_frames(pictures: Any, form: PixelForm) -> Any:
    """Pictures -> frames for an encoder, of the same library and on the same device.

    Limited range in the yuv forms: with 8 bits luma from 16 to 235, differences from 16 to 240; with 10 bits four times
    that. Levels are rounded to the nearest.

    Args:
        pictures: (N, 3, H, W), a NumPy array or a torch tensor of floats in [-1, 1]; what is beyond is clipped.
        form: The layout that is wanted.

    Returns:
        (N, *frame_shape(form, (H, W))) of uint8 or uint16, contiguous.
    """
    if form == "rgb-8" or form == "rgb-16":
        library, white = _library(pictures), 255 if form == "rgb-8" else 65535
        return _cast(library.moveaxis(levels(pictures, white), 1, 3).round(), form)
    return planes(levels(pictures, 255), form)


def levels(pictures: Any, white: int) -> Any:
    """Floats in [-1, 1], clipped, -> floats of 32 bits from 0 to `white`."""
    library = _library(pictures)
    return (library.asarray(pictures, dtype=library.float32).clip(-1, 1) + 1) * (white / 2)


def planes(rgb: Any, form: PixelForm) -> Any:
    """RGB, (N, 3, H, W), floats of 32 bits from 0 to 255 -> frames of a yuv form, as `as_frames` gives them."""
    library, scale = _library(rgb), 1 if form == "yuv420-8" else 4
    for axis in (2, 3):
        if rgb.shape[axis] % 2:
            last = rgb[:, :, -1:] if axis == 2 else rgb[:, :, :, -1:]
            rgb = library.concatenate([rgb, last], axis=axis)
    red, green, blue = rgb[:, 0], rgb[:, 1], rgb[:, 2]
    luma = red * RED + green * GREEN + blue * BLUE
    sums = _sums_422 if form == "yuv422-10" else _sums_420
    luma_of_4, red_of_4, blue_of_4 = sums(luma, library), sums(red, library), sums(blue, library)
    found = (
        luma * (_OF_LUMA * scale) + 16 * scale,
        (blue_of_4 - luma_of_4) * (_OF_BLUE * scale) + 128 * scale,
        (red_of_4 - luma_of_4) * (_OF_RED * scale) + 128 * scale,
    )
    count, width = rgb.shape[0], rgb.shape[3]
    joined = library.concatenate([plane.reshape(count, -1) for plane in found], axis=1)
    return _cast(joined.round(), form).reshape(count, -1, width)


def frame_shape(form: PixelForm, size: tuple[int, int]) -> tuple[int, ...]:
    """The shape of a frame of pictures of (height, width) pixels."""
    if form == "rgb-8" or form == "rgb-16":
        return (*size, 3)
    height, width = even(size)
    return (height * 2 if form == "yuv422-10" else height * 3 // 2), width


def frame_dtype(form: PixelForm) -> type[np.unsignedinteger[Any]]:
    """NumPy's type of the numbers of a frame."""
    return np.uint8 if form.endswith("-8") else np.uint16


def even(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) with odd sides made even."""
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def _sums_420(plane: Any, _: Any) -> Any:
    """The sum of each 2x2 pixels."""
    rows = plane[:, ::2] + plane[:, 1::2]
    return rows[:, :, ::2] + rows[:, :, 1::2]


def _sums_422(plane: Any, library: Any) -> Any:
    """Each even column twice, and its neighbours."""
    middle, right = plane[:, :, ::2], plane[:, :, 1::2]
    left = library.concatenate([plane[:, :, :1], right[:, :, :-1]], axis=2)
    return left + middle * 2 + right


def _library(pictures: Any) -> Any:
    """NumPy or torch: the module to which an array or tensor belongs."""
    return sys.modules[type(pictures).__module__.partition(".")[0]]


def _cast(rounded: Any, form: PixelForm) -> Any:
    """Floats that are whole numbers -> integers, contiguous."""
    library = _library(rounded)
    whole = library.asarray(rounded, dtype=library.uint8 if form.endswith("-8") else library.uint16)
    return whole.reshape(-1).reshape(whole.shape)
