"""`artgen check RECIPE`."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("recipe")
@click.option("--data", type=click.Path(), help="A folder of your own pictures, in place of the recipe's.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe: a.b=1.")
@click.option("--device", type=click.Choice(["cpu", "cuda", "mps"]), help="Check for this device only.  [default: all]")
@click.option(
    "--filled", is_flag=True, help="Print the complete recipe (for the CPU, unless told), defaults filled in."
)
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
def check(
    recipe: str, data: str | None, overrides: tuple[str, ...], device: str | None, filled: bool, as_json: bool
) -> None:
    """Tell every fault of RECIPE, a TOML file or the name of a bundled recipe, before any work.

    Exit code: 0 without faults, 2 with faults, 5 if all of them lie with a broken plugin.
    """
    from dataclasses import asdict

    from artgen.errors import Fault, RecipeError
    from artgen.plugins import load_plugins
    from artgen.recipe import DEVICES, load_recipe

    plugins = load_plugins()
    devices = [name for name in DEVICES if device in (None, name)]
    good, refusals = [], []
    for name in devices:
        try:
            good.append(load_recipe(recipe, device=name, overrides=overrides, data=data, plugins=plugins))
        except RecipeError as error:
            refusals.append(error)
    # The sections of the devices share most of a recipe, so they share its faults.
    faults = list(
        dict.fromkeys(
            fault
            for error in refusals
            for fault in error.faults or (Fault((), error.cause, error.remedy, error.place),)
        )
    )
    if as_json:
        click.echo(json.dumps([asdict(fault) for fault in faults], indent=1))
    if refusals:
        worst = min(refusals, key=lambda error: error.exit_code)
        if as_json:
            raise click.exceptions.Exit(worst.exit_code)
        if not worst.faults:
            raise worst
        raise type(worst)(f"{len(faults)} fault(s)", place=worst.place, faults=faults)
    if filled:
        click.echo(good[0].to_toml(), nl=False)
    elif not as_json:
        for name, one in zip(devices, good, strict=True):
            images = sum(phase.images for phase in one.phases)
            click.echo(f"{one.name} on {name}: no fault; {images:,} pictures in {len(one.phases)} phase(s)")
