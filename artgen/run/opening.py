"""A run folder opened to look at: its newest checkpoint, its averaged generator ready to sample."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from artgen.data.dataset import Dataset, Workshop
from artgen.data.feed import Feed
from artgen.device import Precision, exhaustion, one_core_each, to_device
from artgen.errors import CheckpointError, DataError, PluginError, RecipeError
from artgen.plugins import Plugins
from artgen.recipe import Recipe, load_recipe
from artgen.rng import drawing
from artgen.run import checkpoint
from artgen.run.average import keeps_statistics
from artgen.run.build import build_feed, build_generator, largest, prepare_data, schedule
from artgen.run.description import plugin_entries
from artgen.run.differences import NOT_THERE, plugin_changes
from artgen.run.finishing import finished, on_paper
from artgen.run.loop import fitting
from artgen.run.pictures import given_for, make_pictures, settle
from artgen.run.record import RECIPE, RunFolder
from artgen.training import Clock, Generator, Size

log = logging.getLogger(__name__)


@dataclass
class OpenRun:
    """A trained generator and where it came from; the pictures it learnt from are prepared only if asked for."""

    folder: RunFolder
    recipe: Recipe
    checkpoint: Path
    clock: Clock
    data: str
    device: torch.device
    precision: Precision
    average: Generator
    workshop: Workshop

    @cached_property
    def feed(self) -> Feed:
        """The pictures of the run."""
        dataset = prepare_data(self.recipe, self.workshop)
        refuse_other_pictures(self.data, dataset, self.recipe)
        return build_feed(self.recipe, dataset, self.device)

    @cached_property
    def generator(self) -> Generator:
        """The averaged generator with its batch-norm statistics, where it has any, recomputed."""
        feed = self.sources if keeps_statistics(self.average) else None
        with one_core_each(self.device):  # several threads add up in another order
            return settle(self.average, self.recipe.seed, self.device, self.precision, feed, self.size)

    @cached_property
    def draws(self) -> bool:
        """Whether its generator draws random numbers also when it makes pictures. On a CPU that is found by trying."""
        if self.device.type != "cpu" or self.average.latent is None:
            return True
        with drawing(0, "trial"), torch.no_grad():
            latent = self.average.latent.draw(1)
            before = torch.default_generator.get_state()
            self.generator.sample(latent)
            return not torch.equal(before, torch.default_generator.get_state())

    @property
    def sources(self) -> Feed | None:
        return self.feed if self.average.takes == "picture" else None

    @property
    def size(self) -> Size:
        """Size of the pictures it makes at this checkpoint."""
        if self.average.takes == "nothing":  # pictures that are repainted keep their shape within the recipe's sizes
            return Size(*self.average.sample(None).shape[2:])
        return schedule(self.recipe)[self.clock.phase].size

    def sample(self, count: int, seed: int, purpose: str = "sample") -> Tensor:
        """Pictures (N, 3, H, W) uint8; one seed means the same pictures every time, the first n whatever the count.

        Of a run that repaints these are the repainted pictures, finished, and as many as there are.

        Raises:
            ResourceError: They do not fit into memory.
        """
        if self.average.takes == "nothing" and self.feed.dataset.repainting is not None:
            return on_paper(finished(self.generator.sample(None), self.feed.dataset.repainting))[:count]
        with exhaustion(f"{count} pictures of {self.size} px", "Ask for fewer at a time."):
            given = given_for(self.generator, count, seed, purpose, self.device, self.sources, self.size)
            with drawing(seed, f"{purpose} noise"):  # of a generator that draws also when it only makes pictures
                return make_pictures(self.generator, given, self.device, self.precision)


def open_run(path: Path, device: torch.device, plugins: Plugins, workshop: Workshop, images: int = 0) -> OpenRun:
    """Open a run folder for reading; a run that is still training may be opened too.

    Args:
        path: The folder.
        device: Where the generator goes.
        plugins: Those that the run was made with must be among them.
        workshop: Prepares the pictures of the run, if they are asked for.
        images: Open the checkpoint that was saved after so many pictures shown; 0: the newest.

    Raises:
        CheckpointError: It is no run folder, or holds no such checkpoint that is whole.
        PluginError: A plugin that the run was made with is missing.
    """
    folder = RunFolder.read(path)
    recipe = stored_recipe(folder, plugins)
    loaded = _saved_after(folder, images) if images else checkpoint.newest(folder.checkpoints, set_aside=False)
    if loaded is None:
        raise CheckpointError(
            "the run has no checkpoint yet", place=str(path), remedy="Let it train to its first checkpoint."
        )
    for sentence in loaded.damaged:
        log.warning("damaged checkpoint: %s", sentence)
    phases = schedule(recipe)
    clock = clock_of(loaded, recipe)
    phase = phases[clock.phase]
    average = build_generator(recipe, largest(phases)).eval().requires_grad_(False)
    with drawing(recipe.seed, "phase", phase.index):
        average.begin(phase.size)
    with fitting(str(loaded.path)):
        average.load_state_dict(loaded.parts["average"])
    average.fade(clock.fade(phase))
    to_device(average, device)
    trained_here = device.type == folder.info.get("device")
    precision: Precision = "bf16" if trained_here and folder.info.get("precision") == "bf16" else "fp32"
    data = str(loaded.info.get("data"))
    return OpenRun(folder, recipe, loaded.path, clock, data, device, precision, average, workshop)


def _saved_after(folder: RunFolder, images: int) -> checkpoint.Loaded:
    """The checkpoint of one moment."""
    saved = {path: checkpoint.images_of(path) for path in checkpoint.committed(folder.checkpoints)}
    for path, shown in saved.items():
        if shown == images:
            parts, info = checkpoint.load(path)
            return checkpoint.Loaded(path, parts, info, ())
    there = ", ".join(f"{shown:,}" for shown in sorted(set(saved.values())))
    raise CheckpointError(
        f"no checkpoint was saved after {images:,} pictures",
        place=str(folder.checkpoints),
        remedy=f"There are those after {there}." if there else "Let it train to its first checkpoint.",
    )


def clock_of(loaded: checkpoint.Loaded, recipe: Recipe) -> Clock:
    """Where a checkpoint stands in a recipe's schedule.

    Raises:
        CheckpointError: It stands nowhere in it.
    """
    match loaded.info:
        case {"images": int(images), "steps": int(steps), "phase": int(phase), "phase_images": int(phase_images),
              "total_images": int(total_images)} if 0 <= phase < len(recipe.phases):  # fmt: skip
            return Clock(images, steps, phase, phase_images, total_images)
    raise CheckpointError("it does not say where in the recipe's phases it stands", place=str(loaded.path))


def refuse_other_pictures(recorded: str, dataset: Dataset, recipe: Recipe) -> None:
    """Compare the pictures with those that a run has learnt from.

    Raises:
        DataError: They are others.
    """
    if recorded != dataset.fingerprint:
        raise DataError(
            "the pictures are not those that this run began with",
            place=f"data.{recipe.data.label}",
            remedy="Put them back as they were, or train the new ones elsewhere (--out) or anew (--fresh).",
        )


def stored_recipe(folder: RunFolder, plugins: Plugins, overrides: Sequence[str] = ()) -> Recipe:
    """The resolved recipe of a run, with arguments of `--set` over it.

    Raises:
        RecipeError: It cannot be used.
        PluginError: A plugin that the run was made with is missing; names it, and the file of one that was a file.
    """
    try:
        return load_recipe(str(folder.path / RECIPE), overrides=overrides, plugins=plugins)
    except RecipeError as error:
        lacking = [
            change
            for change in plugin_changes(folder.info.get("plugins"), plugin_entries(plugins))
            if change.now == NOT_THERE
        ]
        if not lacking:
            raise
        named = ", ".join(f"{change.what.removeprefix('plugin ')} ({change.then})" for change in lacking)
        raise PluginError(
            f"{error.faults[0].cause if error.faults else error.cause}; the run was made with plugins that are not "
            f"there now: {named}",
            place=str(folder.path),
            remedy="Install them again; name a single file with --plugin.",
        ) from error
