"""From a name or file to a complete recipe: what it extends, its device's section, `--set` and `--data`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

from artgen.errors import Fault, RecipeError
from artgen.plugins import Plugins, load_plugins
from artgen.recipe.arguments import into_an_array, read_data, read_override
from artgen.recipe.bundled import bundled_recipes
from artgen.recipe.check import checked_films, checked_recipe, holds_films_only
from artgen.recipe.layers import Layer, cleaned, listed
from artgen.recipe.model import Device, Films, Recipe
from artgen.recipe.source import MAX_BYTES, Source, read_source
from artgen.recipe.spans import Key
from artgen.recipe.toml import read_toml

MAX_EXTENDS, MAX_FILES = 8, 32
DEVICES: tuple[Device, ...] = get_args(Device)

FileRead = tuple[Source, dict[str, Any], list[Fault], set[Key]]
Files = dict[tuple[Path, tuple[str, ...]], FileRead]
"""A file, and the recipes that lead to it -> its text, its tables, what is wrong with it, the keys that this hides."""


def load_recipe(
    recipe: str | Path,
    *,
    device: Device = "cpu",
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
    plugins: Plugins | None = None,
) -> Recipe:
    """Load and check a recipe. Precedence: defaults < `extends` < the recipe < `--set` < `--data`.

    A file's `[on.DEVICE]` is laid over that file at once, so a recipe has the last word over all of what it extends.

    Args:
        recipe: A TOML file (also the resolved one of a run folder), or the name of a bundled recipe.
        device: Whose `[on.DEVICE]` section counts.
        overrides: Arguments of `--set`: `"a.b=c"`, with any TOML value; bare words are text.
        data: Argument of `--data`: the folder of pictures to learn from.
        plugins: Where components are looked up; by default the installed ones.

    Raises:
        RecipeError: Its `faults` are everything that is wrong.
    """
    found = load_traced(recipe, device=device, overrides=overrides, data=data, plugins=plugins)[0]
    if isinstance(found, Films):
        raise RecipeError(
            "it lists films, and is no recipe of a run", place=str(recipe), remedy=f"artgen render {recipe} makes them."
        )
    return found


def load_films(
    recipe: str | Path, *, device: Device = "cpu", overrides: Iterable[str] = (), plugins: Plugins | None = None
) -> Films:
    """As `load_recipe`, for a file that holds films and nothing else, or for the films of a recipe.

    Raises:
        RecipeError: Its `faults` are everything that is wrong.
    """
    found = load_traced(recipe, device=device, overrides=overrides, plugins=plugins)[0]
    return found if isinstance(found, Films) else found.films


def films_from_tables(tables: Mapping[str, Any], file: Path, plugins: Plugins | None = None) -> Films:
    """As `load_films`, of tables that a film itself holds; relative paths start at its folder.

    Raises:
        RecipeError: Its `faults` are everything that is wrong.
    """
    layer, faults = cleaned(tables, Source(str(file), None, str(file.parent.absolute())))
    return checked_films(layer, plugins or load_plugins(), file, faults)


def load_traced(
    recipe: str | Path,
    *,
    device: Device = "cpu",
    overrides: Iterable[str] = (),
    data: str | Path | None = None,
    plugins: Plugins | None = None,
    files: Files | None = None,
) -> tuple[Recipe | Films, Layer]:
    """As `load_recipe` or `load_films`; also the merged tables, which know where each value came from.

    Args:
        files: What was read so far, for loading a recipe for several devices.
    """
    plugins = plugins or load_plugins()
    path = find_recipe(recipe)
    layer, faults = _Extending(device, {} if files is None else files).resolve(path, (), ())
    written = deepcopy(layer.values.get("data"))
    for argument in overrides:
        over, more = read_override(argument)
        more += into_an_array(layer, over)
        layer.lay(over)
        faults += more
    if holds_films_only(layer):
        return checked_films(layer, plugins, path, faults), layer
    if data is not None:
        over, more = read_data(layer, str(data), plugins, written)
        layer.lay(over)
        faults += more
    return checked_recipe(layer, plugins, path, faults), layer


def find_recipe(recipe: str | Path, folder: Path | None = None) -> Path:
    """The file of a bundled recipe (a bare name) or of a path, relative to `folder`.

    Raises:
        RecipeError: There is no such recipe.
    """
    bundled = bundled_recipes()
    if isinstance(recipe, str) and recipe in bundled:
        return bundled[recipe]
    path = Path(folder or "", recipe)
    try:
        path = Path(folder or "", os.path.expanduser(recipe))  # noqa: PTH111  # a name of nobody stays as it is
        path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            cause, place = "the links to this file go round in a circle", ascii(recipe)[1:-1]
            raise RecipeError(cause, place=place, remedy="Let one of them lead to a file.") from None
        from artgen.nearest import nearest

        near = nearest(str(recipe), [*bundled, *_recipes_beside(path)], count=3)
        advice = f"Did you mean {listed(near)}?" if near else f"Bundled recipes: {listed(bundled)}." if bundled else ""
        raise RecipeError("there is no such file or bundled recipe", place=ascii(recipe)[1:-1], remedy=advice) from None
    return path


def _recipes_beside(path: Path) -> list[str]:
    try:
        return sorted(file.name for file in path.parent.glob("*.toml"))[:100]
    except (OSError, ValueError):
        return []


class _Extending:
    """Follows `extends`; each recipe is laid over those it extends."""

    def __init__(self, device: Device, files: Files) -> None:
        self.device, self.files = device, files
        self.count = self.letters = 0

    def resolve(self, path: Path, chain: tuple[Path, ...], via: tuple[str, ...]) -> tuple[Layer, list[Fault]]:
        """The tables of a recipe over those it extends."""
        if (path, via) not in self.files:
            self.files[path, via] = _read(path, via)
        source, values, faults, unknown = self.files[path, via]
        self.count, self.letters = self.count + 1, self.letters + len(source.text or "")
        own, more = cleaned(values, source, unknown)
        faults = [*faults, *more]
        parents = own.values.pop("extends", [])
        faults += _lay_section(own, self.device)
        if not isinstance(parents, str | list) or not all(isinstance(parent, str) for parent in parents):
            cause, remedy = "expected a recipe or an array of recipes", 'Write extends = "NAME".'
            return own, [*faults, source.fault(("extends",), "E-extends", cause, remedy, at="value")]
        chain, below = (*chain, path.resolve()), Layer({})
        for index, parent in enumerate([parents] if isinstance(parents, str) else parents):
            key: Key = ("extends",) if isinstance(parents, str) else ("extends", index)
            found, fault = self.parent(parent, path.parent, chain, source, key)
            if fault or not found:
                faults += [fault] if fault else []
                below.unknown.add(())
                continue
            layer, more = self.resolve(found, chain, (*via, source.name))
            faults += more
            below.lay(layer)
        below.lay(own)
        below.origins |= own.origins
        return below, faults

    def parent(
        self, name: str, folder: Path, chain: tuple[Path, ...], source: Source, key: Key
    ) -> tuple[Path | None, Fault | None]:
        """The file of a recipe that is extended, or what is wrong with it."""
        try:
            found = find_recipe(name, folder)
        except RecipeError as error:
            return None, source.fault(key, "E-extends", f"{error.cause}: {name[:64]!a}", error.remedy, at="value")
        if found.resolve() in chain:
            circle = f"{name[:64]!a} extends this recipe in its turn"
            cause = circle if len(chain) > 1 else "a recipe cannot extend itself"
            return None, source.fault(key, "E-extends", cause, "Take it away.", at="value")
        if len(chain) > MAX_EXTENDS or self.count >= MAX_FILES or self.letters > MAX_BYTES:
            cause = f"over {MAX_EXTENDS} recipes in a row, {MAX_FILES} in all, or {MAX_BYTES:,} characters"
            return None, source.fault(key, "E-limit", cause, "Join some of them.", at="value")
        return found, None


def _read(path: Path, via: tuple[str, ...]) -> FileRead:
    source, faults = read_source(path, via)
    return (source, {}, faults, {()}) if faults else (source, *read_toml(source))


def _lay_section(layer: Layer, device: Device) -> list[Fault]:
    """Lay `[on.DEVICE]` over the recipe and take all such sections out."""
    (source, key), sections = layer.place(("on",)), layer.values.pop("on", {})
    if not isinstance(sections, dict):
        cause, remedy = "expected tables [on.cpu], [on.cuda] or [on.mps]", "Write [on.cpu] and below it what differs."
        return [source.fault(key, "E-type", cause, remedy, at="value")]
    faults = []
    for name, section in sections.items():
        (source, key), cause = layer.place(("on", name)), f"expected a table for one of {listed(DEVICES)}"
        if name not in DEVICES:
            from artgen.nearest import nearest

            near = ["cuda"] if name.lower() == "gpu" else nearest(name, DEVICES)
            remedy = f"Did you mean '{near[0]}'?" if near else "Write [on.cpu], [on.cuda] or [on.mps]."
            more = {"expected": listed(DEVICES), "found": name, "nearest": "".join(near)}
            faults.append(source.fault(key, "E-key", cause, remedy, **more))
        elif not isinstance(section, dict):
            faults.append(source.fault(key, "E-type", cause, f"Write [on.{name}].", at="value"))
        elif name == device:
            moved = {key[2:]: origin for key, origin in layer.origins.items() if key[:2] == ("on", name)}
            unknown = {key[2:] for key in layer.unknown if key[:2] == ("on", name)}
            layer.lay(Layer(section, {(): layer.place(("on", name))} | moved, unknown))
    return faults
