"""A folder of pictures."""

from __future__ import annotations

from artgen.data import Dataset, Workshop
from artgen.data.folder import prepare
from artgen_datasets import FolderOptions


def folder(options: FolderOptions, workshop: Workshop) -> Dataset:
    """All pictures of a folder; see `artgen.data.folder.prepare`."""
    return prepare(options.path, options.size, options.crop, options.skip_share, workshop)
