"""`artgen export RUN`."""

from __future__ import annotations

from pathlib import Path

import click

from artgen.cli.options import plugin_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files.  [default: RUN/export-IMAGES]")
@click.option("--onnx/--no-onnx", default=True, show_default=True, help="Write ONNX too, checked against torch.")
@plugin_option
def export(run: Path, out: Path | None, onnx: bool) -> None:
    """Write the averaged generator of RUN for use elsewhere.

    generator.safetensors holds the weights, recipe.toml says how to build the network, generator.onnx needs neither.
    Nothing that is there already is overwritten.
    """
    from artgen.cli.opening import opened
    from artgen.run.export import export_onnx, export_weights, require_onnx, require_room

    opened_run = opened(run, "cpu")
    folder = out or opened_run.folder.path / f"export-{opened_run.clock.images:09d}"
    if onnx:
        require_onnx(opened_run)
    require_room(folder)
    for path in export_weights(opened_run, folder):
        click.echo(path)
    if onnx:
        path, difference = export_onnx(opened_run, folder)
        click.echo(path)
        click.echo(f"largest difference from torch: {difference:.2g} (pictures range from -1 to 1)", err=True)
