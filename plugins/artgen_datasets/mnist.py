"""MNIST and sets of the same form, from idx files.

An idx file of pictures holds, big-endian, the magic number 2051, the count, the rows, the columns, then count * rows *
columns bytes (LeCun, Cortes, Burges, "The MNIST database", file format).
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from artgen import DataError
from artgen.data import Dataset, Workshop
from artgen.data.cache import file_part
from artgen_datasets import MnistOptions
from artgen_datasets.arrays import from_rows, reading

_MAGIC = 2051  # 0x00000803: unsigned bytes, three dimensions
_NAMES = {
    "train": ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
}
# What a header may announce; anything above is damage or an attack.
_MOST_PICTURES, _LARGEST_PX = 10_000_000, 1024


def mnist(options: MnistOptions, workshop: Workshop) -> Dataset:
    """The pictures of one split, as they are at 28 px; at other sizes with a black border to 32 px, then resized.

    Raises:
        DataError: The file is missing or is no idx file of pictures.
    """
    file = _find(Path(options.path), _NAMES[options.split])
    with reading(file), _opened(file) as stream:
        count, height, width = _header(stream)
    border = 2 if (height, width) == (28, 28) and options.size != (28, 28) else 0
    key = ["mnist", file_part(file), str(border)]
    return from_rows(_rows(file, border), count, options.size, key, workshop)


def _find(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        for file in (folder / name, folder / f"{name}.gz"):
            if file.is_file():
                return file
    raise DataError(
        f"neither {names[0]} nor {names[0]}.gz is in this folder",
        place=str(folder),
        remedy="Give the folder that holds the MNIST files.",
    )


def _opened(file: Path) -> BinaryIO:
    with file.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(file)) if packed else file.open("rb")


def _header(stream: BinaryIO) -> tuple[int, int, int]:
    head = stream.read(16)
    if len(head) < 16:
        raise DataError("too short for an idx file")
    magic, count, height, width = struct.unpack(">4I", head)
    if magic != _MAGIC:
        raise DataError(f"magic number {magic}, where an idx file of pictures has {_MAGIC}")
    if not (1 <= count <= _MOST_PICTURES and 1 <= height <= _LARGEST_PX and 1 <= width <= _LARGEST_PX):
        raise DataError(f"the header announces {count} pictures of {width}x{height} px")
    return count, height, width


def _rows(file: Path, border: int) -> Iterator[NDArray[np.uint8]]:
    with reading(file), _opened(file) as stream:
        count, height, width = _header(stream)
        for index in range(count):
            pixels = stream.read(height * width)
            if len(pixels) < height * width:
                raise DataError(f"it ends after {index} of {count} pictures", remedy="Get the file again.")
            yield np.pad(np.frombuffer(pixels, np.uint8).reshape(height, width), border)
        if stream.read(1):
            raise DataError(f"bytes follow after the {count} pictures that the header announces")
