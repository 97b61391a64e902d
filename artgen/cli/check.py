"""`artgen check RECIPE`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import click

from artgen.cli.options import plugin_option

if TYPE_CHECKING:
    from artgen.errors import RecipeError


@click.command()
@click.argument("recipe")
@click.option("--data", type=click.Path(), help="A folder of your own pictures, in place of the recipe's.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe: a.b=1.")
@click.option("--device", type=click.Choice(["cpu", "cuda", "mps"]), help="Check for this device only.  [default: all]")
@click.option("--filled", is_flag=True, help="Print the complete recipe (for the CPU, unless told).")
@click.option("--origin", is_flag=True, help="Print the complete recipe; comments say where each value came from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the faults; without any, what was asked for.")
@plugin_option
def check(
    recipe: str,
    data: str | None,
    overrides: tuple[str, ...],
    device: str | None,
    filled: bool,
    origin: bool,
    as_json: bool,
) -> None:
    """Tell every fault of RECIPE, a TOML file or the name of a bundled recipe, before any work.

    Exit code: 0 without faults, 2 with faults, 5 if all of them lie with a broken plugin.
    """
    from artgen.errors import RecipeError
    from artgen.plugins import load_plugins
    from artgen.recipe import DEVICES, Films
    from artgen.recipe.load import Files, load_traced

    plugins = load_plugins()
    devices = [name for name in DEVICES if device in (None, name)]
    files: Files = {}
    good, refusals = [], []
    for name in devices:
        try:
            one = load_traced(recipe, device=name, overrides=overrides, data=data, plugins=plugins, files=files)
            good.append(one)
        except RecipeError as error:
            refusals.append(error)
    if refusals:
        _refuse(refusals, as_json)
    loaded, layer = good[0]
    if origin:
        from artgen.recipe.origin import toml_with_origins, traced

        lines = traced(loaded, layer, plugins)
        told = [{"key": [*line.table, *line.key], "value": line.value, "origin": line.origin} for line in lines]
        click.echo(json.dumps(told, indent=1) if as_json else toml_with_origins(lines), nl=as_json)
    elif filled:
        click.echo(json.dumps(loaded.tables(), indent=1) if as_json else loaded.to_toml(), nl=as_json)
    elif as_json:
        click.echo("[]")
    else:
        for name, (loaded, _) in zip(devices, good, strict=True):
            if isinstance(loaded, Films):
                seconds = sum(video.options.seconds * video.options.copies for video in loaded.videos)
                films = sum(video.options.copies for video in loaded.videos)
                click.echo(f"{loaded.name} on {name}: no fault; {films:,} film(s) of {seconds:,g} seconds in all")
                continue
            images = sum(phase.images for phase in loaded.phases)
            click.echo(f"{loaded.name} on {name}: no fault; {images:,} pictures in {len(loaded.phases)} phase(s)")


def _refuse(refusals: list[RecipeError], as_json: bool) -> NoReturn:
    """Tell the faults of all devices once: their sections share most of a recipe, so they share its faults."""
    from dataclasses import asdict

    from artgen.errors import Fault
    from artgen.recipe.findings import MAX_FAULTS, counted, in_order

    worst = min(refusals, key=lambda error: error.exit_code)
    faults = in_order(fault for error in refusals for fault in error.faults)
    if as_json:
        code = "E-file" if worst.exit_code == 2 else "E-plugin"
        whole = [Fault((), worst.cause, worst.remedy, worst.place, code)]
        click.echo(json.dumps([asdict(fault) for fault in faults[:MAX_FAULTS] or whole], indent=1))
        raise click.exceptions.Exit(worst.exit_code)
    if not faults:
        raise worst
    raise type(worst)(counted(faults), place=worst.place, faults=faults[:MAX_FAULTS])
