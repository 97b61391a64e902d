"""What a plugin hands over: named components, their Options, and where their code is. Imports no torch."""

from __future__ import annotations

import importlib
import itertools
import logging
import operator
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from artgen.errors import PluginError
from artgen.isolation import asked_to_stop, cause_of, restored

_log = logging.getLogger(__name__)

Kind = Literal[
    "data", "source", "augment", "generator", "critic", "features", "loss", "trainer", "metric", "path", "executor"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Side = Literal["generator", "critic"]


def naming_key(kind: Kind) -> str:
    """The key by which a table with a label of its own names its component: `use`; a film names its `path`."""
    return "path" if kind == "path" else "use"


def _from_its_folder(path: str, info: ValidationInfo) -> str:
    if not path or info.context is None:
        return path
    homes: Mapping[tuple[str, str], set[str]] = info.context.get("homes", {})
    folder, *others = homes.get((str(info.field_name), path)) or homes.get(("", path)) or {info.context[""]}
    if others:
        error = ValueError(f"{path!r} stands in recipes of several folders, and one cannot tell whose this is")
        error.add_note("Write the full path.")
        raise error
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))  # noqa: PTH100, PTH111, PTH118  # a string


FilePath = Annotated[str, AfterValidator(_from_its_folder)]
"""Type of an option that names a file or folder, also in tables within the table. Relative paths start at the folder of
the recipe that holds them, on the command line at the current one; whoever reads the option gets an absolute path. The
empty string stays empty."""


class Options(BaseModel):
    """Base of every Options class: frozen, typed, bounded, documented field by field; unknown keys are refused.

    The class is the manual, the check and the schema of a component: give each field a type, bounds, a default and a
    docstring of its own below it (`field_help` reads it). A TOML table of the same name fills it.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        defer_build=True,  # most of the installed Options are never filled, and building a check takes milliseconds
    )


class LossOptions(Options):
    """What every loss has; a loss adds its own fields below."""

    weight: float = Field(1.0, ge=0)
    """Factor of this term in the sum."""
    every: int = Field(1, ge=1)
    """Add the term only at every n-th step, times n: the lazy regularisation of StyleGAN2 (Karras et al. 2020, 3.1)."""


class DataOptions(Options):
    """What every data set has; a data set adds its own fields below."""

    resolution: int | tuple[int, int] = 64
    """Side of the pictures in pixels, or [width, height]."""
    mirror: bool = False
    """Show each picture as it is or mirrored, by the toss of a coin."""
    jitter_px: int = Field(0, ge=0, le=1024)
    """Show a part of each picture: enlarge its shorter side by so many pixels, then cut the old size out of it, at a
    place drawn anew each time (Isola et al. 2017, section 6.2: 30 for pictures of 256 px)."""

    held_out: float = Field(0.0, ge=0, lt=1)
    """Share of the pictures, chosen by the seed, that training never sees. Previews, samples and paired metrics of a
    generator that takes pictures show these."""

    @property
    def size(self) -> tuple[int, int]:
        """The resolution as (height, width) in pixels."""
        return as_size(self.resolution)

    @property
    def source_is_labels(self) -> bool:
        """For pairs: the sources are maps of labels, whose colours are never blended."""
        return False

    @model_validator(mode="after")
    def _resolution_is_sane(self) -> DataOptions:
        if not all(4 <= side <= 4096 for side in self.size):
            raise ValueError(f"resolution {self.resolution} is outside 4 to 4096 px")
        return self


def field_help(options: type[Options]) -> dict[str, str]:
    """Key of a table -> the docstring below its field, read from the source.

    pydantic could do so for every class at import, but that alone takes a sixth of the time of `artgen check`.
    """
    import ast
    import inspect
    import textwrap

    found: dict[str, str] = {}
    for owner in reversed(options.__mro__):
        if not issubclass(owner, Options):
            continue
        try:
            [tree] = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        except (OSError, TypeError, SyntaxError):  # made in a console, or its source is gone
            continue
        for field_node, text in itertools.pairwise(getattr(tree, "body", [])):
            match field_node, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = " ".join(words.split())
    return {
        field.alias or name: found.get(name) or field.description or "" for name, field in options.model_fields.items()
    }


def as_size(resolution: int | tuple[int, int]) -> tuple[int, int]:
    """Turn a recipe's `resolution` (side, or [width, height]) into (height, width)."""
    return (resolution, resolution) if isinstance(resolution, int) else (resolution[1], resolution[0])


@dataclass(frozen=True, kw_only=True)
class Component:
    """One thing a recipe can name.

    Args:
        kind: What it is.
        name: Its name in recipes: lower case, words joined by `-`.
        summary: One line for `artgen plugins ls`.
        options: Its `Options` class.
        factory: `"package.module:attribute"`, imported only when a recipe names the component. What it is called with
            and must return stands in the hook of its kind (`artgen.hookspecs`).
        partner: For a generator: the name of the critic that suits it by default.
        needs: For a loss: which fields of `artgen.training.Outputs` it reads, for each side that it judges.
        gives: For a trainer: which fields of `Outputs` it fills, for each side.
        needs_features: For a metric: true if it measures in a feature space (`[features.NAME]`).
        needs_pairs: For a metric: true if it compares each made picture with the one that it should be.
        deprecated: What to use instead, if this is to go away; whoever uses it is told.
        plugin: Which plugin hands it over; artgen fills it in.
    """

    kind: Kind
    name: str
    summary: str
    options: type[Options]
    factory: str
    partner: str | None = None
    needs: Mapping[Side, tuple[str, ...]] = field(default_factory=dict)
    gives: Mapping[Side, tuple[str, ...]] = field(default_factory=dict)
    needs_features: bool = False
    needs_pairs: bool = False
    deprecated: str = ""
    plugin: str = field(default="", compare=False, repr=False)

    def load(self) -> Callable[..., Any]:
        """Import and return the factory. What its module does to the global state of the process is undone and told.

        Raises:
            PluginError: The module cannot be imported or has no such attribute.
        """
        factory, changed = import_factory(self)
        tell_changed(self, changed, f"the import of {self.factory}")
        return factory


def import_factory(component: Component) -> tuple[Callable[..., Any], list[str]]:
    """A component's factory, and what of the global state its import changed (which is undone).

    Raises:
        PluginError: As for `Component.load`.
    """
    module, _, attribute = component.factory.partition(":")
    try:
        with restored() as changed:
            factory: Callable[..., Any] = operator.attrgetter(attribute)(importlib.import_module(module))
    except BaseException as error:  # SystemExit too: a stranger's module may do anything at import
        if stop := asked_to_stop(error):
            raise stop from None
        provider = f"The plugin {component.plugin}" if component.plugin else "The plugin that provides it"
        raise PluginError(
            cause_of(error, getattr(sys.modules.get(module), "__file__", None) or ""),
            place=f"{component.kind} '{component.name}' ({component.factory})",
            remedy=f"{provider} is broken or lacks a dependency: see `artgen plugins check`.",
        ) from error
    return factory, changed


def tell_changed(component: Component, changed: Sequence[str], where: str) -> None:
    """Say that a component's code changed global state, which `artgen.isolation.restored` has put back."""
    if changed:
        what = f"{component.kind} '{component.name}' of the plugin {component.plugin or '(unknown)'}"
        _log.warning("%s: %s changed %s; that is undone.", what, where, ", ".join(changed))
