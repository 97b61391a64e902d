"""`artgen render FILE`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from artgen.cli.options import DEVICES, Shard, plugin_option, workers

if TYPE_CHECKING:
    from artgen.recipe import Films
    from artgen.walk.jobs import Executor, Job
    from artgen.walk.render import Rendered
    from artgen.walk.studio import Studio


@click.command()
@click.argument("file", metavar="FILE|RUN", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for films.  [default: films/NAME, or RUN/videos]")
@click.option("--run", type=click.Path(path_type=Path), help="The run of films whose table names none.")
@click.option(
    "--preview", is_flag=True, help="Small and quick: contact sheet, speed, and the time that all would take."
)
@click.option("--shard", type=Shard(), help="Make only the I-th of N shares of the pieces: one for each machine.")
@click.option("--merge", is_flag=True, help="Only join films whose pieces are there.")
@click.option("--executor", metavar="NAME", help="Who makes the pieces: `local` processes, `ray`, ...")
@click.option(
    "--from", "film", type=click.Path(path_type=Path), metavar="FILM", help="Make a film again that artgen made."
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value: videos.NAME.seconds=5.")
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_option
def render(
    file: str | None, out: Path | None, run: Path | None, preview: bool, shard: tuple[int, int] | None, merge: bool,
    executor: str | None, film: Path | None, overrides: tuple[str, ...], device: str, as_json: bool,
) -> None:  # fmt: skip
    """Render films from the `[videos.NAME]` tables of FILE, or of the recipe of RUN.

    A film appears under its name when it is whole. Stop the command whenever you like, even by pulling the plug: run
    again, it goes on. What a change of a table does not touch is not made again; a film that it does touch moves to the
    folder `earlier`.
    """
    from artgen.device import choose_device
    from artgen.plugins import load_plugins
    from artgen.recipe import Device

    if (file is None) == (film is None):
        raise click.UsageError("Name a file of films, a recipe, or the folder of a run; or --from FILM.")
    if sum(map(bool, (shard, merge, preview, executor))) > 1:
        raise click.UsageError("--preview, --shard, --merge and --executor do not go together.")
    plugins, chosen = load_plugins(), choose_device(device)
    if film is not None:
        if overrides or executor:
            raise click.UsageError("--set and --executor go with a file.")
        films, out, run = _again(film, out, run)
        source = ""
    else:
        assert file is not None
        source, out, run = _places(file, out, run)
        from artgen.recipe import load_films

        films = load_films(source, device=cast("Device", chosen.type), overrides=overrides, plugins=plugins)
    if not films.videos:
        raise click.UsageError(f"{films.file} has no table [videos.NAME].")
    make_films(films, source, out, run, device, overrides, preview, shard, merge, executor, as_json)


def make_films(
    films: Films,
    source: str,
    out: Path,
    run: Path | None,
    device: str,
    overrides: tuple[str, ...] = (),
    preview: bool = False,
    shard: tuple[int, int] | None = None,
    merge: bool = False,
    executor: str | None = None,
    as_json: bool = False,
) -> None:
    """Render films and tell of them.

    Raises:
        ArtgenError: The first fault of a film, at the end; the others are made.
    """
    from artgen.cli.progress import bar
    from artgen.data.dataset import Workshop
    from artgen.device import choose_device
    from artgen.errors import RecipeError
    from artgen.files import cache_folder
    from artgen.plugins import load_plugins, used_files
    from artgen.run.stopping import listening
    from artgen.walk.jobs import Job
    from artgen.walk.preview import previewed
    from artgen.walk.render import render
    from artgen.walk.studio import Studio

    if out.exists() and not out.is_dir():
        raise RecipeError("it is no folder", place=str(out), remedy="Choose a folder for the films with --out.")
    plugins, chosen, encoders = load_plugins(), choose_device(device), workers()
    shown = partial(bar, unit=" frames")
    workshop = Workshop(cache_folder(), shown, workers())
    studio = Studio(previewed(films) if preview else films, out, chosen, plugins, workshop, run)
    job = Job(
        source, overrides, used_files(), "" if run is None else str(run.resolve()), str(out.resolve()), device, encoders
    )
    found = _executor(films, executor, job) if not (shard or merge or preview) else None
    with listening(), redirect_stdout(sys.stderr):  # what a plugin prints mixes with no result
        rendered = render(studio, encoders, shown, shard=shard, merge=merge, executor=found)
        more = _look(studio, films, out, rendered, encoders) if preview else {}
    _tell(rendered, as_json, more)


def _executor(films: Films, name: str | None, job: Job) -> tuple[Executor, Job] | None:
    """Who was asked to make the pieces, by the command line or the file."""
    from artgen.plugins import load_plugins
    from artgen.run.making import make

    if name is None and films.executor is None:
        return None
    if name is None or (films.executor is not None and name in (films.executor.label, films.executor.use)):
        assert films.executor is not None
        return make(films.executor.component, films.executor.options), job
    component = load_plugins().component("executor", name)
    return make(component, component.options()), job


def _places(file: str, out: Path | None, run: Path | None) -> tuple[str, Path, Path | None]:
    """Where the tables are, where films go, and the run of tables that name none."""
    from artgen.run.record import RECIPE, RUN

    folder = Path(file)
    if (folder / RUN).is_file():
        return str(folder / RECIPE), out or folder / "videos", run or folder
    name = folder.stem
    usual = Path("runs") / name
    if run is None and (usual / RUN).is_file():
        run = usual
    return file, out or Path("films") / name, run


def _again(film: Path, out: Path | None, run: Path | None) -> tuple[Films, Path, Path | None]:
    """The table that a film was made of, as the film itself tells it, and the checkpoint that it was made with."""
    from artgen.errors import CheckpointError, DataError
    from artgen.recipe import films_from_tables
    from artgen.walk.render import told_in
    from artgen.walk.studio import digest_of_checkpoint

    told = told_in(film)
    if told is None:
        raise DataError("artgen has written nothing into it", place=str(film), remedy="Name a film that artgen made.")
    name, table, features = told.get("film"), told.get("videos"), told.get("features")
    made_with = told.get("checkpoint")
    run = run or _run_of(film, str(told.get("run", "")))
    if isinstance(table, dict):
        table |= {"run": str(run.absolute()), "copies": 1}
        if isinstance(made_with, dict):
            table |= {"checkpoint_images": made_with.get("images")}
    tables = {"videos": {str(name): table}, **({"features": features} if features is not None else {})}
    films = films_from_tables(tables, film)
    if isinstance(made_with, dict) and made_with.get("sha256") != digest_of_checkpoint(run, films.videos[0].options):
        raise CheckpointError(
            f"it is not the checkpoint that {film.name} was made with",
            place=str(run),
            remedy="Name the run that it was made with: --run DIR.",
        )
    return films, out or Path("films") / f"{name}-again", run


def _run_of(film: Path, told: str) -> Path:
    """The run that a film was made from, which says where that was beside the file of its table."""
    from artgen.errors import CheckpointError
    from artgen.run.record import RUN

    for folder in (*film.absolute().parents, Path.cwd()):
        if (folder / told / RUN).is_file():
            return folder / told
    raise CheckpointError(
        f"the run that {film.name} was made from, {told}, is not there",
        place=str(film),
        remedy="Say where it is: --run DIR.",
    )


def _look(studio: Studio, films: Films, out: Path, rendered: Rendered, encoders: int) -> dict[str, Any]:
    """Sheets and plots beside the previews, and how long the films themselves would take."""
    from artgen.errors import ArtgenError
    from artgen.walk.preview import add_sheet_and_plot, seconds_for
    from artgen.walk.studio import Studio

    for film in rendered.films:
        if film.name not in rendered.faults:
            rendered.paths += add_sheet_and_plot(film)
    whole = Studio(films, out, studio.device, studio.plugins, studio.workshop, studio.run)
    seconds: dict[str, float] = {}
    for name, chosen in whole.named.items():
        with suppress(ArtgenError):  # which was told of the preview
            seconds[name] = seconds_for(whole.plan(name, chosen), studio.device, encoders)
    return {"seconds": seconds}


def _tell(rendered: Rendered, as_json: bool, more: dict[str, Any]) -> None:
    """Tell what became of films, on stdout; what failed, on stderr and by the exit code."""
    from artgen.errors import DataError

    paces = {film.name: film.pace for film in rendered.films if film.pace is not None}
    if as_json:
        rows = [
            {
                "film": film.name,
                "frames": film.frames,
                "size": [film.size.width, film.size.height],
                "speed_ratio": [pace.ratio_before, pace.ratio_after] if (pace := paces.get(film.name)) else None,
                "outputs": {str(output.path): output.encoding.encoder for output in film.outputs},
                "fault": str(rendered.faults[film.name]) if film.name in rendered.faults else None,
                "lacking": rendered.lacking.get(film.name, []),
            }
            for film in rendered.films
        ]
        planned = {film.name for film in rendered.films}
        rows += [{"film": name, "fault": str(fault)} for name, fault in rendered.faults.items() if name not in planned]
        click.echo(json.dumps({"films": rows, **more}, indent=1))
    else:
        for name, pace in paces.items():
            words = f"its fastest step is {pace.ratio_before:.2f} times its slowest, evened {pace.ratio_after:.2f}"
            click.echo(f"{name}: {words}", err=True)
        for path in rendered.paths:
            click.echo(os.fsencode(path))
        for name, seconds in more.get("seconds", {}).items():
            click.echo(f"{name}: about {_duration(seconds)} at full size", err=True)
        if len(more.get("seconds", {})) > 1:
            click.echo(f"all: about {_duration(sum(more['seconds'].values()))}", err=True)
    if rendered.lacking:
        named = "; ".join(f"{name}: {len(pieces)}" for name, pieces in rendered.lacking.items())
        raise DataError(f"pieces are lacking, so these films cannot be joined: {named}", remedy="Render their shares.")
    faults = list(rendered.faults.items())
    for name, fault in faults:
        fault.place = f"{name}: {fault.place}" if fault.place else name
    for _, fault in faults[1:]:
        click.echo(str(fault), err=True)
    if faults:
        raise faults[0][1]


def _duration(seconds: float) -> str:
    from tqdm import tqdm

    return str(tqdm.format_interval(seconds)) if seconds >= 60 else f"{seconds:.0f} s"
