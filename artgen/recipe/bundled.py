"""The recipes that come with artgen."""

from __future__ import annotations

from pathlib import Path


def bundled_recipes() -> dict[str, Path]:
    """Name -> file of each bundled recipe; in a source checkout those of its folder `recipes/`."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "_recipes"
    folder = packaged if packaged.is_dir() else package.parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}
