"""Every hook of artgen, and what it must return.

A plugin is a module named by an entry point of group `artgen`. It imports no torch; it marks functions named as below
with `artgen.hookimpl`. Registration hooks return lists of `artgen.Component`; the event hooks observe a run and never
steer it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from artgen.components import Component

if TYPE_CHECKING:
    from artgen.run.record import RunFolder

API_VERSION = 1
"""Raised when a plugin written for an earlier version might break."""

hookspec = pluggy.HookspecMarker("artgen")
hookimpl = pluggy.HookimplMarker("artgen")


class Registration:
    """Hooks that hand over components. Each is called once and returns a list of `Component` of its kind."""

    @hookspec
    def artgen_generators(self) -> list[Component]:
        """Generators. `factory(options, size) -> artgen.training.Generator`.

        `size` is (height, width) in pixels of the largest phase. The weights are drawn when the factory is called.
        """
        raise NotImplementedError

    @hookspec
    def artgen_critics(self) -> list[Component]:
        """Critics (discriminators). `factory(options, size) -> artgen.training.Critic`."""
        raise NotImplementedError

    @hookspec
    def artgen_losses(self) -> list[Component]:
        """Losses. `factory(options) -> object` with a method `generator(outputs)`, `critic(outputs)` or both.

        Each method is a pure function of `artgen.training.Outputs` and returns a scalar tensor; the component's `needs`
        lists the fields that it reads. Options derive from `artgen.LossOptions`; the core applies `weight` and `every`.
        """
        raise NotImplementedError

    @hookspec
    def artgen_trainers(self) -> list[Component]:
        """Trainers. `factory(options, parts) -> artgen.training.Trainer`, with `parts: artgen.training.Parts`."""
        raise NotImplementedError

    @hookspec
    def artgen_augmentations(self) -> list[Component]:
        """Augmentations of what the critic sees. `factory(options) -> artgen.training.Augmentation`."""
        raise NotImplementedError

    @hookspec
    def artgen_datasets(self) -> list[Component]:
        """Data sets. `factory(options, workshop) -> artgen.data.Dataset`, with `workshop: artgen.data.Workshop`.

        Options derive from `artgen.DataOptions`. One with a field `path` can be filled by `--data DIR`.
        """
        raise NotImplementedError

    @hookspec
    def artgen_features(self) -> list[Component]:
        """Frozen feature networks. `factory(options) -> artgen.training.Features`."""
        raise NotImplementedError

    @hookspec
    def artgen_metrics(self) -> list[Component]:
        """Figures of quality. `factory(options) -> artgen.metrics.Metric`."""
        raise NotImplementedError


class Events:
    """What happens in a run. Called on the first process only; what a hook returns is ignored."""

    @hookspec
    def artgen_run_started(self, folder: RunFolder) -> None:
        """The run folder is open, locked and described; no step has been taken since."""

    @hookspec
    def artgen_step_shown(self, folder: RunFolder, scalars: dict[str, float]) -> None:
        """The progress line was brought up to date; `scalars` are on the host and hold `images`, `steps` and losses."""

    @hookspec
    def artgen_previewed(self, folder: RunFolder, sheet: Path, images: int) -> None:
        """A sheet of pictures was written after `images` pictures shown."""

    @hookspec
    def artgen_saved(self, folder: RunFolder, checkpoint: Path, images: int) -> None:
        """A checkpoint was committed."""

    @hookspec
    def artgen_run_ended(self, folder: RunFolder, outcome: str) -> None:
        """The run is over: `finished`, `stopped` or `failed`. The folder is still locked."""
