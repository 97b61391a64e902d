"""`artgen sample RUN`."""

from __future__ import annotations

from pathlib import Path

import click

from artgen.cli.options import DEVICES, plugin_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1, 100_000), default=16, show_default=True, help="How many pictures.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="One seed, the same pictures.")
@click.option("--grid", is_flag=True, help="One sheet instead of a file for each picture.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the pictures.  [default: RUN/samples/seed-N]")
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where to compute.")
@plugin_option
def sample(run: Path, count: int, seed: int, grid: bool, out: Path | None, device: str) -> None:
    """Make pictures with the newest checkpoint of RUN, a run folder.

    Nothing is ever overwritten: one seed gives the same pictures, and those that are there already are left alone.
    """
    from artgen import files
    from artgen.cli.opening import opened
    from artgen.data.images import encode_png
    from artgen.errors import RecipeError
    from artgen.run.pictures import sheet

    opened_run = opened(run, device)
    images = opened_run.clock.images
    folder = out or opened_run.folder.path / "samples" / f"seed-{seed}"
    pictures = opened_run.sample(count, seed)
    if grid:
        picture = sheet(pictures, opened_run.sources, opened_run.size)
        named = {f"sheet-{seed}-{count}-images-{images:09d}.png": picture}
    else:
        arrays = pictures.permute(0, 2, 3, 1).cpu().numpy()
        named = {f"{seed}-{index:05d}-images-{images:09d}.png": array for index, array in enumerate(arrays)}
    with files.disk_trouble(folder, "the pictures cannot be written"):
        files.make_folder(folder)
        for name, picture in named.items():
            path, content = folder / name, encode_png(picture)
            if not path.exists():
                files.replace(path, content)
            elif path.read_bytes() != content:
                raise RecipeError("it is another picture", place=str(path), remedy="Choose a folder with --out.")
            click.echo(path)
