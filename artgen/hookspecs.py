"""Every hook of artgen, and what it must return.

A plugin is a module named by an entry point of group `artgen`, or a single file. It imports no torch, says
`ARTGEN_API = 1`, and marks functions named as below with `artgen.hookimpl`. Registration hooks return lists of
`artgen.Component`; the event hooks observe a run and never steer it.

To deprecate a hook, write `@hookspec(warn_on_impl=DeprecationWarning("use artgen_other"))` here: a plugin that still
implements it is listed with that warning, and works. To deprecate a component, give it `deprecated="use 'other'"`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pluggy

from artgen.components import Component

if TYPE_CHECKING:
    from artgen.run.record import RunFolder

API_VERSION = 1
"""Raised when plugins get something new, or must change. `ARTGEN_API` in a hook module is the one it is made for."""

OLDEST_API_VERSION = 1
"""Plugins made for an older one no longer work."""

MARKED, OPTIONAL = "artgen_impl", "artgen_optional"
"""Attributes that `hookimpl` leaves on a function."""

Hook = TypeVar("Hook", bound=Callable[..., Any])

hookspec = pluggy.HookspecMarker("artgen")
_implements = pluggy.HookimplMarker("artgen")


@overload
def hookimpl(function: Hook, /) -> Hook: ...
@overload
def hookimpl(*, optional: bool = False) -> Callable[[Hook], Hook]: ...
def hookimpl(function: Hook | None = None, /, *, optional: bool = False) -> Hook | Callable[[Hook], Hook]:
    """Mark a function as the implementation of the hook that has its name.

    Args:
        function: The function, where this is written `@hookimpl`.
        optional: For event hooks, written `@hookimpl(optional=True)`. What an optional one raises is told once, it is
            not called again, and the run goes on. Otherwise the run saves a checkpoint and stops.
    """

    def mark(function: Hook) -> Hook:
        marked = _implements(function)
        setattr(marked, OPTIONAL, optional)
        return marked

    return mark if function is None else mark(function)


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
        A loss that compares styles has a method `measure(outputs)` too, and finds what it returned in `measured`.
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
    def artgen_sources(self) -> list[Component]:
        """What pictures are to be made from, computed from the pictures. `factory(options) -> artgen.training.Source`.

        It makes pairs of any data set that has none.
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

    @hookspec
    def artgen_paths(self) -> list[Component]:
        """Walks through a latent space. `factory(options) -> artgen.walk.Path`.

        Options derive from `artgen.VideoOptions`: a table `[videos.NAME]` names the path by its key `path`.
        """
        raise NotImplementedError

    @hookspec
    def artgen_executors(self) -> list[Component]:
        """Who renders the pieces of films. `factory(options) -> artgen.walk.jobs.Executor`."""
        raise NotImplementedError


class Events:
    """What happens in a run. Called on the first process only; what a hook returns is ignored.

    The dictionaries are a hook's own; what it prints goes to stderr; global state that it changes (random states,
    thread count, precision, the current folder) is put back, and told once.
    """

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
    def artgen_evaluated(self, folder: RunFolder, figures: dict[str, float], images: int) -> None:
        """The recipe's metrics were measured after `images` pictures shown; `figures` by "label/figure"."""

    @hookspec
    def artgen_run_ended(self, folder: RunFolder, outcome: str) -> None:
        """The run is over: `finished`, `stopped` or `failed`. The folder is still locked."""
