"""`artgen recipe ls|show|copy`."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def recipe() -> None:
    """List, show and copy the bundled recipes."""


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
def copy(name: str, dest: Path | None) -> None:
    """Copy the bundled recipe NAME to DEST (a file or folder; by default NAME.toml here), never over another file."""
    from artgen.errors import RecipeError

    text = _bundled(name).read_bytes()
    target = dest or Path(f"{name}.toml")
    target = target / f"{name}.toml" if target.is_dir() else target
    try:
        with target.open("xb") as file:
            file.write(text)
    except FileExistsError:
        raise RecipeError("there is such a file already", place=str(target), remedy="Name another one.") from None
    except OSError as error:
        raise RecipeError(f"cannot be written: {error.strerror}", place=str(target)) from None
    click.echo(target)


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
