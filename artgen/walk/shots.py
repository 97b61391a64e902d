"""What is seen in a film, frame by frame: pictures of a generator along a walk, or the previews of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from artgen.data.images import read
from artgen.data.pixels import to_float
from artgen.device import Precision, exhaustion, mixed
from artgen.errors import DataError, DivergedError
from artgen.rng import drawing
from artgen.training import Generator, Size
from artgen.videos import VideoOptions
from artgen.walk.latents import Walk

BATCH_PIXELS: Mapping[str, int] = {"cpu": 1 << 20, "cuda": 1 << 24, "mps": 1 << 21}
"""Pictures are made in batches of about so many pixels: on a CPU few, elsewhere more."""
MOST_AT_ONCE = 64
"""Pictures in a batch, at most: a power of 2, as every batch is, so that a segment is a whole number of them."""


DRAWING = RLock()
"""Held by whoever draws from torch's global generators, which all threads share: a generator that is opened does."""


class Shot(Protocol):
    """The frames of a film. A frame is the same whatever range it is asked for in, if ranges begin at whole batches."""

    size: Size
    """Of a frame, in pixels."""
    batch_frames: int
    """How many come at once."""

    def pictures(self, frames: range) -> Iterator[Tensor]:
        """Frames (n, 3, H, W) in [-1, 1] on the device, `batch_frames` at a time, of a range that begins at one."""
        ...


