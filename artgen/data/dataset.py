"""What a data set is to the rest of artgen: uint8 arrays, their fingerprint, and how they came to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Pictures = NDArray[np.uint8]
"""RGB pictures at rest, (N, H, W, 3), uint8."""

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]
"""`with progress("Reading pictures", total) as advance: advance(1)` shows a bar with the time left."""


@dataclass(frozen=True)
class Workshop:
    """What a data set may use while it is made.

    Args:
        cache: Folder for prepared pictures, keyed by content; safe to delete.
        progress: Shows a bar.
        workers: How many processes or threads may work at once.
    """

    cache: Path
    progress: Progress
    workers: int


@dataclass(frozen=True, eq=False)
class StylePicture:
    """A picture whose hand is wanted.

    Args:
        picture: (h, w, 3) uint8, as large as it should be beside contents of full size.
        weight: Its share among the styles of one region.
        where: Where on the contents it is wanted, (H, W) uint8, 255 for all of it; None: everywhere.
        part: Which part of it is meant, (h, w) uint8; None: all of it.
    """

    picture: NDArray[np.uint8]
    weight: float = 1.0
    where: NDArray[np.uint8] | None = None
    part: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A frame that is finished: its content and what was made of it, (H, W, 3) uint8 each."""

    content: NDArray[np.uint8]
    made: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Repainting:
    """How pictures are to be repainted: what a data set of contents says beside their pixels.

    Args:
        styles: In whose hand.
        names: What each picture is called, without an ending; for files.
        frames_per_second: They are the frames of a film; None: pictures by themselves.
        loops: The first frame follows the last.
        before: The finished frame before the first one.
        after: The finished frame after the last one.
        start: What all of them begin with, (H, W, 3) uint8; None: what the generator begins with.
        finish: Turns made pictures, (N, 3, H, W) float in [-1, 1], and the place of the first of them in the data set,
            into what is shown and kept, (N, 3 or 4, H, W) in [-1, 1], the fourth channel being how opaque it is, -1
            for not at all: it puts back colours or an alpha of the contents. They may be smaller than these. None:
            pictures are kept as they are made.
    """

    styles: tuple[StylePicture, ...]
    names: tuple[str, ...]
    frames_per_second: Fraction | None = None
    loops: bool = False
    before: Neighbour | None = None
    after: Neighbour | None = None
    start: NDArray[np.uint8] | None = None
    finish: Callable[[Tensor, int], Tensor] | None = None


@dataclass(frozen=True)
class Dataset:
    """Prepared pictures.

    Args:
        real: The pictures to learn from, (N, H, W, 3) uint8 RGB; may be memory-mapped.
        source: For pairs: what each of them is to be made from, same N.
        fingerprint: Changes whenever a pixel would.
        notes: What the user should know: how many pictures were skipped and why. Goes into the log and `run.json`.
        source_is_labels: The sources are maps of labels: their colours are never blended, whatever their size becomes.
        repainting: `real` are contents to be repainted. Then all of them make up every batch, in their order, and they
            may have another shape than the `resolution` of the options: sizes of phases are boxes that they fit into.
    """

    real: Pictures
    fingerprint: str
    source: Pictures | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    source_is_labels: bool = False
    repainting: Repainting | None = None

    def __len__(self) -> int:
        return len(self.real)
