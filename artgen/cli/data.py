"""`artgen data`: look at pictures before they are learned from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artgen.data.folder import Found, Framed, Scan, Skipped


@click.group()
def data() -> None:
    """Look at pictures before they are learned from."""


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option(
    "--resolution", type=click.IntRange(4, 4096), default=64, show_default=True, help="Wanted side in pixels."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(folder: str, resolution: int, as_json: bool) -> None:
    """Read every picture in DIR as training would, and report.

    Ends with exit code 3 if training would refuse the folder: no pictures, or too many that cannot be read.
    """
    import os

    from artgen.cli.progress import bar
    from artgen.data.folder import SKIP_SHARE, Framed, check_readable, frame_all, look_through
    from artgen.errors import DataError

    scan = look_through(folder)
    results = frame_all(scan.found, (resolution, resolution), "center", os.cpu_count() or 1, bar)
    pictures, skipped = list[Framed](), list[Skipped]()
    for result in results:
        if isinstance(result, Framed):
            # The pixels are not part of the report, and would fill the memory.
            pictures.append(result._replace(picture=result.picture[:0].copy()))
        else:
            skipped.append(result)
    refusal = None
    try:
        check_readable(scan, skipped, SKIP_SHARE)
    except DataError as error:
        refusal = error
    report = _report(scan, pictures, skipped, resolution)
    report["usable"] = refusal is None
    click.echo(json.dumps(report, indent=2) if as_json else _in_words(report))
    if refusal is not None:
        raise refusal


def _report(scan: Scan, pictures: Sequence[Framed], skipped: Sequence[Skipped], resolution: int) -> dict[str, Any]:
    from collections import Counter
    from statistics import median_low

    from artgen.data.images import shown

    headers = [picture.header for picture in pictures]
    report: dict[str, Any] = {
        "folder": shown(scan.root),
        "resolution": resolution,
        "pictures": len(pictures),
        "formats": dict(Counter(header.format for header in headers).most_common()),
    }
    if pictures:
        widths, heights = sorted(h.width for h in headers), sorted(h.height for h in headers)
        smallest = min(pictures, key=lambda picture: min(picture.header.height, picture.header.width))
        report |= {
            "width_px": [widths[0], median_low(widths), widths[-1]],
            "height_px": [heights[0], median_low(heights), heights[-1]],
            "smallest": {
                "side_px": min(smallest.header.height, smallest.header.width),
                "file": shown(smallest.found.name),
            },
            "shapes": {
                "portrait": sum(h.height > h.width for h in headers),
                "landscape": sum(h.height < h.width for h in headers),
                "square": sum(h.height == h.width for h in headers),
            },
            "upscaled": sum(picture.soft for picture in pictures),
            "turned": sum(h.turned for h in headers),
            "animated": sum(h.animated for h in headers),
        }
    return report | {
        "other_files": scan.others,
        "duplicates": _duplicates([picture.found for picture in pictures]),
        "skipped": [{"file": name, "reason": reason} for name, reason in [*skipped, *scan.passed_over]],
    }


def _duplicates(files: Sequence[Found]) -> list[list[str]]:
    """Names of files with the same bytes, in groups."""
    import contextlib
    import hashlib
    from collections import defaultdict
    from pathlib import Path

    from artgen.data.images import shown

    sizes = defaultdict[int, list["Found"]](list)
    for file in files:
        sizes[file.size_bytes].append(file)
    groups = defaultdict[bytes, list[str]](list)
    for same_size in sizes.values():
        if len(same_size) == 1:
            continue
        for file in same_size:
            with contextlib.suppress(OSError), Path(file.path).open("rb") as stream:
                groups[hashlib.file_digest(stream, "blake2b").digest()].append(shown(file.name))
    return [names for names in groups.values() if len(names) > 1]


def _in_words(report: dict[str, Any]) -> str:
    lines = [f"{report['folder']}: {report['pictures']} pictures"]
    if report["pictures"]:
        shapes = ", ".join(f"{count} {name}" for name, count in report["shapes"].items() if count)
        lines += [
            "  formats    " + ", ".join(f"{count} {name}" for name, count in report["formats"].items()),
            "  width      {} to {} px, median {}".format(*(report["width_px"][at] for at in (0, 2, 1))),
            "  height     {} to {} px, median {}".format(*(report["height_px"][at] for at in (0, 2, 1))),
            f"  smallest   {report['smallest']['side_px']} px: {report['smallest']['file']}",
            f"  shapes     {shapes}",
        ]
        if report["upscaled"]:
            lines.append(f"  upscaled   {report['upscaled']} are much smaller than {report['resolution']} px")
        if report["turned"]:
            lines.append(f"  turned     {report['turned']} upright, by their EXIF orientation")
        if report["animated"]:
            lines.append(f"  animated   {report['animated']}; their first frame is used")
    if report["other_files"]:
        lines.append(f"  others     {report['other_files']} files that are no pictures")
    for names in report["duplicates"]:
        lines.append("  duplicate  " + " = ".join(names))
    for row in report["skipped"]:
        lines.append(f"  skipped    {row['file']}: {row['reason']}")
    return "\n".join(lines)
