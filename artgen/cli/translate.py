"""`artgen translate RUN|RECIPE PICTURE|FOLDER|FILM... --out DIR`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import click

from artgen.cli.options import DEVICES, Shard, plugin_option, workers

if TYPE_CHECKING:
    from artgen.recipe import Recipe
    from artgen.run.tasks import Task

T = TypeVar("T")


@click.command()
@click.argument("made_by", metavar="RUN|RECIPE")
@click.argument("inputs", metavar="PICTURE|FOLDER|FILM...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for what is made.")
@click.option(
    "--style",
    "styles",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PICTURE|FOLDER",
    help="Of a recipe: repaint everything in the style of each of these; repeatable.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Of a recipe: change a value; repeatable.")
@click.option(
    "--side",
    "side_px",
    type=click.IntRange(0, 65_536),
    metavar="PX",
    help="Of a run: shorter side while translated; 0: the picture's own size.  [default: as in training]",
)
@click.option("--as-is", is_flag=True, help="Of a run: the pictures are sources already: drawings, grey photographs.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of a run whose generator draws.")
@click.option("--shard", type=Shard(), default=(1, 1), help="Do only the I-th of N shares: one for each machine.")
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_option
def translate(
    made_by: str, inputs: tuple[Path, ...], out: Path, styles: tuple[Path, ...], overrides: tuple[str, ...],
    side_px: int | None, as_is: bool, seed: int, shard: tuple[int, int], device: str, as_json: bool,
) -> None:  # fmt: skip
    """Turn pictures and films into others: with the newest checkpoint of RUN, whose generator takes pictures; or by
    RECIPE, which repaints them (style transfer).

    Of a folder all pictures are taken, also in folders below it; names are kept. Nothing is ever overwritten: run
    again, the command goes on where it stopped.
    """
    recipe = _recipe(made_by, overrides, device)
    if recipe is None:
        if styles or overrides:
            raise click.UsageError(f"--style and --set go with a recipe, and {made_by} is a run.")
        _translate(Path(made_by), inputs, out, side_px, as_is, seed, shard, device, as_json)
    elif side_px is not None or as_is or seed:
        raise click.UsageError(
            f"--side, --as-is and --seed go with a run, and {made_by} is a recipe: there is --set, as in "
            f"--set data.{recipe.data.label}.resolution=512."
        )
    else:
        _repaint(recipe, inputs, styles, out, shard, device, as_json)


def _recipe(made_by: str, overrides: Sequence[str], device: str) -> Recipe | None:
    """The recipe that was named: its file, a bundled one, or that of a run which repainted; None for other runs."""
    from artgen.device import choose_device
    from artgen.plugins import load_plugins
    from artgen.recipe import Device, bundled_recipes, load_recipe
    from artgen.run.opening import stored_recipe
    from artgen.run.record import RUN, RunFolder
    from artgen.run.repainting import repaints

    path = Path(made_by)
    if (path / RUN).is_file():
        folder = RunFolder.read(path)
        if folder.info.get("takes") != "nothing":
            return None
        stored = stored_recipe(folder, load_plugins(), overrides)
        return stored if repaints(stored) else None
    looks_like_a_folder = path.is_dir() or (os.sep in made_by and path.suffix != ".toml")
    if looks_like_a_folder and made_by not in bundled_recipes():
        return None
    kind = cast("Device", choose_device(device).type)
    return load_recipe(made_by, device=kind, overrides=overrides, plugins=load_plugins())


def _translate(
    run: Path, inputs: Sequence[Path], out: Path, side_px: int | None, as_is: bool, seed: int, shard: tuple[int, int],
    device: str, as_json: bool,
) -> None:  # fmt: skip
    from artgen.cli.opening import opened
    from artgen.cli.progress import bar
    from artgen.run.tasks import tasks_for
    from artgen.run.translating import Translator

    tasks = _share(tasks_for(inputs, out), shard)
    translator = Translator(opened(run, device), side_px=side_px, as_is=as_is, seed=seed)
    done = {task for task in tasks if translator.is_done(task)}

    def make(group: Sequence[Task]) -> None:
        for task in group:
            if task not in done:
                translator.translate_file(task, partial(bar, unit=" frames"))

    _make_each([[task] for task in tasks], make, as_json)


def _repaint(
    recipe: Recipe, inputs: Sequence[Path], styles: Sequence[Path], out: Path, shard: tuple[int, int], device: str,
    as_json: bool,
) -> None:  # fmt: skip
    from artgen.cli.progress import bar
    from artgen.data.dataset import Workshop
    from artgen.device import choose_device, choose_precision
    from artgen.files import cache_folder
    from artgen.plugins import load_plugins
    from artgen.run.painting import Painter
    from artgen.run.repainting import Repainter
    from artgen.run.tasks import tasks_for

    chosen = choose_device(device)
    painter = Painter(chosen, choose_precision(recipe.run.precision, chosen))
    workshop = Workshop(cache_folder(), bar, workers())
    repainter = Repainter(recipe, load_plugins(), painter, workshop, partial(bar, unit=" images"))
    groups = _share(repainter.groups(tasks_for(inputs, out, styles, recipe.run.pictures)), shard)
    for group in groups:
        for task in group:
            repainter.is_done(task)  # refuses, before any work, what is in the way
    _make_each(groups, repainter.repaint, as_json)


def _share(items: Sequence[T], shard: tuple[int, int]) -> Sequence[T]:
    """What one machine of several does."""
    index, count = shard
    return items[index - 1 :: count]


def _make_each(groups: Sequence[Sequence[Task]], make: Callable[[Sequence[Task]], None], as_json: bool) -> None:
    """Make each group, and tell of it. What cannot be read is told and passed over.

    Raises:
        DataError: At the end, if there was such a thing.
    """
    from tqdm import tqdm

    from artgen.cli.progress import bar
    from artgen.errors import DataError
    from artgen.run.stopping import listening

    told, failed, total = [], 0, sum(map(len, groups))
    of_all = bar("Translating", total, unit=" files") if total > 1 else nullcontext(lambda count: None)
    with listening(), of_all as advance:
        try:
            for group in groups:
                begun = time.monotonic()
                try:
                    with redirect_stdout(sys.stderr):  # what a plugin prints mixes with no result
                        make(group)
                except DataError as error:
                    failed += len(group)
                    with tqdm.external_write_mode():
                        click.echo(str(error), err=True)
                else:
                    seconds = round((time.monotonic() - begun) / len(group), 3)
                    for task in group:
                        named = {"input": task.input, "style": task.style, "output": task.output}
                        row = {name: str(path) for name, path in named.items() if path is not None}
                        told.append({**row, "seconds": seconds})
                        if not as_json:
                            with tqdm.external_write_mode():
                                click.echo(os.fsencode(task.output))
                advance(len(group))
        finally:
            if as_json:
                click.echo(json.dumps(told, indent=1))
    if failed:
        raise DataError(f"{failed} of {total} files could not be translated; the others are done")
