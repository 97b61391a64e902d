"""`artgen rerun RUN`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from artgen.cli.options import DEVICES, plugin_option, workers

_FORCE = "Put it back as it was, or repeat the run all the same with --force."


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The new run folder.  [default: RUN-rerun]")
@click.option("--force", is_flag=True, help="Repeat it even if versions, plugins or pictures differ.")
@click.option("--device", type=DEVICES, help="Where to compute.  [default: as recorded]")
@click.option("--dry-run", is_flag=True, help="Tell what differs, and train nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print JSON.")
@plugin_option
def rerun(run: Path, out: Path | None, force: bool, device: str | None, dry_run: bool, as_json: bool) -> None:
    """Repeat RUN, a run folder, from its record: the same recipe, seed, device and precision.

    It is refused, with a list, if artgen, torch, Python, a plugin that the run used or the pictures differ. On a CPU
    the repetition ends in the same checkpoint, byte for byte; whether it did is told at the end. Interrupted, the same
    command goes on.
    """
    from artgen.cli.progress import bar, training_bar
    from artgen.cli.run import show_finished, show_needs
    from artgen.data.dataset import Workshop
    from artgen.files import cache_folder
    from artgen.plugins import load_plugins
    from artgen.run.record import RunFolder
    from artgen.run.rerun import ends_alike, free_folder, refusal, repetition
    from artgen.run.session import run_recipe

    if as_json and not dry_run:
        raise click.UsageError("--json goes with --dry-run.")
    folder, plugins = RunFolder.read(run), load_plugins()
    workshop = Workshop(cache_folder(), bar, workers())
    found = repetition(folder, device, plugins, workshop)
    if as_json:
        click.echo(json.dumps([change._asdict() for change in (*found.differs, *found.circumstances)], indent=1))
    if found.differs and not force:
        if as_json:
            raise click.exceptions.Exit(2)
        raise refusal(folder, found.differs, _FORCE)
    for change in (*found.differs, *found.circumstances):
        click.echo(f"{change}: the repetition need not end in the same bits", err=True)
    if dry_run:
        if not as_json:
            click.echo(f"{folder.path} can be repeated on {found.device.type}")
        return
    finished = run_recipe(
        found.recipe,
        out or free_folder(folder.path, found.recipe),
        found.device,
        plugins,
        workshop,
        training_bar,
        show_needs=show_needs,
        record=found.record | {"command": ["artgen", *sys.argv[1:]]},
    )
    if finished is not None:
        alike = ends_alike(folder, finished.folder)
        if alike is not None:
            click.echo(f"{'the same last checkpoint as' if alike else 'another last checkpoint than'} {folder.path}")
    show_finished(finished)
