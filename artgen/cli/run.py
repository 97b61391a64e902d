"""`artgen run RECIPE`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

DEVICES = click.Choice(["auto", "cpu", "cuda", "mps"])


@click.command()
@click.argument("recipe")
@click.option("--data", type=click.Path(), help="A folder of your own pictures, in place of the recipe's.")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder.  [default: runs/<recipe name>]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe: a.b=1.")
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where to compute.")
@click.option("--fresh", is_flag=True, help="Begin anew; an older run in the folder is kept under another name.")
@click.option("--dry-run", is_flag=True, help="Build everything, take one step, keep nothing.")
def run(
    recipe: str,
    data: str | None,
    out: Path | None,
    overrides: tuple[str, ...],
    device: str,
    fresh: bool,
    dry_run: bool,
) -> None:
    """Train RECIPE, a TOML file or the name of a bundled recipe.

    Pictures appear in the run folder from the first minute on, and it ends with a sample sheet and report.html. Stop it
    with Ctrl-C whenever you like: the same command continues.
    """
    from artgen.cli.progress import bar, training_bar
    from artgen.data.dataset import Workshop
    from artgen.device import choose_device
    from artgen.plugins import load_plugins
    from artgen.recipe import Device, load_recipe
    from artgen.run.session import run_recipe, try_recipe

    chosen = choose_device(device)
    plugins = load_plugins()
    loaded = load_recipe(recipe, device=cast(Device, chosen.type), overrides=overrides, data=data, plugins=plugins)
    workshop = Workshop(cache_folder(), bar, workers())
    if dry_run:
        scalars = try_recipe(loaded, chosen, workshop)
        click.echo(f"{loaded.name}: one step taken on {chosen.type}, nothing kept")
        for name, value in scalars.items():
            click.echo(f"  {name} = {value:.4g}")
        return
    finished = run_recipe(
        loaded, out or Path("runs") / loaded.name, chosen, plugins, workshop, training_bar, fresh=fresh
    )
    if finished is None:
        return
    if finished.was_finished:
        click.echo(f"{finished.folder} was finished already; --fresh begins anew", err=True)
    for name, value in finished.figures.items():
        click.echo(f"{name} = {value:.4g}")
    click.echo(finished.sheet)
    click.echo(finished.folder / "report.html")


def cache_folder() -> Path:
    """Where prepared pictures are kept: `$ARTGEN_CACHE`, or the user's cache folder."""
    import os

    import platformdirs

    return Path(os.environ.get("ARTGEN_CACHE") or platformdirs.user_cache_path("artgen"))


def workers() -> int:
    """How many processes may prepare pictures at once."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
