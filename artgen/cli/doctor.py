"""`artgen doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from artgen.videos import Format


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Tell what a bug report should say: versions, devices, precision, encoders of films, plugins, free disk."""
    import importlib.metadata
    import shutil

    from artgen.device import choose_device, choose_precision, describe_device
    from artgen.files import cache_folder
    from artgen.film.encoding import LADDERS
    from artgen.plugins import load_plugins

    device = choose_device("auto")
    packages = ("artgen", "kornia", "numpy", "opencv-python", "pillow", "pluggy", "pydantic", "safetensors")
    facts: dict[str, object] = dict(describe_device(device))
    facts["precision"] = choose_precision("auto", device)
    for name in packages:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = "not installed"
    facts["cache"] = str(cache_folder())
    facts["free_disk_gb"] = round(shutil.disk_usage(".").free / 1e9, 1)
    facts["encoders"] = {name: _encoder(name) for name in LADDERS}
    facts["plugins"] = {
        str(plugin): plugin.state + (f": {plugin.cause}" if plugin.cause else "") for plugin in load_plugins().plugins
    }
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            click.echo(f"{name}:")
            for inner, what in value.items():
                click.echo(f"  {inner} {what}")
        else:
            click.echo(f"{name}: {value}")


def _encoder(output: Format) -> str:
    """Who encodes films of a format here."""
    from fractions import Fraction

    from artgen.errors import ArtgenError
    from artgen.film.encoding import choose_encoding
    from artgen.videos import OutputOptions

    try:
        return choose_encoding(OutputOptions(format=output), (256, 256), Fraction(30)).encoder
    except ArtgenError as error:
        return str(error)
