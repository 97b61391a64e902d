"""What the built-in pictures are painted with: coordinates in fractions of the picture, noise, and soft colours.

A picture is the same at every size: lengths are fractions of its height, x runs from 0 to width / height, y down from 0
to 1. It is painted at twice its size, more where it is small, and averaged down; large ones as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""A number at each pixel, (H, W), or a colour, (H, W, 3) from 0 to 1."""

Draw = np.random.Generator

Stops = Sequence[tuple[float, str]]
"""A scale of colours: rising places, each with "#rrggbb"."""

_CELLS, _TEXELS = 64, 8
_SMALLEST_PX, _LARGE_PX, _SHIFT = 256, 1280, 4
_MOST_PX = 32_000  # along a side: OpenCV counts them in 16 bits


def lots(picture: str) -> Draw:
    """What is drawn by lot in a picture: the same each time."""
    return np.random.Generator(np.random.Philox(list(picture.encode())))


def _noise_tile() -> Field:
    """One periodic tile of smooth noise, zero mean and unit variance, `_TEXELS` texels to a cell."""
    lattice = lots("noise").standard_normal((_CELLS, _CELLS)).astype(np.float32)
    padded = np.pad(lattice, 4, mode="wrap")
    side = padded.shape[0] * _TEXELS
    rim = slice(4 * _TEXELS, -4 * _TEXELS)
    tile = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)[rim, rim]
    return np.ascontiguousarray(tile / tile.std(), np.float32)


_TILE = _noise_tile()


def noise(x: Field, y: Field) -> Field:
    """Smooth noise at any coordinates, one feature a unit; zero mean, unit variance, periodic every 64 units."""
    column, row = (np.asarray(_TEXELS * axis, np.float32) for axis in np.broadcast_arrays(x, y))
    if column.ndim == 1:  # of such, OpenCV makes columns
        parts = range(0, len(column), _MOST_PX)
        return np.concatenate(
            [_seen(column[None, at : at + _MOST_PX], row[None, at : at + _MOST_PX])[0] for at in parts]
        )
    return _seen(column, row)


def _seen(column: Field, row: Field) -> Field:
    return np.asarray(cv2.remap(_TILE, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def rough(x: Field, y: Field, octaves: int = 5) -> Field:
    """Noise of several scales, each half as large and half as high as the one before."""
    total: Field = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    for octave in range(octaves):
        total += 0.5**octave * noise(2.0**octave * x + 7.3 * octave, 2.0**octave * y + 3.1 * octave)
    return total


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below `low`, 1 above `high`, smooth between; `low` > `high` turns it round."""
    t: Field = np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def ramp(value: Field, stops: Stops) -> Field:
    """Colours along a scale, (..., 3) for values (...)."""
    places = [place for place, _ in stops]
    colours = np.array([rgb(code) for _, code in stops])
    return np.stack([np.interp(value, places, channel) for channel in colours.T], axis=-1).astype(np.float32)


def rgb(code: str) -> NDArray[np.float32]:
    """A colour "#rrggbb" as (3,) from 0 to 1."""
    return np.array([int(code[place : place + 2], 16) for place in (1, 3, 5)], np.float32) / np.float32(255)


def blend(under: Field, over: Field, coverage: Field) -> Field:
    """Lay a colour (3,) or (H, W, 3) over (H, W, 3) with a coverage (H, W) from 0 to 1."""
    return under + (over - under) * coverage[..., None]


def points(at: tuple[float, float], *offsets: tuple[float, float]) -> Field:
    """An outline, (n, 2), from how far right and down of a place its corners are."""
    return np.asarray(np.array(offsets) + np.array(at))


def plane(rows: int, columns: int) -> tuple[Field, Field]:
    """x and y of each pixel, (H, W)."""
    x, y = np.meshgrid((np.arange(columns) + 0.5) / rows, (np.arange(rows) + 0.5) / rows)
    return x.astype(np.float32), y.astype(np.float32)


def painted(paint: Callable[[int, int], Field], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Paint at (height, width) pixels: `paint(rows, columns)` gives (H, W, 3) from 0 to 1, the result is uint8."""
    factor = max(2, math.ceil(_SMALLEST_PX / min(size))) if min(size) < _LARGE_PX else 1
    factor = min(factor, _MOST_PX // max(size))
    large = paint(size[0] * factor, size[1] * factor)
    small = cv2.resize(large, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(small.clip(0, 1) * 255), np.uint8)


class Brush:
    """Draws shapes with smooth edges on a picture (H, W, 3) of bytes. Places and widths are fractions of its height."""

    def __init__(self, picture: Field) -> None:
        self.bytes = np.ascontiguousarray(np.round(picture.clip(0, 1) * 255), np.uint8)
        self.rows = len(self.bytes)

    def fill(self, outline: Field, colour: Field) -> None:
        """A polygon, (n, 2) of x and y."""
        cv2.fillPoly(self.bytes, [self._points(outline)], _bytes(colour), cv2.LINE_AA, _SHIFT)

    def line(self, points: Field, colour: Field, width: float) -> None:
        """A line through points, (n, 2) of x and y."""
        width_px = max(1, round(width * self.rows))
        cv2.polylines(self.bytes, [self._points(points)], False, _bytes(colour), width_px, cv2.LINE_AA, _SHIFT)

    def dot(self, at: Sequence[float] | Field, radius: float, colour: Field) -> None:
        """A disc round a point (x, y)."""
        (centre,) = self._points(np.array([at]))
        radius_units = max(1, round(radius * self.rows * (1 << _SHIFT)))
        cv2.circle(self.bytes, centre.tolist(), radius_units, _bytes(colour), -1, cv2.LINE_AA, _SHIFT)

    def done(self) -> Field:
        """The picture, (H, W, 3) from 0 to 1."""
        return self.bytes.astype(np.float32) / np.float32(255)

    def _points(self, points: Field) -> NDArray[np.int32]:
        return np.asarray(np.round((points * self.rows - 0.5) * (1 << _SHIFT)), np.int32)


def _bytes(colour: Field) -> list[float]:
    return [float(channel) for channel in np.clip(np.asarray(colour) * 255, 0, 255)]
