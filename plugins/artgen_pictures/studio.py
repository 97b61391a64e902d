"""The pictures that the program paints itself, at any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from artgen.data.images import Picture
from artgen_pictures.canvas import Field, painted, smoothstep
from artgen_pictures.landscape import landscape
from artgen_pictures.mosaic import mosaic
from artgen_pictures.swirls import swirls
from artgen_pictures.waves import waves

_PAINTERS: Mapping[str, Callable[[int, int], Field]] = {
    "builtin:landscape": landscape,
    "builtin:swirls": swirls,
    "builtin:waves": waves,
    "builtin:mosaic": mosaic,
}
FLIGHT_FRAMES = 24
"""Of the built-in film."""


@lru_cache(maxsize=4)  # one style is wanted beside many contents
def builtin(name: str, size: tuple[int, int]) -> Picture:
    """A built-in picture of (height, width) pixels, (H, W, 3) uint8, read-only. At every size it shows the same."""
    picture = painted(_PAINTERS[name], size)
    picture.setflags(write=False)
    return picture


def half(name: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A built-in mask of (height, width) pixels, (H, W): 255 for the upper or the lower half of a picture.

    They fade into each other over the fifth in the middle, and add up to 255 everywhere.
    """
    height, width = size
    down = (np.arange(height, dtype=np.float32) + 0.5) / height
    lower = np.round(255 * smoothstep(0.4, 0.6, down)).astype(np.uint8)
    rows = lower if name == "builtin:lower" else 255 - lower
    return np.ascontiguousarray(np.broadcast_to(rows[:, None], (height, width)))


def flight(name: str, size: tuple[int, int]) -> Iterator[Picture]:
    """The frames of a film of (height, width) pixels that circles over a built-in picture, nearing and leaving it."""
    height, width = size
    whole = builtin(name, (round(1.25 * height), round(1.25 * width))).astype(np.float32)
    rows, columns = whole.shape[:2]
    for turn in np.arange(FLIGHT_FRAMES) / FLIGHT_FRAMES * 2 * np.pi:
        share = 0.88 + 0.04 * np.cos(turn)  # of the picture that is seen
        left = columns * (0.5 - share / 2 + 0.035 * np.sin(turn))
        top = rows * (0.5 - share / 2 + 0.035 * np.cos(turn))
        across, down = share * columns / width, share * rows / height
        # Middles of pixels: half a pixel from their edges, in both pictures.
        window = np.array([[across, 0, left + across / 2 - 0.5], [0, down, top + down / 2 - 0.5]])
        seen = cv2.warpAffine(
            whole,
            window,
            (width, height),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        yield np.round(seen.clip(0, 255)).astype(np.uint8)
