"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


DEVICES = click.Choice(["auto", "cpu", "cuda", "mps"])


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


def workers() -> int:
    """How many processes may prepare pictures at once."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