@dataclass(frozen=True, eq=False)
class Maker:
    """A generator at work: latents -> pictures, in batches of one size, each cell of the grid at the film's size.

    A network rounds otherwise in batches of another size, so the last batch is filled up.

    Args:
        generator: Takes latents.
        device: Where it is.
        precision: What it computes with.
        size: Of what it makes, in pixels.
        options: The film's: grid, side, how to enlarge.
        draws: Whether it draws random numbers when it makes pictures: each batch then has the same.
    """

    generator: Generator
    device: torch.device
    precision: Precision
    size: Size
    options: VideoOptions
    draws: bool

    @property
    def cell(self) -> Size:
        """Of one picture of the grid."""
        wanted = self.options.side_px
        if not wanted:
            return self.size
        factor = wanted / min(self.size)
        return Size(round(self.size.height * factor), round(self.size.width * factor))

    @property
    def frame(self) -> Size:
        columns, rows = self.options.grid
        return Size(rows * self.cell.height, columns * self.cell.width)

    @property
    def batch(self) -> int:
        """Pictures in a batch: a power of 2."""
        pixels = max(self.size.height * self.size.width, self.cell.height * self.cell.width)
        return 1 << int(math.log2(min(MOST_AT_ONCE, max(1, BATCH_PIXELS[self.device.type] // pixels))))

    @property
    def batch_frames(self) -> int:
        """Frames whose cells are made at once: a power of 2."""
        return 1 << int(math.log2(max(1, self.batch // math.prod(self.options.grid))))

    def frames(self, latents: Tensor) -> Tensor:
        """Latents (N, cells, *shape) -> frames (N, 3, H, W) in [-1, 1] on the device."""
        count = latents.shape[0] * latents.shape[1]
        given = latents.flatten(0, 1).to(self.device)
        filled = given[torch.arange(-(-count // self.batch) * self.batch, device=self.device) % count]
        with (
            exhaustion(f"{self.batch} pictures of {self.cell} px", "Choose a smaller side_px."),
            torch.no_grad(),
            mixed(self.device, self.precision),
        ):
            made = torch.cat([self._pictures(batch) for batch in torch.split(filled, self.batch)])[:count]
        if not bool(torch.isfinite(made).all()):
            raise DivergedError(
                "its generator makes pictures that are not finite numbers",
                remedy="Choose an earlier checkpoint: checkpoint_images.",
            )
        return _in_grid(made.view(*latents.shape[:2], *made.shape[1:]), *self.options.grid)

    def _pictures(self, given: Tensor) -> Tensor:
        if self.draws:
            with DRAWING, drawing(self.options.seed, "walk noise"):
                made = self.generator.sample(given)
        else:
            made = self.generator.sample(given)
        return resized(made, self.cell, self.options.enlarge)


def resized(pictures: Tensor, size: Size, enlarge: str) -> Tensor:
    """Pictures (N, 3, h, w) in [-1, 1] at another size."""
    if tuple(pictures.shape[2:]) == tuple(size):
        return pictures
    if enlarge == "blocks" and size.height >= pictures.shape[2]:
        return interpolate(pictures, size=tuple(size), mode="nearest-exact")
    return interpolate(pictures, size=tuple(size), mode="bicubic", antialias=True).clamp(-1, 1)


def _in_grid(pictures: Tensor, columns: int, rows: int) -> Tensor:
    """Pictures (N, rows * columns, 3, h, w) side by side: (N, 3, rows * h, columns * w)."""
    count, _, channels, height, width = pictures.shape
    laid = pictures.view(count, rows, columns, channels, height, width).permute(0, 3, 1, 4, 2, 5)
    return laid.reshape(count, channels, rows * height, columns * width)


class WalkShot:
    """A walk through the latent space of one generator.

    Args:
        maker: Makes the pictures.
        walk: From positions to latents.
        positions: Where the walk is in each frame, (frames,).
    """

    def __init__(self, maker: Maker, walk: Walk, positions: NDArray[np.float64]) -> None:
        self.maker, self.walk, self.positions = maker, walk, torch.from_numpy(positions)
        self.size, self.batch_frames = maker.frame, maker.batch_frames

    def pictures(self, frames: range) -> Iterator[Tensor]:
        for start in range(frames.start, frames.stop, self.batch_frames):
            stop = min(frames.stop, start + self.batch_frames)
            yield self.maker.frames(self.walk.latents(self.positions[start:stop]))


class LearningShot:
    """A walk while the generator learns: frame by frame the next checkpoint, each for the same time.

    Args:
        makers: Each opens a checkpoint and makes its pictures; the one at work is in memory, no other.
        walk: From positions to latents.
        positions: Where the walk is in each frame, (frames,).
        size: Of a frame: that of the last checkpoint; those of smaller pictures are enlarged.
    """

    def __init__(self, makers: Sequence[Callable[[], Maker]], walk: Walk, positions: NDArray[np.float64]) -> None:
        self.makers, self.walk, self.positions = makers, walk, torch.from_numpy(positions)
        self.batch_frames = 1  # so that a frame is the same in whatever company
        self._open(len(makers) - 1)
        self.size = self._maker.frame

    def pictures(self, frames: range) -> Iterator[Tensor]:
        for frame in frames:
            self._open(frame * len(self.makers) // len(self.positions))
            made = self._maker.frames(self.walk.latents(self.positions[frame : frame + 1]))
            yield resized(made, self.size, "blocks")

    def _open(self, index: int) -> None:
        if getattr(self, "_index", None) != index:
            with DRAWING:
                self._index, self._maker = index, self.makers[index]()


class PreviewShot:
    """The sheets of a run in turn, each for the same time, at the size of the last one.

    Args:
        sheets: Files, in order.
        options: The film's.
    """

    batch_frames = 1

    def __init__(self, sheets: list[Any], options: VideoOptions, frames: int) -> None:
        if not sheets:
            raise DataError("it has no previews yet", place=options.run, remedy="Let it train to its first preview.")
        self.sheets, self.options, self.frames = sheets, options, frames
        height, width = read(sheets[-1]).shape[:2]
        factor = options.side_px / min(height, width) if options.side_px else 1
        self.size = Size(round(height * factor), round(width * factor))

    def pictures(self, frames: range) -> Iterator[Tensor]:
        shown, picture = -1, torch.empty(0)
        for frame in frames:
            index = frame * len(self.sheets) // self.frames
            if index != shown:
                sheet = torch.from_numpy(np.array(read(self.sheets[index]))).permute(2, 0, 1)[None]
                shown, picture = index, resized(to_float(sheet), self.size, self.options.enlarge)
            yield picture
