"""Picture files as `data:` addresses of bounded size."""

from __future__ import annotations

import base64
import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2

from artgen import DataError
from artgen.data.images import Picture, read, resize

_QUALITIES = (90, 80, 65)
_SMALLEST_PX = 16
_PNG = b"\x89PNG\r\n\x1a\n"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inlined:
    """A picture to stand in a page.

    Attributes:
        address: `data:image/...;base64,...`.
        width_px: Width of the file, which the picture here may be a smaller copy of.
        height_px: Height of the file.
    """

    address: str
    width_px: int
    height_px: int


def inline(file: Path, longest_px: int, limit_bytes: int, *, corner: bool = False) -> Inlined | None:
    """A picture file for the page: a PNG that is small enough as it is, anything else as JPEG.

    Args:
        file: The picture.
        longest_px: Its longer side is brought down to this.
        limit_bytes: The most that it may weigh before it is written in base64, which adds a third.
        corner: Take the upper left quarter only, which of a sheet is a part that can still be seen when it is small.

    Returns:
        None if the file is gone or no picture.
    """
    try:
        state = file.stat()
    except OSError:
        return None
    return _inlined(file, (state.st_mtime_ns, state.st_size), longest_px, limit_bytes, corner)


# From one report to the next all pictures but the newest are the same.
@functools.lru_cache(maxsize=64)
def _inlined(file: Path, state: tuple[int, int], longest_px: int, limit_bytes: int, corner: bool) -> Inlined | None:
    try:
        picture = read(file)
    except DataError as error:
        log.warning("%s is not in the report: %s", file, error.cause)
        return None
    height, width = picture.shape[:2]
    if corner:
        picture = picture[: (height + 1) // 2, : (width + 1) // 2]
    size_bytes = state[1]
    as_it_is = not corner and max(height, width) <= longest_px and size_bytes <= limit_bytes
    if as_it_is and (content := file.read_bytes()).startswith(_PNG):
        kind = "png"
    else:
        kind, content = "jpeg", _jpeg(_at_most(picture, longest_px), limit_bytes)
    return Inlined(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", width, height)


def _jpeg(picture: Picture, limit_bytes: int) -> bytes:
    """A JPEG of at most so many bytes: first it gets coarser, then smaller."""
    while True:
        for quality in _QUALITIES:
            _, encoded = cv2.imencode(
                ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
            )
            if encoded.size <= limit_bytes or max(picture.shape[:2]) <= _SMALLEST_PX:
                return encoded.tobytes()
        picture = _at_most(picture, max(picture.shape[:2]) * 2 // 3)


def _at_most(picture: Picture, longest_px: int) -> Picture:
    height, width = picture.shape[:2]
    share = min(1.0, longest_px / max(height, width))
    return resize(picture, (max(1, round(height * share)), max(1, round(width * share))))
