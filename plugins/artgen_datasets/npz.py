"""One `.npz` file with the key `images`. The header is checked first, then one picture is read at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from artgen import DataError
from artgen.data import Dataset, Workshop
from artgen.data.cache import file_part
from artgen.data.images import MAX_PIXELS
from artgen_datasets import NpzOptions
from artgen_datasets.arrays import from_rows, reading

_MEMBER = "images.npy"


def npz(options: NpzOptions, workshop: Workshop) -> Dataset:
    """The pictures of the file, in its order, brought to size by their middle.

    Raises:
        DataError: The file is missing, or holds no uint8 pictures under `images`.
    """
    path = Path(options.path)
    with reading(path):
        if not path.is_file():
            raise DataError("there is no such file", remedy="Give the `.npz` file that holds the array `images`.")
        with zipfile.ZipFile(path) as archive, _member(archive) as stream:
            shape = _shape(archive, stream)
    return from_rows(_rows(path), shape[0], options.size, ["npz", file_part(path)], workshop)


def _member(archive: zipfile.ZipFile) -> IO[bytes]:
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    if _MEMBER not in archive.namelist():
        raise DataError(f"no array `images`; it holds {', '.join(names[:20]) or 'nothing'}")
    return archive.open(_MEMBER)


def _shape(archive: zipfile.ZipFile, stream: IO[bytes]) -> tuple[int, ...]:
    """The shape that the header announces, checked against what artgen takes and against the size of the member."""
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise DataError(f"version {version} of the .npy format is not read")
    header_reader = readers[version]
    shape, fortran, dtype = header_reader(stream)
    announced = f"`images` is {dtype} {shape}"
    if dtype != np.uint8:
        raise DataError(f"{announced}; wanted is uint8", remedy="Convert it: 0 is black, 255 is white.")
    if len(shape) not in (3, 4) or shape[3:] not in ((), (3,)):
        raise DataError(f"{announced}; wanted is (N, height, width, 3), or (N, height, width) for grey")
    if min(shape) < 1 or shape[1] * shape[2] > MAX_PIXELS:
        raise DataError(f"{announced}; there must be pictures, of at most {MAX_PIXELS:,} pixels each")
    if fortran:
        raise DataError(f"{announced} in Fortran order", remedy="Save `np.ascontiguousarray(images)`.")
    size_bytes = stream.tell() + int(np.prod(shape, dtype=object))
    if archive.getinfo(_MEMBER).file_size != size_bytes:
        raise DataError(f"{announced}, which takes {size_bytes} bytes; the file holds another number of them")
    return shape


def _rows(path: Path) -> Iterator[NDArray[np.uint8]]:
    with reading(path), zipfile.ZipFile(path) as archive, _member(archive) as stream:
        count, *picture = _shape(archive, stream)
        picture_bytes = int(np.prod(picture))
        for index in range(count):
            pixels = stream.read(picture_bytes)
            if len(pixels) < picture_bytes:
                raise DataError(f"it ends after {index} of {count} pictures")
            yield np.frombuffer(pixels, np.uint8).reshape(picture)
        stream.read(1)  # at the end of a member its checksum is compared
