"""What repainting comes to: finished pictures, and the film that they make."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artgen import files
from artgen.data.dataset import Repainting
from artgen.data.images import ENDINGS, Format, encode
from artgen.data.pixels import over_white, to_uint8
from artgen.film.writing import FilmWriter

Finished = NDArray[np.float32]
"""A finished picture, (H, W, 3), or (H, W, 4) with how opaque it is; 0..1."""


@torch.no_grad()
def finished(canvas: Tensor, repainting: Repainting) -> Tensor:
    """All pictures of a canvas, (N, 3, H, W) in [-1, 1], as they are kept: (N, 3 or 4, H, W); of alpha, 1 is opaque."""
    return canvas if repainting.finish is None else repainting.finish(canvas, 0)


def on_paper(pictures: Tensor) -> Tensor:
    """Finished pictures (N, 3 or 4, H, W) as they look on white paper, (N, 3, H, W) uint8."""
    return to_uint8(over_white(pictures))


def arrays(pictures: Tensor) -> Iterator[Finished]:
    """Each of finished pictures (N, 3 or 4, H, W) in [-1, 1], for its file."""
    for picture in pictures:
        yield ((picture.float().clamp(-1, 1) + 1) / 2).permute(1, 2, 0).cpu().numpy()


def picture_files(pictures: Tensor, names: tuple[str, ...], form: Format) -> Iterator[tuple[str, bytes]]:
    """Finished pictures by the names of their files, as these hold them."""
    for name, picture in zip(names, arrays(pictures), strict=True):
        yield f"{name}{ENDINGS[form]}", encode(picture, form)


def write_film(path: Path, frames: Tensor, frames_per_second: Fraction) -> None:
    """Write finished pictures (T, 3 or 4, H, W) as a film, in the place of one that may be there once it is complete.

    Raises:
        ResourceError: The disk refuses.
    """
    height, width = frames.shape[2:]
    with files.disk_trouble(path, "the film cannot be written"):
        files.make_folder(path.parent)
    with FilmWriter(path, (height, width), frames_per_second, replace=True) as film:
        for frame in on_paper(frames).permute(0, 2, 3, 1).cpu().numpy():
            film.add(frame)
