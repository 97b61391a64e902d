"""artgen: art with neural networks, from plugins and recipes.

This module holds the names that a plugin's light hook module needs; importing it loads no torch. Networks, losses and
trainers take theirs from `artgen.training`, shared blocks from `artgen.nn`.
"""

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
    "__version__",
    "field_help",
    "hookimpl",
]
