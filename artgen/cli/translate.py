"""`artgen translate RUN|RECIPE PICTURE|FOLDER|FILM... --out DIR`."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import click

from artgen.cli.options import plugin_option
from artgen.cli.run import DEVICES, workers

if TYPE_CHECKING:
    from artgen.recipe import Recipe
    from artgen.run.translating import Task


class Shard(click.ParamType[tuple[int, int]]):
    """`I/N`: the share of one machine of several, the first being 1."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        if found := re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", str(value)):
            index, count = map(int, found.groups())
            if 1 <= index <= count:
                return index, count
        self.fail(f"{value!r} is not I/N with 1 <= I <= N, such as 2/5.", param, ctx)


@click.command()
@click.argument("made_by", metavar="RUN|RECIPE")
@click.argument("inputs", metavar="PICTURE|FOLDER|FILM...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the pictures.")
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
    """Turn pictures into others: with the newest checkpoint of RUN, whose generator takes pictures; or by RECIPE, which
    repaints them (style transfer) and takes films too.

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
    from artgen.recipe import Device, load_recipe

    path, kind = made_by, cast("Device", choose_device(device).type)
    if os.path.isdir(made_by):  # noqa: PTH112
        path = os.path.join(made_by, "recipe.toml")  # noqa: PTH118
        if not os.path.isfile(path):  # noqa: PTH113
            return None
    elif os.sep in made_by and not made_by.endswith(".toml"):
        return None
    recipe = load_recipe(path, device=kind, overrides=overrides, plugins=load_plugins())
    return recipe if "content" in type(recipe.data.options).model_fields or path == made_by else None


def _translate(
    run: Path, inputs: Sequence[Path], out: Path, side_px: int | None, as_is: bool, seed: int, shard: tuple[int, int],
    device: str, as_json: bool,
) -> None:  # fmt: skip
    from artgen.cli.opening import opened
    from artgen.run.translating import Translator, tasks_for

    tasks = tasks_for(inputs, out)[shard[0] - 1 :: shard[1]]
    translator = Translator(opened(run, device), side_px=side_px, as_is=as_is, seed=seed)
    done = {task for task in tasks if translator.is_done(task)}

    def make(tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task not in done:
                translator.translate_file(task)

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
    from artgen.run.repainting import Repainter, works_for
    from artgen.run.translating import named_pictures

    chosen = choose_device(device)
    precision = choose_precision(recipe.run.precision, chosen)
    repainter = Repainter(recipe, load_plugins(), chosen, precision, Workshop(cache_folder(), bar, workers()), bar)
    style_files = [path for path, _ in named_pictures(styles, out)]
    works = works_for([*named_pictures(inputs, out)], style_files, out, recipe.run.pictures)[shard[0] - 1 :: shard[1]]
    done = [work for work in works if repainter.is_done(work)]
    _make_each(
        [done, *repainter.groups([work for work in works if work not in done])],
        lambda group: None if group is done else repainter.repaint(group),
        as_json,
    )


class _Made(Protocol):
    """Where something was made of something."""

    @property
    def input(self) -> Path: ...
    @property
    def output(self) -> Path: ...


M = TypeVar("M", bound=_Made)


def _make_each(groups: Sequence[Sequence[M]], make: Callable[[Sequence[M]], None], as_json: bool) -> None:
    """Make each group, and tell of it. What cannot be read is told and passed over.

    Raises:
        DataError: At the end, if there was such a thing.
    """
    from tqdm import tqdm

    from artgen.cli.progress import bar
    from artgen.errors import DataError
    from artgen.run.stopping import listening

    told, failed, total = [], 0, sum(map(len, groups))
    with listening(), bar("Translating", total) as advance:
        try:
            for group in groups:
                begun = time.monotonic()
                try:
                    make(group)
                except DataError as error:
                    failed += len(group)
                    with tqdm.external_write_mode():
                        click.echo(str(error), err=True)
                else:
                    seconds = round((time.monotonic() - begun) / max(1, len(group)), 3)
                    for made in group:
                        told.append({"input": str(made.input), "output": str(made.output), "seconds": seconds})
                        if not as_json:
                            with tqdm.external_write_mode():
                                click.echo(os.fsencode(made.output))
                advance(len(group))
        finally:
            if as_json:
                click.echo(json.dumps(told, indent=1))
    if failed:
        raise DataError(f"{failed} of {total} pictures could not be translated; the others are done")
