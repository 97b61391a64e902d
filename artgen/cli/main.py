"""`artgen`: the commands by name; the code of each is imported when it is called."""

from __future__ import annotations

import functools
import gc
import importlib
import logging
import os
import re
import sys
import traceback
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, NoReturn

import click

from artgen.errors import ArtgenError

_COMMANDS = {
    "run": "Train a recipe: pictures, previews, checkpoints, a report. Run again, it goes on where it stopped.",
    "rerun": "Repeat a run from its record, if nothing that matters has changed.",
    "sample": "Make pictures with a trained run.",
    "translate": "Turn pictures and films into others: by a run that was trained for it, or a recipe of styles.",
    "render": "Make films: walks through what a run has learnt, many at a time.",
    "evaluate": "Measure the pictures of a trained run.",
    "export": "Write the averaged generator as safetensors and ONNX.",
    "check": "Tell every fault of a recipe before any work.",
    "recipe": "List, show and copy the bundled recipes.",
    "data": "Look at a folder of pictures as training would.",
    "plugins": "What is installed, from where, and what is broken.",
    "doctor": "Device, precision, versions: for a bug report.",
}


class _Commands(click.Group):
    """Imports `artgen.cli.<name>` only for the command that is called, so that the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = get_close_matches(args[0], _COMMANDS, n=1) if args and args[0] not in _COMMANDS else []
        if near:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(f"artgen.cli.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="artgen")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def artgen(debug: bool) -> None:
    """Art with neural networks, from plugins and recipes.

    \b
    artgen run rembrandt                 train the main recipe on this machine
    artgen run rembrandt --data DIR      the same on your own pictures
    artgen sample runs/rembrandt         make pictures with what was trained
    artgen render films.toml             make films of it, many at a time
    artgen translate starry-night PHOTO --style PAINTING --out DIR      repaint yours in the hand of another
    """
    logging.basicConfig(format="%(message)s", stream=sys.stderr)


def main() -> NoReturn:
    """Run the command line; turn faults into one message and the exit code of `artgen.errors`."""
    code = _run()
    isolation = sys.modules.get("artgen.isolation")  # not there if no plugin was loaded
    lingers = isolation is not None and isolation.threads_linger()  # those of a plugin's import, which may never end
    # Under torchrun, torch's own threads abort one process in ten or so when the interpreter is taken down.
    if lingers or "TORCHELASTIC_RUN_ID" in os.environ:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    """Run the command line; tell faults, and return the exit code."""
    # Starting makes many objects that stay: seven times fewer looks for garbage among them save 10 ms.
    gc.set_threshold(5_000)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # pydantic asks every installed package for some
    # Wherever it stands: it is added at the end of a line that has just failed.
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = artgen(arguments, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except ArtgenError as error:
        return _fail(error, debug)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:  # `artgen recipe show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, SystemExit) as error:  # nobody foresaw it: a fault of a plugin, or of artgen
        if _of_click(error):
            raise
        from artgen.cli.blame import blamed

        return _fail(blamed(error), debug)


def _of_click(error: BaseException) -> bool:
    """Whether it is the way in which click ends after it completed a word for a shell."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, SystemExit) and str(frames[-1].f_globals.get("__name__")).startswith("click.")


def _fail(error: ArtgenError, debug: bool) -> int:
    """Tell an error, with `debug` after the traceback, and return its exit code."""
    if debug:
        traceback.print_exception(error)
    colour = False if os.environ.get("NO_COLOR") else None  # None: where stderr is a terminal
    click.secho("error: ", err=True, nl=False, fg="red", bold=True, color=colour)
    click.echo(_coloured(str(error)), err=True, color=colour)
    return error.exit_code


def _coloured(text: str) -> str:
    """The parts of a diagnostic told apart: what is wrong in bold, its carets in red, the frame in blue."""
    for pattern, style in (
        (r"(?<=\| ) *\^+$", {"fg": "red", "bold": True}),
        (r"^.* \[E-[a-z]+\]$", {"bold": True}),
        (r"^ *\d* \|", {"fg": "blue"}),
        (r"^ +=(?: help:| owner:| extended by:)?", {"fg": "blue"}),
    ):
        painted = functools.partial(_painted, style)
        text = re.sub(pattern, painted, text, flags=re.MULTILINE)
    return text


def _painted(style: dict[str, Any], match: re.Match[str]) -> str:
    return click.style(match[0], **style)
