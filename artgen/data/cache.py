"""Prepared pictures kept on disk: made once, then opened as a memory map in milliseconds.

An entry is two files: `KEY.npy`, uint8 (N, H, W, 3), and `KEY.json`, which is written last and tells the shape, the
fingerprint of the pixels and the notes. Both appear whole or not at all; an entry whose parts do not agree is made
anew. Every entry may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from artgen import files
from artgen.data.dataset import Pictures
from artgen.data.images import Picture
from artgen.errors import ResourceError

FORMAT = 1
"""Part of every key: raise it when prepared pictures would come out otherwise than before."""

_SPARE_BYTES = 64 << 20  # what an entry must leave free on the disk
_LEFT_OVER_SECONDS = 3600  # a temporary file that nobody has written to for this long has lost its process
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Kept:
    """An entry: pictures (N, H, W, 3), memory-mapped and read-only, what they hash to, and what their maker noted."""

    pictures: Pictures
    fingerprint: str
    notes: dict[str, Any]


Make = Callable[[dict[str, Any]], Iterable[Picture]]
"""`make(notes)` yields pictures of one size and writes what the user should know, as JSON values, into `notes`."""


def key_of(*parts: str | bytes) -> str:
    """A name for an entry, from everything that its pixels depend on."""
    digest = hashlib.blake2b(f"artgen pictures {FORMAT}".encode(), digest_size=16)
    for part in parts:
        digest.update(b"\0" + (part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")))
    return digest.hexdigest()


def file_part(path: Path) -> str:
    """A file as part of a key: its place, size and time of change."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def fingerprint(pictures: Pictures) -> str:
    """A hash of the pixels and of their shape."""
    digest = _digest(pictures.shape[1:])
    for picture in pictures:
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


def kept(folder: Path, key: str, size: tuple[int, int], most: int, make: Make) -> Kept:
    """Open the entry `key`, or make it.

    Args:
        folder: Where entries are kept; made if it is missing.
        key: From `key_of`.
        size: (height, width) of each picture.
        most: How many pictures `make` yields at most; the disk must have room for them.
        make: Called only if there is no such entry or if it is damaged.

    Raises:
        ResourceError: The disk is full, or the folder cannot be written.
    """
    entry = _opened(folder, key)
    if entry is not None:
        return entry
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        _check_space(folder, most * math.prod(size) * 3)
        # An OSError of `make` itself is a fault of the pictures: readers turn it into a DataError.
        _write(folder, key, size, make)
    except OSError as error:
        raise ResourceError(
            f"the prepared pictures cannot be kept: {error.strerror or error}",
            place=str(folder),
            remedy=_MORE_SPACE if error.errno in _FULL else "Choose a cache folder that can be written.",
        ) from error
    entry = _opened(folder, key)
    if entry is None:
        raise ResourceError("what was written does not read back", place=str(folder / f"{key}.npy"))
    return entry


_MORE_SPACE = "Free some disk space (all of this folder may be deleted), or ask for a lower resolution."


def _opened(folder: Path, key: str) -> Kept | None:
    file = folder / f"{key}.npy"
    try:
        entry = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        pictures = np.load(file, mmap_mode="r", allow_pickle=False)
        whole = list(pictures.shape) == entry["shape"] and pictures.dtype == np.uint8
        whole = whole and file.stat().st_size == pictures.offset + pictures.nbytes
        return Kept(pictures, str(entry["fingerprint"]), dict(entry["notes"])) if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None


def _write(folder: Path, key: str, size: tuple[int, int], make: Make) -> None:
    shape, notes = (*size, 3), dict[str, Any]()
    count, digest = 0, _digest(shape)
    with files.replacing(folder / f"{key}.npy") as temporary, temporary.open("wb") as file:
        start = _write_header(file, (0, *shape))
        for picture in make(notes):
            if picture.shape != shape or picture.dtype != np.uint8:
                raise ValueError(f"a picture {picture.shape} {picture.dtype}, where {shape} uint8 was promised")
            pixels = np.ascontiguousarray(picture).data
            digest.update(pixels)
            file.write(pixels)
            count += 1
        file.seek(0)
        # NumPy leaves room in the header for a first axis that grows, so the pixels still start where they do.
        if _write_header(file, (count, *shape)) != start:
            raise ValueError("the header of the array grew")
    entry = {"shape": [count, *shape], "fingerprint": digest.hexdigest(), "notes": notes}
    files.replace(folder / f"{key}.json", json.dumps(entry, indent=1).encode())


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.tell()


def _digest(shape: tuple[int, ...]) -> hashlib.blake2b:
    return hashlib.blake2b(repr(tuple(map(int, shape))).encode(), digest_size=16)


def _check_space(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes + _SPARE_BYTES > free_bytes:
        raise ResourceError(
            f"the prepared pictures take {needed_bytes / 1e9:.1f} GB, and {free_bytes / 1e9:.1f} GB are free",
            place=str(folder),
            remedy=_MORE_SPACE,
        )


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind."""
    for left_over in folder.glob(f"{files.TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - left_over.stat().st_mtime > _LEFT_OVER_SECONDS:
                left_over.unlink()
