"""A run folder opened to look at: its newest checkpoint, its averaged generator ready to sample."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from artgen.data.dataset import Workshop
from artgen.data.feed import Feed
from artgen.device import Precision, to_device
from artgen.errors import CheckpointError
from artgen.plugins import Plugins
from artgen.recipe import Recipe, load_recipe
from artgen.run import checkpoint
from artgen.run.build import build_generator, largest, prepare_data, schedule
from artgen.run.pictures import given_for, make_pictures, settle
from artgen.run.record import RECIPE, RunFolder
from artgen.training import Clock, Generator, Size

log = logging.getLogger(__name__)


@dataclass
class OpenRun:
    """A trained generator and where it came from. The pictures it learnt from are prepared only when they are asked for."""

    folder: RunFolder
    recipe: Recipe
    checkpoint: Path
    clock: Clock
    device: torch.device
    precision: Precision
    average: Generator
    workshop: Workshop

    @cached_property
    def feed(self) -> Feed:
        """The pictures of the run."""
        dataset = prepare_data(self.recipe, self.workshop)
        return Feed(dataset, self.recipe.seed, self.device)

    @cached_property
    def generator(self) -> Generator:
        """The averaged generator with its batch-norm statistics recomputed."""
        return settle(self.average, self.recipe.seed, self.device, self.precision, self.sources, self.size)

    @property
    def sources(self) -> Feed | None:
        return self.feed if self.average.takes == "picture" else None

    @property
    def size(self) -> Size:
        """Size of the pictures it makes at this checkpoint."""
        return schedule(self.recipe)[self.clock.phase].size

    def sample(self, count: int, seed: int) -> Tensor:
        """Pictures (N, 3, H, W) uint8; one seed means the same pictures every time, the first n whatever the count."""
        given = given_for(self.generator, count, seed, "sample", self.device, self.sources, self.size)
        return make_pictures(self.generator, given, self.device, self.precision)


def open_run(path: Path, device: torch.device, plugins: Plugins, workshop: Workshop) -> OpenRun:
    """Open a run folder for reading; a run that is still training may be opened too.

    Raises:
        CheckpointError: It is no run folder, or holds no checkpoint that is whole.
        PluginError: A plugin that the run was made with is missing.
    """
    folder = RunFolder.read(path)
    recipe = load_recipe(str(folder.path / RECIPE), plugins=plugins)
    loaded = checkpoint.newest(folder.checkpoints, set_aside=False)
    if loaded is None:
        raise CheckpointError(
            "the run has no checkpoint yet", place=str(path), remedy="Let it train to its first checkpoint."
        )
    for sentence in loaded.damaged:
        log.warning("damaged checkpoint: %s", sentence)
    phases = schedule(recipe)
    info = loaded.info
    clock = Clock(**{name: info[name] for name in ("images", "steps", "phase", "phase_images", "total_images")})
    phase = phases[clock.phase]
    average = build_generator(recipe, largest(phases)).eval().requires_grad_(False)
    average.begin(phase.size)
    try:
        average.load_state_dict(loaded.parts["average"])
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"the checkpoint does not fit the recipe's generator: {str(error).splitlines()[0]}",
            place=str(loaded.path),
            remedy="The plugin may have changed since; use the version named in run.json.",
        ) from error
    average.fade(clock.fade(phase))
    to_device(average, device)
    precision: Precision = folder.info["precision"] if device.type == folder.info["device"] else "fp32"
    return OpenRun(folder, recipe, loaded.path, clock, device, precision, average, workshop)

