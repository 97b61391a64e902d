"""The kit's own data set and feature network, for tiny runs: a hook module like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artgen import Component, DataOptions, Options, hookimpl

if TYPE_CHECKING:
    from artgen.data.dataset import Dataset, Workshop

ARTGEN_API = 1
COUNT = 24


class PictureOptions(DataOptions):
    """24 smooth random pictures, each with its negative as the source of a pair."""

    resolution: int | tuple[int, int] = 16
    """Side of the pictures in pixels, or [width, height]."""


@hookimpl
def artgen_datasets() -> list[Component]:
    """The data set `kit-pictures`."""
    return [
        Component(
            kind="data",
            name="kit-pictures",
            summary="24 smooth random pictures and their negatives, for tests",
            options=PictureOptions,
            factory="artgen.testing.pictures:paint",
        )
    ]


@hookimpl
def artgen_features() -> list[Component]:
    """The feature network `kit-features`."""
    return [
        Component(
            kind="features",
            name="kit-features",
            summary="Two small random convolutions, for tests",
            options=Options,
            factory="artgen.testing.filters:SmallFeatures",
        )
    ]


def paint(options: PictureOptions, workshop: Workshop) -> Dataset:
    """Make the pictures: waves of random colours and directions."""
    import numpy as np

    from artgen.data.dataset import Dataset

    height, width = options.size
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    draw = np.random.Generator(np.random.Philox(1632))
    direction, shift = draw.normal(0, 6, (2, COUNT, 1, 1, 3)), draw.uniform(0, 6, (COUNT, 1, 1, 3))
    waves = np.sin(direction[0] * y[..., None] + direction[1] * x[..., None] + shift)  # (COUNT, H, W, 3)
    real = np.round(127.5 + 127.5 * waves).astype(np.uint8)
    return Dataset(real, fingerprint=f"kit-pictures {height}x{width}", source=255 - real)
