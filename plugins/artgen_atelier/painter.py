"""Paint one portrait. Imports only NumPy and OpenCV, so that worker processes start quickly."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from artgen_atelier.canvas import Frame, blend, noise, turning
from artgen_atelier.clothes import clothes, collar, neck
from artgen_atelier.finish import brushed, ground, varnished
from artgen_atelier.hair import beard, hair
from artgen_atelier.hats import hat
from artgen_atelier.head import head
from artgen_atelier.scene import Scene
from artgen_atelier.sitter import Sitter, invite

PAINTER_VERSION = 1
"""Raised whenever a pixel of any picture changes; cached collections of another version are painted anew."""

_SHORTEST_PX, _LONGEST_PX = 128, 1024


def portrait(seed: int, index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Paint picture `index` of collection `seed`.

    The composition is a function of (seed, index) alone; the size only says how sharp it is.

    Args:
        seed: Seed of the collection, 0 or more.
        index: Number of the picture, 0 or more.
        size: (height, width) in pixels. The shorter side frames the head; the longer shows more ground or dress.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return painted(invite(seed, index), size)


def painted(s: Sitter, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Paint a sitter at (height, width) pixels: (H, W, 3) uint8 RGB."""
    # At least twice the resolution, up to a limit, then averaged down.
    shorter = min(size)
    factor = max(1, math.ceil(_SHORTEST_PX / shorter), min(2, _LONGEST_PX // shorter))
    rows, columns = size[0] * factor, size[1] * factor
    unit = 2 / min(rows, columns)
    x, y = np.meshgrid((np.arange(columns) - (columns - 1) / 2) * unit, (np.arange(rows) - (rows - 1) / 2) * unit)
    x, y = x.astype(np.float32), y.astype(np.float32)
    frame = Frame(
        (x - np.float32(s.place[0])) / np.float32(s.scale),
        (y - np.float32(s.place[1] + (0.07 if s.hat in ("brim", "turban") else 0))) / np.float32(s.scale),
    )

    pose, body = turning(s.yaw, s.pitch, s.roll), turning(s.body_yaw, 0, 0.3 * s.roll)
    between = turning(0.5 * (s.yaw + s.body_yaw), 0.3 * s.pitch, 0.5 * s.roll)
    scene = Scene(frame)
    for layer in (
        neck(frame, s, body),
        *clothes(frame, s, body),
        *collar(frame, s, body, between),
        head(frame, s, pose),
        *hair(frame, s, pose),
        *beard(frame, s, pose),
        *hat(frame, s, pose),
    ):
        scene.add(layer)
    lit, there, form = scene.lit(s)
    picture = blend(ground(frame, s), lit, there)
    loose = 0.9 + 0.8 * noise(0.35 * frame.x + s.offset[1], 0.35 * frame.y + s.offset[0])
    picture = brushed(picture, np.where(there > 0, form, loose), frame, s)
    seen = varnished(picture, x, y, s)
    small = cv2.resize(seen, size[::-1], interpolation=cv2.INTER_AREA) if factor > 1 else seen
    return (small * 255 + 0.5).astype(np.uint8)
