"""`artgen recipe ls|show|copy|schema`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import click

from artgen.cli.options import plugin_option


@click.group()
def recipe() -> None:
    """List, show and copy the bundled recipes; describe recipes to an editor."""


@recipe.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls(as_json: bool) -> None:
    """List the bundled recipes."""
    from artgen.recipe import bundled_recipes

    titles = {name: _title(path) for name, path in bundled_recipes().items()}
    if as_json:
        click.echo(json.dumps([{"name": name, "title": title} for name, title in titles.items()], indent=1))
        return
    width = max(map(len, titles), default=0)
    for name, title in titles.items():
        click.echo(f"{name:<{width}}  {title}".rstrip())


@recipe.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the bundled recipe NAME as it was written."""
    click.echo(_bundled(name).read_text(encoding="utf-8"), nl=False)


@recipe.command()
@click.argument("name")
@click.argument("dest", required=False, type=click.Path(path_type=Path))
@plugin_option
def copy(name: str, dest: Path | None) -> None:
    """Copy the bundled recipe NAME to DEST (a file or folder; by default NAME.toml here), never over another file.

    The schema that its first line names is written beside it, unless there is one.
    """
    from artgen.errors import RecipeError
    from artgen.plugins import load_plugins
    from artgen.recipe.schema import SCHEMA_FILE, schema_text

    text = _bundled(name).read_bytes()
    target = dest or Path(f"{name}.toml")
    target = target / f"{name}.toml" if target.is_dir() else target
    try:
        _create(target, text)
    except FileExistsError:
        raise RecipeError("there is such a file already", place=str(target), remedy="Name another one.") from None
    beside = target.with_name(SCHEMA_FILE)
    if not beside.exists():
        with suppress(FileExistsError):  # another copy was a moment quicker
            _create(beside, schema_text(load_plugins()).encode())
    click.echo(target)


@recipe.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file instead.")
@plugin_option
def schema(out: Path | None) -> None:
    """Print the JSON Schema of recipes for the installed plugins, from which an editor completes and marks."""
    from artgen import files
    from artgen.errors import RecipeError
    from artgen.plugins import load_plugins
    from artgen.recipe.schema import schema_text

    text = schema_text(load_plugins())
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        files.replace(out, text.encode())
    except OSError as error:
        raise RecipeError(f"cannot be written: {error.strerror}", place=str(out)) from None
    click.echo(out)


def _create(path: Path, content: bytes) -> None:
    """Write a file where there is none."""
    from artgen.errors import RecipeError

    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise
    except OSError as error:
        raise RecipeError(f"cannot be written: {error.strerror}", place=str(path)) from None


def _bundled(name: str) -> Path:
    from difflib import get_close_matches

    from artgen.errors import RecipeError
    from artgen.recipe import bundled_recipes

    bundled = bundled_recipes()
    if name not in bundled:
        near = get_close_matches(name, bundled, n=1)
        remedy = f"Did you mean '{near[0]}'?" if near else "`artgen recipe ls` lists them."
        raise RecipeError(f"there is no bundled recipe {name!r}", remedy=remedy)
    return bundled[name]


def _title(path: Path) -> str:
    import tomllib

    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("title", ""))
    except (OSError, ValueError) as error:
        return f"(cannot be read: {error})"
