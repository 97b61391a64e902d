"""From the rows of an array file to a data set."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artgen import DataError
from artgen.data import Dataset, Workshop
from artgen.data.cache import kept, key_of
from artgen.data.crop import frame
from artgen.data.images import Picture, shown


def from_rows(
    rows: Iterable[NDArray[np.uint8]], count: int, size: tuple[int, int], key: list[str], workshop: Workshop
) -> Dataset:
    """Bring the pictures of an array file to one size and keep them.

    Args:
        rows: Pictures (h, w, 3) or grey (h, w), uint8; not touched if they are kept already.
        count: How many there are.
        size: (height, width) in pixels.
        key: Everything that the pixels depend on.
        workshop: Where prepared pictures are kept.
    """

    def make(notes: dict[str, Any]) -> Iterator[Picture]:
        with workshop.progress("Preparing pictures", count) as advance:
            for row in rows:
                picture = np.repeat(row[:, :, None], 3, axis=2) if row.ndim == 2 else row
                yield frame(picture, size, "center")
                advance(1)

    entry = kept(workshop.cache, key_of(*key, str(size)), size, count, make)
    return Dataset(entry.pictures, entry.fingerprint, notes={"pictures": len(entry.pictures)})


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into a DataError that names it."""
    try:
        yield
    except DataError as error:
        raise DataError(error.cause, place=error.place or shown(path), remedy=error.remedy) from error
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise DataError(shown(reason), place=shown(path), remedy="The file is damaged: get it again.") from error
