"""Walks through latent spaces: paths are pure mathematics, frames are made in fixed batches."""

from __future__ import annotations

from artgen.walk.frames import frames_of
from artgen.walk.paths import PathName

__all__ = ["PathName", "frames_of"]
