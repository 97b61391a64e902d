"""`artgen translate RUN PICTURE|FOLDER... --out DIR`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import click

from artgen.cli.options import plugin_option
from artgen.cli.run import DEVICES


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", metavar="PICTURE|FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the pictures.")
@click.option(
    "--side",
    "side_px",
    type=click.IntRange(0, 65_536),
    metavar="PX",
    help="Shorter side while translated; 0: the picture's own size.  [default: as in training]",
)
@click.option("--as-is", is_flag=True, help="The pictures are sources already: drawings, grey photographs.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of a generator that draws.")
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_option
def translate(
    run: Path, inputs: tuple[Path, ...], out: Path, side_px: int | None, as_is: bool, seed: int, device: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Turn pictures into others with the newest checkpoint of RUN, whose generator takes pictures.

    Of a folder all pictures are taken, also in folders below it; names are kept. Nothing is ever overwritten: run
    again, the command goes on where it stopped.
    """
    from tqdm import tqdm

    from artgen.cli.opening import opened
    from artgen.cli.progress import bar
    from artgen.errors import DataError
    from artgen.run.stopping import listening
    from artgen.run.translating import Translator, tasks_for

    tasks = tasks_for(inputs, out)
    translator = Translator(opened(run, device), side_px=side_px, as_is=as_is, seed=seed)
    done = {task for task in tasks if translator.is_done(task)}
    told, failed = [], 0
    with listening(), bar("Translating", len(tasks)) as advance:
        try:
            for task in tasks:
                begun = time.monotonic()
                try:
                    if task not in done:
                        translator.translate_file(task)
                except DataError as error:
                    failed += 1
                    with tqdm.external_write_mode():
                        click.echo(str(error), err=True)
                else:
                    seconds = round(time.monotonic() - begun, 3)
                    told.append({"input": str(task.input), "output": str(task.output), "seconds": seconds})
                    if not as_json:
                        with tqdm.external_write_mode():
                            click.echo(os.fsencode(task.output))
                advance(1)
        finally:
            if as_json:
                click.echo(json.dumps(told, indent=1))
    if failed:
        raise DataError(f"{failed} of {len(tasks)} pictures could not be translated; the others are done")
