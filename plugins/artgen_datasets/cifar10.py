"""CIFAR-10, binary version (Krizhevsky 2009): records of one label byte and 3 x 32 x 32 bytes, red plane first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from artgen import DataError
from artgen.data import Dataset, Workshop
from artgen.data.cache import file_part
from artgen_datasets import Cifar10Class, Cifar10Options
from artgen_datasets.arrays import from_rows, reading

_RECORD_BYTES = 1 + 3 * 32 * 32
_NAMES: tuple[str, ...] = get_args(Cifar10Class)


def cifar10(options: Cifar10Options, workshop: Workshop) -> Dataset:
    """The training pictures of some classes or of all.

    Raises:
        DataError: The files are missing or are no CIFAR-10 batches.
    """
    folder = Path(options.path)
    files = [file for file in sorted(folder.glob("data_batch_*.bin")) if file.is_file()]
    if not files:
        raise DataError(
            "no data_batch_*.bin in this folder",
            place=str(folder),
            remedy="Unpack cifar-10-binary.tar.gz and give its folder cifar-10-batches-bin.",
        )
    classes = sorted(_NAMES.index(name) for name in set(options.classes)) or list(range(len(_NAMES)))
    batches = [_records(file) for file in files]
    chosen = [np.flatnonzero(np.isin(batch[:, 0], classes)) for batch in batches]
    count = sum(map(len, chosen))
    if not count:
        raise DataError(f"no pictures of {', '.join(options.classes)} in these files", place=str(folder))

    def rows() -> Iterator[NDArray[np.uint8]]:
        for batch, indices in zip(batches, chosen, strict=True):
            for index in indices:
                yield batch[index, 1:].reshape(3, 32, 32).transpose(1, 2, 0)

    key = ["cifar10", str(classes), *map(file_part, files)]
    return from_rows(rows(), count, options.size, key, workshop)


def _records(file: Path) -> NDArray[np.uint8]:
    """The records (N, 3073) of a batch, memory-mapped."""
    with reading(file):
        size_bytes = file.stat().st_size
        if size_bytes == 0 or size_bytes % _RECORD_BYTES:
            raise DataError(f"{size_bytes} bytes are no whole number of records of {_RECORD_BYTES} bytes")
        records = np.memmap(file, np.uint8, mode="r", shape=(size_bytes // _RECORD_BYTES, _RECORD_BYTES))
        if records[:, 0].max() >= len(_NAMES):
            raise DataError(f"label {records[:, 0].max()}, where CIFAR-10 has 0 to {len(_NAMES) - 1}")
        return records
