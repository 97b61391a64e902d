"""Pairs of pictures -> a data set: what each is to be made from, and what it should become.

The two sides come from two folders, matched by name, or are the halves of one picture. Both are framed alike. In the
cache a pair is one picture of double height, the one to learn above the one to make it from: neither is there alone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from artgen.data.cache import Kept, key_of
from artgen.data.crop import Crop, frame
from artgen.data.dataset import Dataset, Workshop
from artgen.data.folder import NAMED, Framed, found_part, is_soft, keep_all
from artgen.data.images import Picture, decode, shown
from artgen.data.scan import Found, Scan, Skipped, look_through
from artgen.errors import DataError

Direction = Literal["left-to-right", "right-to-left"]
"""From which half of a picture to which."""

_SHAPES_DIFFER = 0.01
"""Proportions may differ by this share: sides of pictures that were shrunk are rounded."""


def prepare_folders(
    source: str, target: str, size: tuple[int, int], crop: Crop, labels: bool, skip_share: float, workshop: Workshop
) -> Dataset:
    """Make a data set of the pictures in two folders, and in the folders below them, that have one name but the ending.

    Args:
        source: Folder of what the pictures are to be made from.
        target: Folder of the pictures to learn.
        size: (height, width) of the prepared pictures in pixels.
        crop: How a target is brought into shape; its source is treated alike.
        labels: The sources are maps of labels: see `artgen.data.images.decode`.
        skip_share: Refuse the folders if more than this share of their pairs cannot be read.
        workshop: Where prepared pictures are kept, and with how many threads they are read.

    Raises:
        DataError: A folder is not there, no two pictures have one name, or too many pairs cannot be read.
        ResourceError: No room for the prepared pictures.
    """
    sources, targets = _looked_through(source), _looked_through(target)
    if sources.root.resolve() == targets.root.resolve():
        raise DataError(
            "both sides of the pairs would be the pictures of this one folder",
            place=shown(targets.root),
            remedy="Name two folders, by `source` and `target`; or derive sources by a [source.NAME].",
        )
    scan, partner = _matched(sources, targets)

    def read(file: Found) -> Framed | Skipped:
        at = targets
        try:
            picture, header = decode(file.path, at_least=size)
            at, file = sources, partner[file.name]
            made_from, other = decode(file.path, at_least=size, labels=labels)
        except DataError as error:
            return Skipped(_named(at, file.name), error.cause)
        across, down = header.width * other.height, other.width * header.height
        if abs(across - down) > _SHAPES_DIFFER * max(across, down):
            shapes = f"{other.width}x{other.height} px, where its picture has {header.width}x{header.height}"
            return Skipped(_named(at, file.name), f"another shape: {shapes}")
        pair = _framed(picture, made_from, size, crop, labels)
        return Framed(file, pair, header, is_soft(header.height, header.width, size, crop))

    roots = [str(one.root.resolve()) for one in (sources, targets)]
    files = [part for file in scan.found for part in map(found_part, (file, partner[file.name]))]
    key = key_of("pairs", *roots, f"{size} {crop} {labels}", *files)
    entry, notes = keep_all(scan, read, _doubled(size), key, skip_share, workshop)
    return _dataset(entry, size, labels, notes | {"sources": shown(source)})


def prepare_halves(
    path: str, direction: Direction, size: tuple[int, int], crop: Crop, labels: bool, skip_share: float,
    workshop: Workshop,
) -> Dataset:  # fmt: skip
    """Make a data set of all pictures in a folder and the folders below it, each a pair side by side.

    Args:
        path: The folder.
        direction: Which half is to be made from which.
        size: (height, width) of the prepared pictures, which are halves, in pixels.
        crop: How a target is brought into shape; its source is treated alike.
        labels: The sources are maps of labels, in colours.
        skip_share: Refuse the folder if more than this share of its picture files cannot be read.
        workshop: Where prepared pictures are kept, and with how many threads they are read.

    Raises:
        DataError: No such folder, no pictures in it, or too many that cannot be read.
        ResourceError: No room for the prepared pictures.
    """

    def read(file: Found) -> Framed | Skipped:
        try:
            whole, header = decode(file.path)  # at its full size: a shrunk one may have no middle
        except DataError as error:
            return Skipped(shown(file.name), error.cause)
        middle = header.width // 2
        if header.width % 2:
            return Skipped(shown(file.name), f"its width of {header.width} px is odd: no two halves")
        left, right = whole[:, :middle], whole[:, middle:]
        source, target = (left, right) if direction == "left-to-right" else (right, left)
        pair = _framed(target, source, size, crop, labels)
        return Framed(file, pair, header, is_soft(header.height, middle, size, crop))

    scan = look_through(path)
    kind = f"{size} {crop} {labels} {direction}"
    key = key_of("side by side", str(scan.root.resolve()), kind, *map(found_part, scan.found))
    entry, notes = keep_all(scan, read, _doubled(size), key, skip_share, workshop)
    return _dataset(entry, size, labels, notes)


def _looked_through(folder: str) -> Scan:
    try:
        scan = look_through(folder)
    except DataError as error:
        remedy = (
            "Put pictures and what they are made from into two folders, and name the one that holds both with --data; "
            "`source` and `target` say what the two are called."
        )
        raise DataError(error.cause, place=error.place, remedy=remedy) from error
    scan.passed_over = [Skipped(_named(scan, name), reason) for name, reason in scan.passed_over]
    return scan


def _matched(sources: Scan, targets: Scan) -> tuple[Scan, dict[str, Found]]:
    """The targets that have a source, and the source of each by the target's name. The rest is passed over.

    Raises:
        DataError: There are none.
    """
    passed_over = [*sources.passed_over, *targets.passed_over]
    by_stem: list[dict[str, Found]] = []
    for scan in (sources, targets):
        files: dict[str, Found] = {}
        for file in scan.found:
            first = files.setdefault(os.path.splitext(file.name)[0], file)  # noqa: PTH122  # a name as the scan has it
            if first is not file:
                reason = f"{shown(first.name)} is there, which has the same name but the ending"
                passed_over.append(Skipped(_named(scan, file.name), reason))
        by_stem.append(files)
    made_from, learnt = by_stem
    for scan, own, others, where in ((sources, made_from, learnt, targets), (targets, learnt, made_from, sources)):
        reason = f"nothing has its name in {shown(where.root)}"
        passed_over += [Skipped(_named(scan, own[stem].name), reason) for stem in own if stem not in others]
    matched = [stem for stem in learnt if stem in made_from]
    if not matched:
        lines = [f"{name}: {reason}" for name, reason in passed_over[:NAMED]]
        raise DataError(
            "\n    ".join([f"no picture here has the name of one in {shown(sources.root)}", *lines]),
            place=shown(targets.root),
            remedy="Give the two sides of a pair one name, but the ending: labels/0001.png and photos/0001.jpg.",
        )
    found = [learnt[stem] for stem in matched]
    pairs = replace(targets, found=found, passed_over=passed_over, others=sources.others + targets.others)
    return pairs, {learnt[stem].name: made_from[stem] for stem in matched}


def _named(scan: Scan, name: str) -> str:
    """A file below one of two folders, by a name that tells which."""
    return shown(f"{scan.root.name}/{name}")


def _framed(target: Picture, source: Picture, size: tuple[int, int], crop: Crop, labels: bool) -> Picture:
    """A pair as one picture, the target above."""
    below = frame(source, size, crop, like=target, labels=labels)
    return np.concatenate([frame(target, size, crop), below])


def _doubled(size: tuple[int, int]) -> tuple[int, int]:
    return 2 * size[0], size[1]


def _dataset(entry: Kept, size: tuple[int, int], labels: bool, notes: dict[str, Any]) -> Dataset:
    real, source = entry.pictures[:, : size[0]], entry.pictures[:, size[0] :]
    # The same pixels are seen otherwise, in phases of smaller sizes, if they are labels.
    fingerprint = f"{entry.fingerprint} labels" if labels else entry.fingerprint
    return Dataset(real, fingerprint, source, notes, source_is_labels=labels)
