"""What a data set is to the rest of artgen: uint8 arrays, their fingerprint, and how they came to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Dataset:
    """Prepared pictures.

    Args:
        real: The pictures to learn from, (N, H, W, 3) uint8 RGB; may be memory-mapped.
        source: For pairs: what each of them is to be made from, same N.
        fingerprint: Changes whenever a pixel would.
        notes: What the user should know: how many pictures were skipped and why. Goes into the log and `run.json`.
        source_is_labels: The sources are maps of labels: their colours are never blended, whatever their size becomes.
    """

    real: Pictures
    fingerprint: str
    source: Pictures | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    source_is_labels: bool = False

    def __len__(self) -> int:
        return len(self.real)
