"""The two data sets of pairs."""

from __future__ import annotations

from pathlib import Path

from artgen.data import Dataset, Workshop
from artgen.data.pairs import prepare_folders, prepare_halves
from artgen_pairs import FoldersOptions, SideBySideOptions


def pairs(options: FoldersOptions, workshop: Workshop) -> Dataset:
    """Pairs in two folders; see `artgen.data.pairs.prepare_folders`."""
    source, target = (str(Path(options.path) / folder) for folder in (options.source, options.target))
    return prepare_folders(source, target, options.size, options.crop, options.labels, options.skip_share, workshop)


def side_by_side(options: SideBySideOptions, workshop: Workshop) -> Dataset:
    """Pairs side by side; see `artgen.data.pairs.prepare_halves`."""
    return prepare_halves(
        options.path, options.direction, options.size, options.crop, options.labels, options.skip_share, workshop
    )
