"""What a run is made with, as `run.json` says it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import torch

import artgen
from artgen import distributed
from artgen.device import Precision, describe_device
from artgen.errors import PluginError
from artgen.plugins import PluginInfo, Plugins
from artgen.recipe import Recipe


def describe(recipe: Recipe, device: torch.device, precision: Precision, plugins: Plugins) -> dict[str, Any]:
    """Device, versions and plugins, as JSON values.

    `plugins` holds {name: {distribution, version, api, origin, used, code, file}} of all that work: `used` says whether
    the recipe has components of it; `code` is the SHA-256 of an installed one's Python files, which its author may
    change without a new version; `file` (path and SHA-256) is there for single files.
    """
    return describe_device(device) | {
        "artgen": artgen.__version__,
        "plugins": plugin_entries(plugins, {plugin.name for plugin in _owners(recipe, plugins)}),
        "recipe": recipe.name,
        "seed": recipe.seed,
        "precision": precision,
        "processes": distributed.world_size(),
    }


def plugin_entries(plugins: Plugins, used: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """The plugins that work, as `run.json` lists them."""
    return {plugin.name: _entry(plugin, plugin.name in used) for plugin in plugins.plugins if plugin.usable}


def _entry(plugin: PluginInfo, used: bool) -> dict[str, Any]:
    entry = {key: getattr(plugin, key) for key in ("distribution", "version", "api", "origin")} | {"used": used}
    if plugin.origin not in ("--plugin", "ARTGEN_PLUGINS"):
        return entry | ({"code": _code(Path(plugin.file))} if plugin.origin == "entry point" and plugin.file else {})
    path = Path(plugin.file).resolve()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PluginError(f"it cannot be read any more: {error.strerror}", place=str(path)) from error
    return entry | {"file": {"path": str(path), "sha256": digest}}


def _code(module: Path) -> str:
    """SHA-256 of a module, or of all modules of the package whose `__init__.py` it is."""
    digest = hashlib.sha256()
    for path in sorted(module.parent.rglob("*.py")) if module.name == "__init__.py" else [module]:
        with suppress(OSError):
            digest.update(path.relative_to(module.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _owners(recipe: Recipe, plugins: Plugins) -> Iterator[PluginInfo]:
    """The plugins that a recipe has components of."""
    for chosen in chain.from_iterable(recipe.chosen().values()):
        with suppress(StopIteration):
            yield plugins.owner(chosen.component)
