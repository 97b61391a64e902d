"""The thorough look of `artgen plugins check`: with torch loaded and every factory imported, then without torch."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from artgen.isolation import asked_to_stop

if TYPE_CHECKING:
    from artgen.components import Component
    from artgen.plugins import PluginInfo, Plugins

_PATIENCE_SECONDS = 120
_LIGHT = ("plugins", "ls", "--json")


@dataclass(frozen=True)
class Looked:
    """What was found of one plugin: as it is loaded, and for each of its components what the code behind it does."""

    plugin: PluginInfo
    faults: tuple[str, ...]
    factory_seconds: dict[str, float] = field(default_factory=dict)


def look(load: Callable[[], Plugins], chosen: Callable[[Plugins], list[PluginInfo]]) -> list[Looked]:
    """Look at the chosen plugins.

    torch, NumPy and signals are loaded first: what a plugin does to them at import is seen only then. In a second
    process the plugins are loaded as every command loads them, which shows how long that takes and who loads torch.

    Args:
        load: Loads the plugins of this process.
        chosen: Which of them are asked for.
    """
    for module in ("signal", "random", "numpy.random", "torch"):
        importlib.import_module(module)
    plugins = chosen(load())
    light = {(one["distribution"], one["plugin"], one["file"]): one for one in _loaded_without_torch()}
    return [_look(plugin, light.get((plugin.distribution, plugin.name, plugin.file))) for plugin in plugins]


def _look(plugin: PluginInfo, light: dict[str, Any] | None) -> Looked:
    if light is not None:
        told = dict.fromkeys(
            [*light["warnings"], *(one for one in plugin.warnings if not one.startswith("its import took"))]
        )
        plugin = replace(plugin, warnings=tuple(told), import_seconds=light["import_seconds"])
    found, seconds = list(plugin.faults), dict[str, float]()
    for component in plugin.components if plugin.usable else ():
        begun = time.perf_counter()
        found += _look_behind(component)
        seconds[f"{component.kind} {component.name}"] = time.perf_counter() - begun
    return Looked(plugin, tuple(found), seconds)


def _look_behind(component: Component) -> list[str]:
    """What is wrong with the factory of a component, or with its Options."""
    from artgen.components import import_factory
    from artgen.errors import PluginError

    place = f"{component.kind} '{component.name}'"
    found = []
    try:
        factory, changed = import_factory(component)
        if changed:
            found.append(f"{place}: the import of {component.factory} changed {', '.join(changed)}; that is undone")
        if not callable(factory):
            found.append(f"{place}: {component.factory} is {type(factory).__name__}, which cannot be called")
    except PluginError as error:
        found.append(f"{place}: {component.factory} cannot be imported: {error.cause}")
    try:
        component.options.model_rebuild()
        component.options.model_json_schema()
    except Exception as error:
        if stop := asked_to_stop(error):
            raise stop from None
        said = " ".join(str(error).split("\n\n")[0].split())
        found.append(f"{place}: {component.options.__name__} cannot be built: {said}")
    return found


def _loaded_without_torch() -> list[dict[str, Any]]:
    """What a fresh process says of all plugins; nothing, if it does not come to its end."""
    from artgen.plugins import used_files

    arguments = [*_LIGHT, *(part for file in used_files() for part in ("--plugin", file))]
    environment = {key: value for key, value in os.environ.items() if key != "ARTGEN_STRICT_PLUGINS"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from artgen.cli.main import main; main()", *arguments],
            env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        answer: list[dict[str, Any]] = json.loads(done.stdout)
        return answer
    except (subprocess.TimeoutExpired, OSError, ValueError):
        return []
