"""artgen: art with neural networks, from plugins and recipes.

This module holds the names that a plugin's light hook module needs; importing it loads no torch. Networks, losses and
trainers take theirs from `artgen.training`, shared blocks from `artgen.nn`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artgen.components import Component, DataOptions, FilePath, LossOptions, Options, field_help
    from artgen.errors import (
        ArtgenError,
        CheckpointError,
        DataError,
        DivergedError,
        PluginError,
        RecipeError,
        ResourceError,
        StoppedError,
    )
    from artgen.hookspecs import API_VERSION, hookimpl
    from artgen.videos import VideoOptions

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "ArtgenError",
    "CheckpointError",
    "Component",
    "DataError",
    "DataOptions",
    "DivergedError",
    "FilePath",
    "LossOptions",
    "Options",
    "PluginError",
    "RecipeError",
    "ResourceError",
    "StoppedError",
    "VideoOptions",
    "__version__",
    "field_help",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `artgen --help` needs none of them, and pydantic takes a while."""
    if name in __all__:
        for module in ("components", "errors", "hookspecs", "videos"):
            found = vars(importlib.import_module(f"artgen.{module}")).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module 'artgen' has no attribute '{name}'")
