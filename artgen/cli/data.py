"""`artgen data`: look at pictures before they are learned from."""

from __future__ import annotations

import json
from typing import Any

import click

from artgen.cli.options import workers


@click.group()
def data() -> None:
    """Look at pictures before they are learned from."""


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--resolution", type=click.IntRange(4, 4096), default=64, show_default=True, help="Wanted side, px.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(folder: str, resolution: int, as_json: bool) -> None:
    """Read every picture in DIR as training would, and report.

    Ends with exit code 3 if training would refuse the folder: no pictures, or too many that cannot be read.
    """
    from artgen.cli.progress import bar
    from artgen.data.report import examine

    report, refusal = examine(folder, resolution, workers(), bar)
    click.echo(json.dumps(report, indent=2) if as_json else _in_words(report))
    if refusal is not None:
        raise refusal


def _in_words(report: dict[str, Any]) -> str:
    lines = [f"{report['folder']}: {report['pictures']} pictures"]
    if report["pictures"]:
        smallest = report["smallest"]
        lines += [
            "  formats    " + _counts(report["formats"]),
            "  width      {0} to {2} px, median {1}".format(*report["width_px"]),
            "  height     {0} to {2} px, median {1}".format(*report["height_px"]),
            f"  smallest   {smallest['side_px']} px: {smallest['file']}",
            "  shapes     " + _counts(report["shapes"]),
        ]
        if report["upscaled"]:
            lines.append(f"  upscaled   {report['upscaled']} are much smaller than {report['resolution']} px")
        if report["turned"]:
            lines.append(f"  turned     {report['turned']} upright, by their EXIF orientation")
        if report["animated"]:
            lines.append(f"  animated   {report['animated']}, of which the first frame is used")
    if report["other_files"]:
        lines.append(f"  others     {report['other_files']} files that are no pictures")
    lines += ["  duplicate  " + " = ".join(names) for names in report["duplicates"]]
    lines += [f"  skipped    {row['file']}: {row['reason']}" for row in report["skipped"]]
    return "\n".join(lines)


def _counts(named: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in named.items() if count)
