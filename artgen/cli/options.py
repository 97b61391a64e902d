"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def plugin_option(command: Command) -> Command:
    """Add `--plugin FILE.py` to a command that uses plugins: the files are plugins of this process."""
    return click.option(
        "--plugin",
        multiple=True,
        metavar="FILE.py",
        type=click.Path(exists=True, dir_okay=False),
        expose_value=False,
        callback=_use,
        help="Use a plugin that is a single file. Repeatable.",
    )(command)


def _use(ctx: click.Context, option: click.Parameter, files: tuple[str, ...]) -> None:
    """Name the files before anything loads plugins; without any, forget those of an earlier command."""
    from artgen.plugins import use_files

    if not ctx.resilient_parsing:  # nothing is run for completion
        use_files(files)
