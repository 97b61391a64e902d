"""Contents -> pictures: a recipe that optimises what it makes, to its end, with nothing kept but the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from artgen.data.dataset import Dataset
from artgen.data.pixels import to_uint8
from artgen.device import Precision, exhaustion
from artgen.errors import DivergedError
from artgen.recipe import Recipe
from artgen.run.build import Job, build, fitted
from artgen.run.evaluate import Pairs, evaluate
from artgen.run.loop import train
from artgen.run.trial import measure
from artgen.run.upkeep import has_diverged
from artgen.training import Clock


def images_of(recipe: Recipe) -> int:
    """How many steps one picture takes."""
    return sum(phase.images // phase.batch for phase in recipe.phases)


def with_data(recipe: Recipe, **values: Any) -> Recipe:
    """The same recipe with other values in the table of its data."""
    options = recipe.data.options
    return replace(recipe, data=replace(recipe.data, options=type(options).model_validate(dict(options) | values)))


class Painted:
    """What came of the contents of a data set: `canvas`, (N, 3, H, W) in [-1, 1], before it is finished."""

    def __init__(self, job: Job) -> None:
        self.canvas = job.average.network.sample(None)
        self._job = job

    def figures(self, made: Tensor) -> dict[str, float]:
        """The recipe's metrics of finished pictures beside their contents.

        Args:
            made: (N, 3, H, W) uint8, of a film with the frame before the first, if that has one, (N + 1, 3, H, W).
        """
        job = self._job
        batch = job.feed.batch(0, len(self.canvas), job.phases[-1].size)
        before = None if batch.film is None else batch.film.before
        contents = to_uint8(batch.real if before is None else torch.cat([before[0], batch.real]))
        return evaluate(job.recipe, made, contents, job.features, Pairs(contents, contents))[0]


class Painter:
    """Optimises pictures by a recipe.

    Args:
        device: Where to compute.
        precision: What to compute in.
    """

    def __init__(self, device: torch.device, precision: Precision) -> None:
        self.device, self.precision = device, precision
        self._pieces: dict[tuple[int, ...], tuple[int, ...]] = {}

    def paint(self, recipe: Recipe, dataset: Dataset, title: str, advance: Callable[[int], object]) -> Painted:
        """Repaint all contents of a data set at once.

        Args:
            recipe: Checked and complete.
            dataset: Has contents.
            title: What to call them in a message.
            advance: Is told of each step, by how many pictures it showed.

        Raises:
            DivergedError: Too many gradients were not finite.
            ResourceError: They do not fit into memory.
        """
        recipe, shape = fitted(recipe, dataset), dataset.real.shape
        with exhaustion(title, "Lower the `resolution` of the recipe."):
            if shape not in self._pieces:  # pictures of another shape need other memory
                self._pieces[shape] = measure(recipe, dataset, self.device, self.precision).pieces
            job = build(recipe, dataset, self.device, self.precision, self._pieces[shape])
            steps = train(job, None, _Progress(advance), lambda: False).steps
        refused = int(job.update.refused)
        if has_diverged(refused, steps, at_end=True):
            raise DivergedError(
                f"{refused} of {steps} updates had gradients that are not finite numbers",
                place=title,
                remedy="Lower the learning rate, or compute in fp32: --set 'run.precision=\"fp32\"'.",
            )
        return Painted(job)


class _Progress:
    """Brings the progress line up to date after every step."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        self.advance = advance

    def at_phase(self, clock: Clock) -> None:
        pass

    def after_step(self, before: Clock, clock: Clock, scalars: dict[str, Tensor]) -> None:
        self.advance(clock.images - before.images)
