"""`artgen evaluate RUN`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from artgen.cli.options import DEVICES, plugin_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe.")
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_option
def evaluate(run: Path, overrides: tuple[str, ...], device: str, as_json: bool) -> None:
    """Measure the averaged generator of RUN against the pictures it learnt from, by the metrics of its recipe.

    \b
    A metric that the recipe lacks can be added, for example the kernel inception distance:
    artgen evaluate runs/rembrandt --set features.squeezenet.weights=FILE --set 'metrics.kid={}'
    """
    from dataclasses import replace

    from artgen import files
    from artgen.cli.opening import opened
    from artgen.data.images import write_png
    from artgen.errors import RecipeError
    from artgen.plugins import load_plugins
    from artgen.recipe import load_recipe
    from artgen.run.build import build_features
    from artgen.run.evaluate import evaluate as measure
    from artgen.run.evaluate import pairs_for
    from artgen.run.record import RECIPE

    opened_run = opened(run, device)
    recipe = opened_run.recipe
    if overrides:
        stored = str(opened_run.folder.path / RECIPE)
        recipe = load_recipe(stored, overrides=overrides, plugins=load_plugins())
        measuring = {name: getattr(recipe, name) for name in ("metrics", "features", "run")}
        if replace(opened_run.recipe, **measuring) != recipe:
            raise RecipeError(
                "only [metrics], [features] and run.evaluate_samples can be changed for an evaluation", place="--set"
            )
    fake = opened_run.sample(recipe.run.evaluate_samples, recipe.seed, "evaluation")
    real = opened_run.feed.all_real(opened_run.size)
    features = build_features(recipe, opened_run.device)
    pairs = pairs_for(recipe, opened_run.generator, opened_run.feed, len(fake), opened_run.size)
    figures, sheets = measure(recipe, fake, real, features, pairs)
    for name, sheet in sheets.items():
        path = opened_run.folder.path / "samples" / f"{name}-images-{opened_run.clock.images:09d}.png"
        with files.disk_trouble(path, "the sheet cannot be written"):
            files.make_folder(path.parent)
            write_png(path, sheet.cpu().numpy())
        click.echo(path, err=True)
    if as_json:
        click.echo(json.dumps({"images": opened_run.clock.images} | figures, indent=1))
        return
    for name, value in figures.items():
        click.echo(f"{name} = {value:.4g}")
