"""What a folder of pictures holds, told before anything is learned from it."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np

from artgen.data.dataset import Progress
from artgen.data.folder import SKIP_SHARE, Framed, check_readable, frame_all
from artgen.data.images import shown
from artgen.data.scan import Found, Skipped, look_through
from artgen.errors import DataError

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


def examine(path: str, resolution: int, workers: int, progress: Progress) -> tuple[dict[str, Any], DataError | None]:
    """Read every picture of a folder as training would.

    Args:
        path: The folder.
        resolution: Side in pixels that training would want.
        workers: How many threads read.
        progress: Shows a bar.

    Returns:
        The report (JSON values), and why training would refuse the folder, if it would.

    Raises:
        DataError: There is no such folder.
    """
    scan = look_through(path)
    framed: list[Framed] = []
    skipped: list[Skipped] = []
    for result in frame_all(scan.found, (resolution, resolution), "center", workers, progress):
        if isinstance(result, Framed):
            framed.append(result._replace(picture=_NO_PIXELS))  # they would fill the memory
        else:
            skipped.append(result)
    report = {
        "folder": shown(scan.root),
        "resolution": resolution,
        "pictures": len(framed),
        **(_pictures(framed) if framed else {}),
        "other_files": scan.others,
        "duplicates": _duplicates([picture.found for picture in framed]),
        "skipped": [{"file": name, "reason": reason} for name, reason in [*skipped, *scan.passed_over]],
    }
    try:
        check_readable(scan, skipped, SKIP_SHARE)
    except DataError as refusal:
        return report | {"usable": False}, refusal
    return report | {"usable": True}, None


def _pictures(framed: Sequence[Framed]) -> dict[str, Any]:
    headers = [picture.header for picture in framed]
    widths, heights = sorted(header.width for header in headers), sorted(header.height for header in headers)
    smallest = min(framed, key=lambda picture: min(picture.header.height, picture.header.width))
    return {
        "formats": dict(Counter(header.format for header in headers).most_common()),
        "width_px": [widths[0], median_low(widths), widths[-1]],
        "height_px": [heights[0], median_low(heights), heights[-1]],
        "smallest": {
            "side_px": min(smallest.header.height, smallest.header.width),
            "file": shown(smallest.found.name),
        },
        "shapes": {
            "portrait": sum(header.height > header.width for header in headers),
            "landscape": sum(header.height < header.width for header in headers),
            "square": sum(header.height == header.width for header in headers),
        },
        "upscaled": sum(picture.soft for picture in framed),
        "turned": sum(header.turned for header in headers),
        "animated": sum(header.animated for header in headers),
    }


def _duplicates(files: Sequence[Found]) -> list[list[str]]:
    """Names of files with the same bytes, in groups. Only files of the same size are read again."""
    sizes = Counter(file.size_bytes for file in files)
    groups: defaultdict[bytes, list[str]] = defaultdict(list)
    for file in files:
        if sizes[file.size_bytes] > 1:
            with contextlib.suppress(OSError), Path(file.path).open("rb") as stream:
                groups[hashlib.file_digest(stream, "blake2b").digest()].append(shown(file.name))
    return [names for names in groups.values() if len(names) > 1]
