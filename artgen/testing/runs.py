"""Tiny runs: a recipe around one component, trained straight or stopped and continued."""

from __future__ import annotations

import json
import signal
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import tomli_w
import torch

from artgen.components import Component
from artgen.data.dataset import Workshop
from artgen.errors import StoppedError
from artgen.plugins import Plugins, load_plugins
from artgen.recipe import Recipe, load_recipe
from artgen.run import checkpoint
from artgen.run.build import Job, build, fitted, prepare_data
from artgen.run.session import run_recipe
from artgen.testing import pictures
from artgen.training import Clock

AROUND = """
seed = 7
[data.kit-pictures]
[generator.dcgan]
latent = 4
width = 4
[critic.dcgan]
width = 4
[features.kit-features]
[losses.non-saturating]
[trainer.adversarial]
[[phase]]
images = 32
batch = 4
[run]
precision = "fp32"
preview_pictures = 4
preview_images = 1_000_000
checkpoint_images = 1_000_000
evaluate_samples = 4
average_half_life_images = 16
"""
"""The tables that stand around a component in its tiny run, unless its suite's `recipe` has others in their place."""

PAIRED = """
[generator.unet]
width = 4
widest = 8
[critic.patchgan]
receptive_field_px = 16
width = 4
[losses.non-saturating]
[losses.l1]
[trainer.paired]
"""
"""What takes their place for a component that works on pairs."""

REPAINTED = """
[data.film]
resolution = 32
frames = 2
[generator.canvas]
[critic]
[losses.covariance]
[losses.laplacian]
[trainer.canvas]
[[phase]]
from = 16
to = 32
images = 4
batch = 1
"""
"""What takes their place for a component of style transfer: two frames of a film that the program paints."""

_OF_PAIRS = {"source", "target", "made"}
_OF_STYLES = {"made_features", "source_features", "styles", "measured", "motion"}

CPU = torch.device("cpu")
NOTHING: Mapping[str, Any] = MappingProxyType({})


def around(section: str = "", name: str = "", options: Mapping[str, Any] = NOTHING, *instead: str) -> str:
    """The text of a recipe that uses one component.

    Args:
        section: Its table: `generator`, `losses`, ...
        name: Its name.
        options: Its options.
        instead: Recipes whose tables take the place of those in `AROUND`, later ones last.
    """
    tables = tomllib.loads(AROUND)
    for recipe in instead:
        tables |= tomllib.loads(recipe)
    if not section:
        return tomli_w.dumps(tables)
    label = name.rpartition(":")[2]
    table = {label: dict(options) | ({"use": name} if label != name else {})}
    several = section in ("losses", "metrics", "videos")
    tables[section] = tables.get(section, {}) | table if several else table
    return tomli_w.dumps(tables)


def suiting(component: Component) -> str:
    """`REPAINTED` or `PAIRED` for a loss that needs, or a trainer that gives, what only they have; else nothing."""
    named = {name for sides in (component.needs, component.gives) for names in sides.values() for name in names}
    return REPAINTED if named & _OF_STYLES else PAIRED if named & _OF_PAIRS else ""


def plugins_with(modules: Iterable[object]) -> Plugins:
    """The plugins of this environment, the kit's own, and modules that are not installed."""
    return load_plugins((pictures, *modules))


def workshop(folder: Path) -> Workshop:
    """What a data set is made with: a cache in this folder, one worker, and no progress bar."""
    return Workshop(folder / "cache", _quiet, 1)


def load(folder: Path, recipe: str | Path, overrides: Iterable[str] = (), plugins: Iterable[object] = ()) -> Recipe:
    """A recipe from a path or from TOML text, which is written into the folder."""
    if isinstance(recipe, str) and "\n" in recipe:
        text, recipe = recipe, folder / "recipe.toml"
        recipe.write_text(text, encoding="utf-8")
    return load_recipe(recipe, device="cpu", overrides=overrides, plugins=plugins_with(plugins))


def job_of(folder: Path, recipe: str | Path, plugins: Iterable[object] = ()) -> Job:
    """The job of a recipe, on the CPU, in its first phase."""
    loaded = load(folder, recipe, (), plugins)
    dataset = prepare_data(loaded, workshop(folder))
    job = build(fitted(loaded, dataset), dataset, CPU, "fp32")
    job.begin(job.phases[0])
    return job


def train(
    folder: Path,
    recipe: str | Path,
    overrides: Iterable[str] = (),
    plugins: Iterable[object] = (),
    stop_after_steps: int | None = None,
    listeners: Iterable[object] = (),
) -> dict[str, str]:
    """Train a recipe to its end in `folder`, as `artgen run` does.

    Args:
        folder: An empty folder; the run is made in it.
        recipe: A path, or TOML text.
        overrides: Arguments of `--set`.
        plugins: Modules of plugins that are not installed.
        stop_after_steps: Press Ctrl-C after so many steps, then go on.
        listeners: Hook modules that hear of the run; no other does, for a report of eight steps is of no use.

    Returns:
        The SHA-256 of every file of the last checkpoint, by its name.
    """
    loaded = load(folder, recipe, overrides, plugins)
    out = folder / "run"
    there = cast(Plugins, _Heard(plugins_with(plugins), Plugins(listeners, points=())))

    def sit(show: Callable[[Job, Clock], Any]) -> None:
        run_recipe(loaded, out, CPU, there, workshop(folder), show)

    if stop_after_steps is not None:
        with suppress(StoppedError):
            sit(lambda *_: _pressing(stop_after_steps))
    sit(_quiet)
    newest = checkpoint.committed(out / "checkpoints")[0]
    files = json.loads((newest / "manifest.json").read_text(encoding="utf-8"))["files"]
    return {name: entry["sha256"] for name, entry in files.items()}


class _Heard:
    """All the plugins, of which only some listen."""

    def __init__(self, plugins: Plugins, listening: Plugins) -> None:
        self._plugins, self.event = plugins, listening.event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plugins, name)


@contextmanager
def _pressing(after_steps: int) -> Iterator[Callable[[Clock, dict[str, float]], None]]:
    """A progress line that presses Ctrl-C, once: a second time would end the process."""
    pressed = False

    def show(clock: Clock, scalars: dict[str, float]) -> None:
        nonlocal pressed
        if clock.steps >= after_steps and not pressed:
            pressed = True
            signal.raise_signal(signal.SIGINT)

    yield show


@contextmanager
def _quiet(*_: object) -> Iterator[Any]:
    yield lambda *_: None
