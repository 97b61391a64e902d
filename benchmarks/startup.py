"""How long `artgen` takes to answer with twenty strangers' plugins installed: `python benchmarks/startup.py [RUNS]`.

The plugins are written into a temporary folder as pip would have left them, each with one component and six options,
and put on PYTHONPATH. Bytecode is kept, as after an install. Every command is a process of its own; the runs of all
commands take turns, so that a change of the machine's mood meets all alike. The table has the least and the median of
wall time, and the median of CPU time.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGINS = 20
MODULE = '''"""A stranger's plugin."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artgen import Component, Options, hookimpl

ARTGEN_API = 1


class DummyOptions(Options):
    """Six options."""

    width: int = Field(64, ge=1, le=1024)
    """Channels."""
    depth: int = Field(4, ge=1, le=64)
    """Levels."""
    rate: float = Field(0.1, gt=0, le=1)
    """A share."""
    norm: Literal["batch", "none"] = "batch"
    """Which."""
    title: str = ""
    """A name."""
    sizes: tuple[int, ...] = (4, 8)
    """Sides."""


@hookimpl
def artgen_generators() -> list[Component]:
    return [
        Component(
            kind="generator",
            name="dummy-{number}",
            summary="A dummy",
            options=DummyOptions,
            factory="artgen_dummy_{number}.networks:Dummy",
        )
    ]
'''
RECIPE = """
[data.atelier]
[generator.dcgan]
[losses.hinge]
[trainer.adversarial]
[[phase]]
images = 1_000
batch = 8
"""
CALL = [sys.executable, "-c", "from artgen.cli.main import main; main()"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import click'": [sys.executable, "-c", "import click"],
    "python -c 'import pydantic; pydantic.BaseModel'": [sys.executable, "-c", "import pydantic; pydantic.BaseModel"],
    "artgen --help": [*CALL, "--help"],
    "artgen plugins ls": [*CALL, "plugins", "ls"],
    "artgen check": [*CALL, "check", "recipe.toml"],
    "artgen check, no dummies": [*CALL, "check", "recipe.toml"],
}


def plant(folder: Path) -> None:
    """Install the dummies."""
    for number in range(PLUGINS):
        package = folder / f"artgen_dummy_{number}"
        package.mkdir()
        (package / "__init__.py").write_text(MODULE.replace("{number}", str(number)))
        info = folder / f"artgen_dummy_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: artgen-dummy-{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[artgen]\ndummy-{number} = artgen_dummy_{number}\n")


def seconds(command: list[str], folder: Path, *, dummies: bool) -> tuple[float, float]:
    """Wall and CPU time of one process."""
    paths = [*([str(folder)] if dummies else []), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, cwd=folder / "elsewhere", stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant(folder)
        (folder / "elsewhere").mkdir()  # `python -c` finds what is in the current folder
        (folder / "elsewhere" / "recipe.toml").write_text(RECIPE)
        measured: dict[str, list[tuple[float, float]]] = {title: [] for title in COMMANDS}
        for turn in range(runs + 1):
            for title, command in COMMANDS.items():
                taken = seconds(command, folder, dummies="no dummies" not in title)
                if turn:  # the first writes bytecode
                    measured[title].append(taken)
    print(f"{'':<50}{'least':>8}{'median':>8}{'CPU':>8}   ms, of {runs} runs with {PLUGINS} dummies")
    for title, pairs in measured.items():
        wall, cpu = zip(*pairs, strict=True)
        print(
            f"{title:<50}"
            + "".join(
                f"{1000 * figure:>8.0f}" for figure in (min(wall), statistics.median(wall), statistics.median(cpu))
            )
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
