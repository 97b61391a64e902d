"""From a name or file to a complete recipe: what it extends, its device's section, `--set` and `--data`."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from artgen.errors import Fault, PluginError, RecipeError
from artgen.plugins import Plugins, load_plugins
from artgen.recipe.bundled import bundled_recipes
from artgen.recipe.check import checked_recipe
from artgen.recipe.layers import Layer, Origin, cleaned, listed, read_layer
from artgen.recipe.model import Device, Recipe

MAX_EXTENDS, MAX_FILES = 8, 32
DEVICES: tuple[Device, ...] = get_args(Device)


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
    plugins = plugins or load_plugins()
    source = find_recipe(recipe)
    layer, faults = _Files(device).resolve(source, ())
    if faults and not layer.origins:
        raise RecipeError("the recipe cannot be read", place=str(source), faults=faults)
    for argument in overrides:
        over, more = _override(argument)
        layer.lay(over)
        faults += more
    if data is not None:
        faults += _lay_data(layer, str(data), plugins)
    return checked_recipe(layer, plugins, source, faults)


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
        path.stat()
    except (OSError, ValueError):
        near = get_close_matches(str(recipe)[:64], bundled, n=3)
        advice = f"Did you mean {listed(near)}?" if near else f"Bundled recipes: {listed(bundled)}." if bundled else ""
        raise RecipeError("there is no such file or bundled recipe", place=ascii(recipe)[1:-1], remedy=advice) from None
    return path


class _Files:
    """Follows `extends`; each recipe is laid over those it extends."""

    def __init__(self, device: Device) -> None:
        self.device, self.read = device, 0

    def resolve(self, path: Path, children: tuple[Path, ...]) -> tuple[Layer, list[Fault]]:
        """The tables of a recipe over those it extends; a layer without origins where one cannot be read."""
        self.read += 1
        own, faults = read_layer(path)
        parents = own.values.pop("extends", [])
        faults += _lay_section(own, self.device)
        parents = [parents] if isinstance(parents, str) else parents
        if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
            return own, [*faults, Fault(("extends",), "expected a recipe or an array of recipes", file=str(path))]
        below, chain = Layer({}), (*children, path.resolve())
        for parent in parents:
            try:
                found = find_recipe(parent, path.parent)
                if found.resolve() in chain:
                    raise RecipeError("that recipe extends this one", remedy="Take one of the two away.")
                if len(chain) > MAX_EXTENDS or self.read >= MAX_FILES:
                    raise RecipeError(f"over {MAX_EXTENDS} recipes in a row or {MAX_FILES} in all", remedy="Join some.")
            except RecipeError as error:
                fault = Fault(("extends",), f"extends {parent!a}: {error.cause}", error.remedy, str(path))
                return Layer({}), [*faults, fault]
            layer, more = self.resolve(found, chain)
            faults += more
            if not layer.origins:
                return Layer({}), faults
            below.lay(layer)
        below.lay(own)
        below.origins |= own.origins
        return below, faults


def _lay_section(layer: Layer, device: Device) -> list[Fault]:
    """Lay `[on.DEVICE]` over the recipe and take all such sections out."""
    origin, sections = layer.place(("on",)), layer.values.pop("on", {})
    if not isinstance(sections, dict):
        return [Fault(origin.key, "expected tables [on.cpu], [on.cuda] or [on.mps]", file=origin.file)]
    faults = []
    for name, section in sections.items():
        origin = layer.place(("on", name))
        if name not in DEVICES or not isinstance(section, dict):
            faults.append(Fault(origin.key, f"expected a table for one of {listed(DEVICES)}", file=origin.file))
        elif name == device:
            moved = {key[2:]: origin for key, origin in layer.origins.items() if key[:2] == ("on", name)}
            layer.lay(Layer(section, {(): origin} | moved))
    return faults


def _override(argument: str) -> tuple[Layer, list[Fault]]:
    """The layer of one `--set a.b=c`."""
    origin = Origin(f"--set {ascii(argument)[1:-1]}", (), os.getcwd())  # noqa: PTH109  # as text
    key, equals, value = argument.partition("=")
    advice = "Write --set key.of.table=value."
    if not equals:
        return Layer({}), [Fault((), "there is no '='", advice, origin.file)]
    if len(argument) > 10_000 or key.count(".") > 64:
        return Layer({}), [Fault((), "this is too long", "Write it into a recipe.", origin.file)]
    try:
        table = tomllib.loads(argument)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        if value.strip()[:1] in ("[", "{", '"', "'"):
            return Layer({}), [Fault((), f"not a TOML value: {error}", advice, origin.file)]
        try:
            table = _with_text(tomllib.loads(f"{key}=0"), value.strip())
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            return Layer({}), [Fault((), f"not a TOML key: {error}", advice, origin.file)]
    return cleaned(table, origin)


def _with_text(table: dict[str, Any], text: str) -> dict[str, Any]:
    return {name: _with_text(value, text) if isinstance(value, dict) else text for name, value in table.items()}


def _lay_data(layer: Layer, data: str, plugins: Plugins) -> list[Fault]:
    """Give the recipe's data component its `path`; one that has none is replaced by a folder of the same size."""
    tables = layer.values.get("data")
    origin = Origin(f"--data {ascii(data)[1:-1]}", (), os.getcwd())  # noqa: PTH109  # as text
    label, table = next(iter(tables.items())) if isinstance(tables, dict) and len(tables) == 1 else ("folder", {})
    table = table if isinstance(table, dict) else {}
    try:
        fields = plugins.component("data", str(table.get("use", label))).options.model_fields
    except PluginError:
        fields = {}
    if "path" in fields:
        over, faults = cleaned({"data": {label: {"path": data}}}, origin)
    else:
        defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
        kept = {name: (defaults | table)[name] for name in ("resolution", "mirror") if name in defaults | table}
        over, faults = cleaned({"data": {"folder": {"path": data, **kept}}}, origin)
        over.origins |= {("data", "folder", name): layer.place(("data", label, name)) for name in kept if name in table}
    layer.lay(over)
    return faults
