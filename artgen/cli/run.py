"""`artgen run RECIPE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from artgen.cli.options import DEVICES, plugin_option, workers

if TYPE_CHECKING:
    from artgen.recipe import Recipe
    from artgen.run.need import Needs
    from artgen.run.session import Finished


@click.command()
@click.argument("recipe")
@click.option("--data", type=click.Path(), help="A folder of your own pictures, in place of the recipe's.")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder.  [default: runs/<recipe name>]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe: a.b=1.")
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where to compute.")
@click.option("--fresh", is_flag=True, help="Begin anew; an older run in the folder is kept under another name.")
@click.option("--dry-run", is_flag=True, help="Build everything, tell what it needs, keep nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print JSON.")
@plugin_option
def run(
    recipe: str,
    data: str | None,
    out: Path | None,
    overrides: tuple[str, ...],
    device: str,
    fresh: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train RECIPE, a TOML file or the name of a bundled recipe.

    How much memory and time it needs is told before it starts, and a batch that does not fit is taken in pieces.
    Pictures appear in the run folder from the first minute on, and it ends with a sample sheet and report.html. Stop it
    with Ctrl-C whenever you like: the same command continues.
    """
    from artgen.cli.progress import bar, training_bar
    from artgen.data.dataset import Workshop
    from artgen.device import choose_device
    from artgen.files import cache_folder
    from artgen.plugins import load_plugins
    from artgen.recipe import Device, load_recipe
    from artgen.run.session import run_recipe, try_recipe

    if as_json and not dry_run:
        raise click.UsageError("--json goes with --dry-run.")
    chosen = choose_device(device)
    plugins = load_plugins()
    loaded = load_recipe(recipe, device=cast(Device, chosen.type), overrides=overrides, data=data, plugins=plugins)
    workshop = Workshop(cache_folder(), bar, workers())
    if dry_run:
        needs, scalars = try_recipe(loaded, chosen, workshop)
        if as_json:
            click.echo(json.dumps(needs.figures() | {"scalars": scalars}, indent=1))
            return
        click.echo(f"{loaded.name}: one step taken on {chosen.type}, nothing kept")
        for name, value in scalars.items():
            click.echo(f"  {name} = {value:.4g}")
        for phase in needs.phases:
            click.echo(phase)
        click.echo(needs)
        return
    if loaded.features is not None:
        click.echo(f"features: {loaded.features.label}, {loaded.features.component.summary}", err=True)
    record = {
        "command": ["artgen", *sys.argv[1:]],
        "recipe_given": {"recipe": recipe, "set": list(overrides), "data": data},
    }
    show_finished(
        run_recipe(
            loaded,
            out or Path("runs") / loaded.name,
            chosen,
            plugins,
            workshop,
            training_bar,
            fresh=fresh,
            show_needs=show_needs,
            record=record,
        )
    )
    render_videos(loaded, out or Path("runs") / loaded.name, device)


def render_videos(recipe: Recipe, folder: Path, device: str) -> None:
    """Render the films of a recipe from its run, which is finished, into `videos/`."""
    from artgen.cli.render import make_films
    from artgen.distributed import rank

    if recipe.videos and rank() == 0:
        make_films(recipe.films, str(folder / "recipe.toml"), folder / "videos", folder, device)


def show_needs(needs: Needs) -> None:
    """Tell what a run needs, before it starts."""
    click.echo(needs, err=True)


def show_finished(finished: Finished | None) -> None:
    """Tell what a run came to; nothing for a process that only trained along."""
    if finished is None:
        return
    if finished.was_finished:
        click.echo(f"{finished.folder} was finished already; --fresh begins anew", err=True)
    for name, value in finished.figures.items():
        click.echo(f"{name} = {value:.4g}")
    for path in finished.pictures or (finished.sheet,):
        click.echo(path)
    click.echo(finished.folder / "report.html")
    if finished.plugin_fault is not None:
        raise finished.plugin_fault
