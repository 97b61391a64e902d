"""From a picture of any shape to one of the wanted size."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from artgen.data.images import Picture, resize

Crop = Literal["center", "top", "smart", "pad"]
"""How a picture that is too tall or too wide is brought into shape.

- `center`: keep the middle.
- `top`: keep the upper end of tall pictures (portraits: the head), the middle of wide ones.
- `smart`: keep the part with the most edges, which in paintings and photographs is where the motif is.
- `pad`: keep all of it; the pixels of its border are repeated outwards.
"""

# Edges are sought in a small copy: the motif, not the weave of the canvas.
_SMART_PX = 96
# How far the score of a window falls from the middle to the ends: flat pictures are cut in the middle.
_SMART_CENTRE = 0.1


def frame(
    picture: Picture, size: tuple[int, int], crop: Crop, *, like: Picture | None = None, labels: bool = False
) -> Picture:
    """Bring a picture (h, w, 3) to `size` (height, width) without distorting it.

    Args:
        picture: The picture.
        size: Wanted (height, width) in pixels.
        crop: How it is brought into shape.
        like: The picture that decides what is kept; of a pair both sides are framed like one of them. The two show the
            same in the same proportions, and may differ in size.
        labels: It is a map of labels, whose colours are never blended.
    """
    like = picture if like is None else like
    if crop == "pad":
        return _padded(picture, size, like.shape[:2], labels)
    top, left, height, width = _window(like, size, crop)
    rows = _part(top, height, like.shape[0], picture.shape[0])
    columns = _part(left, width, like.shape[1], picture.shape[1])
    return resize(picture[rows, columns], size, labels=labels)


def _part(start: int, length: int, side: int, other_side: int) -> slice:
    """What is `start` to `start + length` on one side of a pair, on the other."""
    scale = other_side / side
    first = min(round(start * scale), other_side - 1)
    return slice(first, max(first + 1, round((start + length) * scale)))


def _window(picture: Picture, size: tuple[int, int], crop: Crop) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is kept: a window of the wanted shape, the largest that fits."""
    height, width = size
    h, w = picture.shape[:2]
    share = min(h / height, w / width)
    window_h, window_w = max(1, min(h, round(height * share))), max(1, min(w, round(width * share)))
    spare_h, spare_w = h - window_h, w - window_w
    top, left = spare_h // 2, spare_w // 2
    if crop == "top":
        top = 0
    elif crop == "smart" and spare_h + spare_w > 0:
        top, left = _busiest(picture, window_h, window_w)
    return top, left, window_h, window_w


def _padded(picture: Picture, size: tuple[int, int], shape: tuple[int, ...], labels: bool) -> Picture:
    """Fit a picture, in the proportions of `shape`, into `size`, and repeat its border outwards."""
    height, width = size
    h, w = shape
    scale = min(height / h, width / w)
    within = max(1, min(height, round(h * scale))), max(1, min(width, round(w * scale)))
    inner = resize(picture, within, labels=labels)
    spare_h, spare_w = height - inner.shape[0], width - inner.shape[1]
    top, left = spare_h // 2, spare_w // 2
    return np.pad(inner, ((top, spare_h - top), (left, spare_w - left), (0, 0)), mode="edge")


def _busiest(picture: Picture, window_h: int, window_w: int) -> tuple[int, int]:
    """Top and left of the window with the most edge energy: the sum of squared differences of neighbouring pixels."""
    h, w = picture.shape[:2]
    scale = min(1.0, _SMART_PX / min(h, w))
    small = resize(picture, (max(2, round(h * scale)), max(2, round(w * scale))))
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
    energy = np.square(np.diff(grey, axis=0))[:, 1:] + np.square(np.diff(grey, axis=1))[1:, :]
    return _best(energy.sum(1), h, window_h), _best(energy.sum(0), w, window_w)


def _best(energy: np.ndarray[tuple[int], np.dtype[np.float32]], length: int, window: int) -> int:
    """Where along a side of `length` pixels the window starts; `energy` is the profile along it, at any scale."""
    if window == length:
        return 0
    span = max(1, round(len(energy) * window / length))
    sums = np.convolve(energy, np.ones(span), mode="valid") + 1e-6
    place = np.linspace(0, 1, len(sums)) if len(sums) > 1 else np.array([0.5])  # of the window: 0 first, 1 last
    best = np.argmax(sums * (1 - _SMART_CENTRE * np.abs(2 * place - 1)))
    return round(float(place[best]) * (length - window))
