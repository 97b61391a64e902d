"""`artgen doctor`."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Tell what a bug report should say: versions, devices, precision, encoders of films, plugins, free disk."""
    import importlib.metadata
    import shutil

    from artgen.device import choose_device, choose_precision, describe_device
    from artgen.files import cache_folder
    from artgen.film.encoding import encoders
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
    facts["films"] = encoders()
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
