"""`artgen plugins new`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import cast

import click

from artgen.scaffold import KINDS, PluginKind


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="generator", show_default=True, help="What it provides.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Where the folder is made.  [default: .]")
def new(name: str, kind: str, out: Path) -> None:
    """Write the package of a new plugin.

    The folder artgen-NAME holds one small component that works (--kind), a recipe that uses it, and tests: yours to
    change. Nothing is ever overwritten.
    """
    from artgen.plugins import load_plugins
    from artgen.scaffold import write_package

    folder = write_package(name, cast(PluginKind, kind), out, load_plugins())
    click.echo(folder)
    click.echo(
        f"Next:\n"
        f"  cd {shlex.quote(str(folder))}\n"
        f"  pip install -e '.[test]'\n"
        f"  python -m pytest\n"
        f"  artgen run {name}.toml",
        err=True,
    )
