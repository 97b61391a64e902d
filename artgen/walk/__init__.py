"""Walks through latent spaces: paths are pure mathematics, frames are made in fixed batches.

What is named here is imported when it is first used: a path knows no network, and `artgen.run` knows paths.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artgen.walk.frames import frames_of
    from artgen.walk.path import Path

__all__ = ["Path", "frames_of"]

_HOMES = {"Path": "path", "frames_of": "frames"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"artgen.walk.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'artgen.walk' has no attribute '{name}'")
